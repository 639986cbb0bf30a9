"""A claim that its buyer disputes: what each side says, and the proofs that a node owes."""

from __future__ import annotations

from dataclasses import dataclass

from p2p.core.errors import UserError
from p2p.core.limits import DISPUTE_TEXT_MAX_CHARS
from p2p.core.manifest import FileEntry
from p2p.core.signing import Signed
from p2p.core.states import DisputeState


@dataclass(frozen=True, slots=True)
class DisputeStatement:
    """What a side says about a disputed claim; signed by the buyer's engine or by the job's node."""

    job_id: str
    text: str
    at_s: float


def check_words(text: str) -> str:
    """What a side says, without the white space around it.

    :raises UserError: ``bad_text``: it is empty or too long, or no text at all.
    """
    text = text.strip()
    if not 0 < len(text) <= DISPUTE_TEXT_MAX_CHARS:
        raise UserError(
            "bad_text",
            f"A statement has 1 to {DISPUTE_TEXT_MAX_CHARS:,} characters; this has {len(text):,}.",
            "It was not sent.",
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError("bad_text", "A statement must be valid UTF-8.", "It was not sent.") from None
    return text


@dataclass(frozen=True, slots=True)
class DisputeRequest:
    """``job.dispute`` (engine) and ``dispute.answer`` (node): the statement, once the chain has the dispute.

    The first of each side stands.
    """

    job_id: str
    statement: Signed


@dataclass(frozen=True, slots=True)
class ReviewView:
    """The claim of a job, and what became of it, as the coordinator knows it.

    ``dispute`` is none while nobody disputes the claim; ``reason`` is empty if the buyer said nothing to the
    coordinator. ``decided_units`` is what was paid for in the end.
    """

    claimed_units: int
    window_ends_at_s: float
    dispute: DisputeState | None = None
    reason: str = ""
    answer: str = ""
    opened_at_s: float = 0.0
    resolve_by_s: float = 0.0
    ended_at_s: float = 0.0
    decided_units: int | None = None


@dataclass(frozen=True, slots=True)
class DisputeNotice:
    """``job.disputed`` (coordinator to node): keep the outputs until the end, at most until ``keep_until_s``.

    Sent again with a final state when it is over.
    """

    job_id: str
    epoch: int
    state: DisputeState
    reason: str
    keep_until_s: float
    decided_units: int | None = None


@dataclass(frozen=True, slots=True)
class ProofRequest:
    """``files.prove`` (coordinator to node): show the output at ``file_index`` and one chunk of it.

    The chunk is the one at ``draw`` modulo the number of chunks, so that the node cannot choose it.
    """

    job_id: str
    epoch: int
    file_index: int
    draw: int


@dataclass(frozen=True, slots=True)
class ProofReply:
    """The file, its audit path to the signed root, and the grant with which that one chunk can be pulled."""

    entry: FileEntry
    path: tuple[bytes, ...]
    grant: str
