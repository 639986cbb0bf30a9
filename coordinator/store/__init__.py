"""The coordinator's PostgreSQL: pool, migrations, and every statement by its name. The only user of psycopg.

A transaction is one synchronous function that takes a :class:`~coordinator.store.database.Tx`; nothing
awaits inside it. The order of locks within one: job row, its event, then money.
"""
