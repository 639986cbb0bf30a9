"""The ledger's rules: chart of accounts, every kind of transfer as data, and the hash that links them.

Double entry: the lines of a transfer sum to zero. Accounts, per asset:

``chain``                    the world outside; negative, as much as the program owes to everybody
``user:<wallet>``            what a person may spend or withdraw, fees included; never negative
``escrow:<buyer>:<job id>``  a deposit between open and verdict; never negative, empty at the end

Each of the last two stands for one account of the program. A transfer stands for one call of it in a
finalized transaction, which its id names, so that nothing is posted twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset, split

CHAIN = "chain"
FIRST_HASH = bytes(32)
"""What the first transfer is linked to."""


class Kind(Enum):
    """What moved the money. ``open`` makes a deposit pending, ``settle`` posts it, ``refund`` voids it.

    Beside what the chain does: ``reversal`` takes back a posting that the chain does not bear out; ``carry``
    moves the fees of an older version's ledger, which did not say whose they are, to their owner.
    """

    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    OPEN = "open"
    TOP_UP = "top_up"
    SETTLE = "settle"
    REFUND = "refund"
    REVERSAL = "reversal"
    CARRY = "carry"


@dataclass(frozen=True, slots=True)
class Line:
    """``units`` into (positive) or out of (negative) an account."""

    account: str
    units: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """One immutable entry.

    ``owner`` and ``job_id`` name the escrow that it is about, ``signature``, ``slot`` and ``at_s`` the
    transaction behind it. ``reverses``: the transfer that a reversal takes back. ``version``: how often
    an opening or a verdict of this escrow was posted and taken back before.
    """

    transfer_id: str
    kind: Kind
    asset: Asset
    owner: str | None
    job_id: str | None
    signature: str
    slot: int | None
    at_s: int
    lines: tuple[Line, ...]
    reverses: str | None = None
    version: int = 0

    def __post_init__(self) -> None:
        if sum(line.units for line in self.lines) != 0:
            raise ValueError(f"the lines of {self.transfer_id} do not sum to zero")
        names = [line.account for line in self.lines]
        if names != sorted(set(names)):  # their order is part of the hash
            raise ValueError(f"the lines of {self.transfer_id} are not in the order of their accounts")


@dataclass(frozen=True, slots=True)
class Cause:
    """The call on chain behind a transfer. ``count``: the how-manieth of its kind in its transaction."""

    signature: str
    slot: int | None
    at_s: int
    count: int = 1

    def transfer_id(self, kind: Kind) -> str:
        return f"{kind.value}:{self.signature}" + (f":{self.count}" if self.count > 1 else "")


@dataclass(frozen=True, slots=True)
class Escrow:
    """Whose deposit, for which of their jobs, in what."""

    owner: Wallet
    job_id: JobId
    asset: Asset

    @property
    def account(self) -> str:
        return escrow(self.owner, self.job_id)


def user(wallet: str) -> str:
    return f"user:{wallet}"


def escrow(owner: str, job_id: str) -> str:
    """Job ids are chosen by their owners: two people may have chosen the same."""
    return f"escrow:{owner}:{job_id}"


def wallet_of(account: str) -> str | None:
    """Whose an account is, if it is a person's."""
    return account.removeprefix("user:") if account.startswith("user:") else None


def escrow_of(account: str) -> tuple[Wallet, JobId] | None:
    """Owner and job of an escrow's account."""
    if not account.startswith("escrow:"):
        return None
    _, owner, job_id = account.split(":")
    return Wallet(owner), JobId(job_id)


def deposit(wallet: str, asset: Asset, units: int, cause: Cause) -> Transfer:
    """Money came into the vault."""
    return _transfer(Kind.DEPOSIT, asset, None, cause, Line(CHAIN, -units), Line(user(wallet), units))


def withdraw(wallet: str, asset: Asset, units: int, cause: Cause) -> Transfer:
    """Money left the vault."""
    return _transfer(Kind.WITHDRAW, asset, None, cause, Line(user(wallet), -units), Line(CHAIN, units))


