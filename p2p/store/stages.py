"""How far a job has come on the buyer's side: one enum, one transition table.

The coordinator's :class:`~p2p.core.states.JobState` says where the job is in the world; a stage says what
this engine has done and may have to do again after a crash.
"""

from __future__ import annotations

from enum import Enum

from p2p.core.errors import Bug

TOPPED_UP, NOT_TOPPED_UP = "topped_up", "not_topped_up"
"""The events of a job whose buyer wanted more time for it: granted by the coordinator, or given up here."""


class Stage(Enum):
    """The comments say what is true from then on."""

    PACKAGED = "packaged"  # every file hashed, the id drawn; nothing was sent
    QUOTED = "quoted"  # the signed terms are here and checked; waits for the buyer's yes
    OPENING = "opening"  # the buyer agreed; the signed Open is kept and may have been sent
    OPENED = "opened"  # the escrow was seen on chain
    FOLLOWING = "following"  # the coordinator has the job
    FETCHING = "fetching"  # the node's result statement was checked; results may be partly here
    VERIFIED = "verified"  # every chunk verified, results in the out folder
    RECEIPTED = "receipted"  # the signed receipt is kept and may have been sent
    CLOSING = "closing"  # failed or cancelled; the rest of the log and the money are on their way
    WITHDRAWING = "withdrawing"  # the coordinator never took it: the escrow is being taken back on chain
    SETTLED = "settled"  # node and platform paid, the rest back
    REFUNDED = "refunded"  # everything back
    DROPPED = "dropped"  # no money ever moved

    @property
    def is_final(self) -> bool:
        """Nothing is left to do."""
        return not STAGES[self]

    @property
    def needs_work(self) -> bool:
        """The engine goes on by itself, also after a restart."""
        return self not in _IDLE


_S = Stage
STAGES: dict[Stage, frozenset[Stage]] = {
    _S.PACKAGED: frozenset({_S.QUOTED, _S.DROPPED}),
    _S.QUOTED: frozenset({_S.OPENING, _S.DROPPED}),
    _S.OPENING: frozenset({_S.OPENED, _S.DROPPED}),
    _S.OPENED: frozenset({_S.FOLLOWING, _S.WITHDRAWING}),
    _S.FOLLOWING: frozenset({_S.FETCHING, _S.CLOSING}),
    _S.FETCHING: frozenset({_S.VERIFIED, _S.FOLLOWING, _S.CLOSING}),
    _S.VERIFIED: frozenset({_S.RECEIPTED, _S.FOLLOWING, _S.CLOSING}),
    _S.RECEIPTED: frozenset({_S.SETTLED, _S.REFUNDED, _S.FOLLOWING, _S.CLOSING}),
    _S.CLOSING: frozenset({_S.SETTLED, _S.REFUNDED}),
    _S.WITHDRAWING: frozenset({_S.REFUNDED, _S.FOLLOWING}),
    _S.SETTLED: frozenset(),
    _S.REFUNDED: frozenset(),
    _S.DROPPED: frozenset(),
}
_IDLE = frozenset({_S.PACKAGED, _S.QUOTED, _S.SETTLED, _S.REFUNDED, _S.DROPPED})


def check_stage(old: Stage, new: Stage) -> None:
    """Allow ``old → new``.

    :raises Bug: the table does not have it.
    """
    if new not in STAGES[old]:
        raise Bug(f"a job that is {old.value} cannot become {new.value}")
