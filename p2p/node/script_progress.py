"""How far the scripts of running jobs say that they are: read from the ends of their logs, now and then."""

from __future__ import annotations

from collections.abc import Iterable

from p2p.core.errors import CyxWizError
from p2p.core.limits import LINE_CHARS_FOR_METRICS, PROGRESS_TAIL_BYTES
from p2p.core.metrics import Progress, parse_line
from p2p.node.supervisor import Supervisor
from p2p.store.node import Phase

Key = tuple[str, int]


def progress_in(tail: bytes, before: Progress) -> Progress:
    """The progress after the lines of ``tail``, whose first one may be cut."""
    for line in tail.replace(b"\r", b"\n").split(b"\n"):
        before = before.updated(parse_line(line.decode("utf-8", "replace")[:LINE_CHARS_FOR_METRICS]))
    return before


class ScriptProgress:
    """The last known progress of each running attempt."""

    def __init__(self) -> None:
        self._known: dict[Key, tuple[int, Progress]] = {}

    def fraction(self, key: Key) -> float | None:
        """Between 0 and 1; None: the script does not say."""
        found = self._known.get(key)
        return None if found is None else found[1].fraction

    async def look(self, supervisors: Iterable[Supervisor]) -> None:
        """Look at the logs that have grown."""
        before, self._known = self._known, {}
        for supervisor in supervisors:
            if supervisor.record.phase is not Phase.RUNNING:
                continue
            key, spool = supervisor.record.key, supervisor.spool
            size, known = before.get(key, (0, Progress()))
            if spool.size_bytes > size:
                start = max(size, spool.size_bytes - PROGRESS_TAIL_BYTES)
                size = spool.size_bytes
                try:
                    known = progress_in(await spool.read(start), known)
                except CyxWizError:
                    continue
            self._known[key] = (size, known)
