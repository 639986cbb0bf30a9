"""The ledger's rules: chart of accounts, and every kind of transfer as data.

Double entry: the lines of a transfer sum to zero. Accounts, per asset:

``chain``          the world outside; negative, as much as the vault holds for everybody
``user:<wallet>``  what a person may spend or withdraw; never negative
``escrow:<job>``   the deposit of a job between open and verdict; never negative, empty at the end
``fees``           the platform's share

Transfer ids come from what caused them (job and kind, or chain signature), so that nothing is posted twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from p2p.core.money import Asset, split

CHAIN = "chain"
FEES = "fees"


class Kind(Enum):
    """What moved the money. ``open`` makes a deposit pending, ``settle`` posts it, ``refund`` voids it."""

    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    OPEN = "open"
    SETTLE = "settle"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Line:
    """``units`` into (positive) or out of (negative) an account."""

    account: str
    units: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """One immutable entry. ``signature`` is the chain transaction behind it, where there is one."""

    transfer_id: str
    kind: Kind
    asset: Asset
    job_id: str | None
    signature: str
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        if sum(line.units for line in self.lines) != 0:
            raise ValueError(f"the lines of {self.transfer_id} do not sum to zero")


def user(wallet: str) -> str:
    return f"user:{wallet}"


def escrow(job_id: str) -> str:
    return f"escrow:{job_id}"


def deposit(wallet: str, asset: Asset, units: int, signature: str, account: str = "") -> Transfer:
    """Money came into the vault. ``account`` is another account than the wallet's own."""
    into = account or user(wallet)
    return Transfer(
        f"deposit:{signature}",
        Kind.DEPOSIT,
        asset,
        None,
        signature,
        _lines(Line(CHAIN, -units), Line(into, units)),
    )


def withdraw(wallet: str, asset: Asset, units: int, signature: str, account: str = "") -> Transfer:
    """Money left the vault."""
    out_of = account or user(wallet)
    return Transfer(
        f"withdraw:{signature}",
        Kind.WITHDRAW,
        asset,
        None,
        signature,
        _lines(Line(out_of, -units), Line(CHAIN, units)),
    )


def open_job(buyer: str, job_id: str, asset: Asset, deposit_units: int, signature: str) -> Transfer:
    """A buyer's money is set aside for a job."""
    lines = _lines(Line(user(buyer), -deposit_units), Line(escrow(job_id), deposit_units))
    return Transfer(f"open:{job_id}", Kind.OPEN, asset, job_id, signature, lines)


def settle(
    *,
    buyer: str,
    node: str,
    job_id: str,
    asset: Asset,
    deposit_units: int,
    used_units: int,
    fee_bps: int,
    signature: str,
) -> Transfer:
    """The verdict: node, platform, and the rest back to the buyer.

    :raises ValueError: used is not within the deposit.
    """
    parts = split(deposit_units, used_units, fee_bps)
    lines = _lines(
        Line(escrow(job_id), -deposit_units),
        Line(user(node), parts.node_units),
        Line(FEES, parts.fee_units),
        Line(user(buyer), parts.refund_units),
    )
    return Transfer(f"settle:{job_id}", Kind.SETTLE, asset, job_id, signature, lines)


def refund(buyer: str, job_id: str, asset: Asset, deposit_units: int, signature: str) -> Transfer:
    """No work was delivered: everything back."""
    lines = _lines(Line(escrow(job_id), -deposit_units), Line(user(buyer), deposit_units))
    return Transfer(f"refund:{job_id}", Kind.REFUND, asset, job_id, signature, lines)


def _lines(*lines: Line) -> tuple[Line, ...]:
    """One line per account in account order, without zeros: a fixed order of row locks."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.account] = sums.get(line.account, 0) + line.units
    return tuple(Line(account, units) for account, units in sorted(sums.items()) if units)
