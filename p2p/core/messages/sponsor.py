"""The coordinator as fee payer of a session key that has no SOL."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from p2p.core.signing import Signed


class SponsoredAction(Enum):
    """What the coordinator pays the fees of; an ``OPEN`` takes the rent of the job's account as well."""

    OPEN = "open"
    TOP_UP = "top_up"
    CANCEL = "cancel"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True)
class SponsorOfferRequest:
    """``chain.sponsor_offer``: would the coordinator pay for the next job of this wallet?"""


@dataclass(frozen=True, slots=True)
class SponsorOffer:
    """Otherwise ``reason``, as the rest of a sentence."""

    offered: bool
    reason: str


@dataclass(frozen=True, slots=True)
class SponsorRequest:
    """``chain.sponsor``: sign this message as fee payer. ``signer``: the session key that signs it as well,
    afterwards. ``terms`` belong to an ``OPEN``, ``units`` to a ``TOP_UP``."""

    action: SponsoredAction
    job_id: str
    signer: str
    message: bytes
    units: int = 0
    terms: Signed | None = None


@dataclass(frozen=True, slots=True)
class SponsorReply:
    """The coordinator's signature over the message. It sends nothing itself."""

    signature: bytes