def open_job(pot: Escrow, units: int, cause: Cause, version: int = 0) -> Transfer:
    """A buyer's money is set aside for a job."""
    lines = Line(user(pot.owner), -units), Line(pot.account, units)
    return _transfer(Kind.OPEN, pot.asset, pot, cause, *lines, version=version)


def top_up(pot: Escrow, units: int, cause: Cause) -> Transfer:
    """More of it."""
    lines = Line(user(pot.owner), -units), Line(pot.account, units)
    return _transfer(Kind.TOP_UP, pot.asset, pot, cause, *lines)


@dataclass(frozen=True, slots=True)
class Payees:
    """Who is paid by a verdict, and the platform's part."""

    node: str
    fee_owner: str
    fee_bps: int


def settle(
    pot: Escrow, held_units: int, used_units: int, to: Payees, cause: Cause, version: int = 0
) -> Transfer:
    """The verdict: node, platform, and the rest back to the buyer.

    :raises ValueError: used is not within what the escrow holds.
    """
    parts = split(held_units, used_units, to.fee_bps)
    lines = (
        Line(pot.account, -held_units),
        Line(user(to.node), parts.node_units),
        Line(user(to.fee_owner), parts.fee_units),
        Line(user(pot.owner), parts.refund_units),
    )
    return _transfer(Kind.SETTLE, pot.asset, pot, cause, *lines, version=version)


def refund(pot: Escrow, held_units: int, cause: Cause, version: int = 0) -> Transfer:
    """No work was delivered: everything back."""
    lines = Line(pot.account, -held_units), Line(user(pot.owner), held_units)
    return _transfer(Kind.REFUND, pot.asset, pot, cause, *lines, version=version)


def reversal(of: Transfer, at_s: int) -> Transfer:
    """Take back a posting that the chain does not bear out."""
    return Transfer(
        f"reversal:{of.transfer_id}",
        Kind.REVERSAL,
        of.asset,
        of.owner,
        of.job_id,
        of.signature,
        None,
        at_s,
        tuple(Line(line.account, -line.units) for line in of.lines),
        reverses=of.transfer_id,
    )


def carry(source: str, wallet: str, asset: Asset, units: int, number: int, at_s: int) -> Transfer:
    """What an account of an older chart holds, to whom it belongs. ``number``: another one each time."""
    transfer_id = f"carry:{source}:{asset.value}:{number}"
    lines = _merged((Line(source, -units), Line(user(wallet), units)))
    return Transfer(transfer_id, Kind.CARRY, asset, None, None, "", None, at_s, lines)


def _transfer(
    kind: Kind, asset: Asset, pot: Escrow | None, cause: Cause, *lines: Line, version: int = 0
) -> Transfer:
    return Transfer(
        cause.transfer_id(kind),
        kind,
        asset,
        pot.owner if pot else None,
        pot.job_id if pot else None,
        cause.signature,
        cause.slot,
        cause.at_s,
        _merged(lines),
        version=version,
    )


def _merged(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line per account in account order, without zeros."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.account] = sums.get(line.account, 0) + line.units
    return tuple(Line(account, units) for account, units in sorted(sums.items()) if units)


def link(before: bytes, seq: int, transfer: Transfer) -> bytes:
    """The hash of the ``seq``-th transfer after one whose hash is ``before``: see ``docs/ledger.md``."""
    fields = (
        before.hex(),
        seq,
        transfer.transfer_id,
        transfer.kind.value,
        transfer.asset.value,
        transfer.owner,
        transfer.job_id,
        transfer.signature,
        transfer.slot,
        transfer.at_s,
        transfer.reverses,
        transfer.version,
        *(f"{line.account} {line.units}" for line in transfer.lines),
    )
    text = "\n".join("" if field is None else str(field) for field in fields)
    return sha256(text.encode()).digest()
