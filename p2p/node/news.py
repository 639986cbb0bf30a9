"""What has happened on this node, in one sentence each, for notifications. The last ones, in memory.

Numbers go on rising over restarts of the agent, so that a window that comes back is told nothing twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import asdict, dataclass
from enum import Enum

from p2p.core.clock import Clock
from p2p.core.limits import JOB_NAME_MAX_CHARS, NEWS_KEPT_MAX, NEWS_WAIT_S
from p2p.core.messages.nodes import Assignment
from p2p.core.states import FailureCode
from p2p.core.text import clean_name
from p2p.local.protocol import Json
from p2p.local.signals import Signal
from p2p.node.runner import CheckRow
from p2p.store.node import JobRecord, Phase
from p2p.wire.codec import decode


class Kind(Enum):
    """What an item is about."""

    JOB_TAKEN = "job_taken"
    JOB_FINISHED = "job_finished"  # its result waits for the buyer
    JOB_FAILED = "job_failed"
    JOB_STOPPED = "job_stopped"  # by the owner, the buyer or the coordinator
    JOB_PAID = "job_paid"
    CHECK_BROKEN = "check_broken"
    CHECK_MENDED = "check_mended"
    LOGIN_ENDS = "login_ends"
    AVAILABILITY = "availability"  # jobs are taken, or no longer


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of news."""

    number: int
    at_s: float
    kind: Kind
    words: str
    job_id: str | None = None

    def json(self) -> dict[str, Json]:
        return asdict(self) | {"kind": self.kind.value}


class News:
    """``changed`` is rung with each item, and by whoever knows that the status is another."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._items: deque[Item] = deque(maxlen=NEWS_KEPT_MAX)
        self._number = int(clock.now_s() * 1000)
        self.changed = Signal()

    def tell(self, kind: Kind, words: str, job_id: str | None = None) -> None:
        """Something has happened."""
        self._number += 1
        self._items.append(Item(self._number, self._clock.now_s(), kind, words, job_id))
        self.changed.ring()

    def job_moved(self, record: JobRecord) -> None:
        """An attempt has taken a step, which the journal has."""
        name = clean_name(decode(Assignment, record.assignment).spec.name, JOB_NAME_MAX_CHARS)
        found = _of_phase(record, name or record.job_id[:12])
        if found is None:
            self.changed.ring()
        else:
            self.tell(*found, record.job_id)

    def checks_changed(self, before: Iterable[CheckRow], now: Iterable[CheckRow]) -> None:
        """The self-test was done again; only what jobs cannot do without is told."""
        was = {row.name: row.ok for row in before}
        for row in now:
            if not row.required or was.get(row.name, row.ok) is row.ok:
                continue
            if row.ok:
                self.tell(Kind.CHECK_MENDED, f"{row.name} is in order again: {row.found}")
            else:
                self.tell(Kind.CHECK_BROKEN, f"{row.name}: {row.found}. {row.fix}")

    @property
    def newest(self) -> int:
        """The number of the last item, or of none."""
        return self._number

    def after(self, number: int) -> tuple[Item, ...]:
        """The items with higher numbers, oldest first."""
        return tuple(item for item in self._items if item.number > number)

    async def follow(self, number: int) -> AsyncGenerator[Item, None]:
        """Each item after ``number``, for ever."""
        while True:
            since = self.changed.count
            for item in self.after(number):
                number = item.number
                yield item
            await self.changed.wait(since, NEWS_WAIT_S)


def _of_phase(record: JobRecord, name: str) -> tuple[Kind, str] | None:
    match record.phase:
        case Phase.ASSIGNED:
            return Kind.JOB_TAKEN, f"The job {name} was taken."
        case Phase.DELIVERING:
            return Kind.JOB_FINISHED, f"The job {name} has finished; its buyer takes the results."
        case Phase.FAILED if record.failure is FailureCode.STOPPED:
            return Kind.JOB_STOPPED, f"The job {name} was stopped. {record.detail}".strip()
        case Phase.FAILED:
            return Kind.JOB_FAILED, f"The job {name} failed. {record.detail}".strip()
        case Phase.STOPPED:
            return Kind.JOB_STOPPED, f"The job {name} was ended by its buyer or the coordinator."
    return None
