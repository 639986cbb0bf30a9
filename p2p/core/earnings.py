"""What a node earned: how far each job's pay is, and sums by day and month. Pure: nothing is read here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import Enum

from p2p.core.money import Asset
from p2p.core.states import JobState


class Pay(Enum):
    """How far the pay of a job is."""

    PAID = "paid"
    IN_REVIEW = "in_review"
    DISPUTED = "disputed"
    WAITING = "waiting_for_signature"
    RUNNING = "running"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Pay.PAID: "paid",
    Pay.IN_REVIEW: "claimed and in review",
    Pay.DISPUTED: "disputed: the arbiter decides",
    Pay.WAITING: "waiting for the buyer's signature",
    Pay.RUNNING: "running now (estimate)",
}


class By(Enum):
    """What earnings are summed up by."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Pays:
    """One job's pay, as far as sums need it."""

    at_s: float
    asset: Asset
    net_units: int
    fee_units: int
    pay: Pay


@dataclass(frozen=True, slots=True)
class Sum:
    """Several jobs' pay in one asset."""

    jobs: int = 0
    net_units: int = 0
    fee_units: int = 0

    def plus(self, one: Pays) -> Sum:
        return Sum(self.jobs + 1, self.net_units + one.net_units, self.fee_units + one.fee_units)


Sums = dict[Pay, Sum]


@dataclass(frozen=True, slots=True)
class Period:
    """A day (``2026-11-26``) or month (``2026-11``) in which a node earned something of ``asset``."""

    period: str
    asset: Asset
    sums: Sums

    def total(self, *pays: Pay) -> Sum:
        """Over the given states; over all of them without any."""
        found = [each for pay, each in self.sums.items() if not pays or pay in pays]
        return Sum(
            sum(each.jobs for each in found),
            sum(each.net_units for each in found),
            sum(each.fee_units for each in found),
        )


def pay_of(state: JobState, review_ends_at_s: float | None, *, disputed: bool = False) -> Pay:
    """How far the pay of a job in ``state`` is; ``review_ends_at_s`` and ``disputed`` as in an earning."""
    if state is JobState.SETTLED:
        return Pay.PAID
    if disputed:
        return Pay.DISPUTED
    if review_ends_at_s is not None:
        return Pay.IN_REVIEW
    return Pay.RUNNING if state is JobState.RUNNING else Pay.WAITING


def by_period(earned: Iterable[Pays], by: By, zone: tzinfo | None = None) -> list[Period]:
    """Sums of each period and asset, newest first. ``zone``: whose days they are; none: this machine's.

    A job counts where it was paid or, while it is not, where it last moved on.
    """
    groups: dict[tuple[str, Asset], Sums] = {}
    for one in earned:
        sums = groups.setdefault((_period(one.at_s, by, zone), one.asset), {})
        sums[one.pay] = sums.get(one.pay, Sum()).plus(one)
    order = sorted(groups, key=lambda key: key[1].value)
    order.sort(key=lambda key: key[0], reverse=True)
    return [Period(*key, groups[key]) for key in order]


def in_all(earned: Sequence[Pays]) -> dict[Asset, Sums]:
    """Sums of everything, by asset."""
    found: dict[Asset, Sums] = {}
    for one in earned:
        sums = found.setdefault(one.asset, {})
        sums[one.pay] = sums.get(one.pay, Sum()).plus(one)
    return found


def _period(at_s: float, by: By, zone: tzinfo | None) -> str:
    local = datetime.fromtimestamp(at_s, UTC).astimezone(zone)
    return f"{local:%Y-%m-%d}" if by is By.DAY else f"{local:%Y-%m}"
