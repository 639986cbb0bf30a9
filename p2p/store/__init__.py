"""The journal of an agent: what must survive ``kill -9``, written down before it is acted upon.

``p2p.store.journal``
    ``async with Journal.open(path, migrations("engine")) as journal``; ``await journal.read(function)`` and
    ``await journal.write(function)``, where ``function(connection: sqlite3.Connection) -> T`` is one whole
    transaction. What ``write`` returned from is on the disk.
``p2p.store.migrations``
    ``migrations(agent) -> tuple[Migration, ...]``: the plain SQL files of ``p2p/store/migrations/<agent>/``.
``p2p.store.engine``, ``p2p.store.node``
    The tables of the two agents, as typed functions over a journal.
"""
