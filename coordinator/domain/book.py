"""From what happened on chain to transfers: whoever did it, in whatever order it is heard of, each once.

A book holds what the ledger knows of everybody who takes part in some transactions. It changes nothing
outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from coordinator.domain import ledger as rules
from coordinator.domain.ledger import Cause, Escrow, Kind, Payees, Transfer
from p2p.chain.calls import PAYMENTS, RETURNS
from p2p.chain.instructions import Tag
from p2p.chain.movements import Landing, Movement
from p2p.core.ids import Wallet
from p2p.core.money import Asset

_KINDS = {
    Tag.DEPOSIT: Kind.DEPOSIT,
    Tag.WITHDRAW: Kind.WITHDRAW,
    Tag.OPEN: Kind.OPEN,
    Tag.TOP_UP: Kind.TOP_UP,
}
_KINDS |= dict.fromkeys(PAYMENTS, Kind.SETTLE) | dict.fromkeys(RETURNS, Kind.REFUND)
VERDICTS = (Kind.SETTLE, Kind.REFUND)


@dataclass(frozen=True, slots=True)
class Pot:
    """An escrow on chain, by the address of its account: what its verdict will need to know."""

    address: str
    escrow: Escrow
    fee_bps: int | None
    claimed_units: int | None = None


@dataclass(frozen=True, slots=True)
class FeeSetting:
    """The fee of the jobs that are opened from then on."""

    slot: int
    fee_bps: int


class Unexplained(Exception):
    """A transaction cannot be posted: something before it is not known. The argument says what."""


@dataclass
class Known:
    """What the ledger has of some transactions' escrows and people.

    ``posted``: the ids of their transfers. ``live``: the opening and the verdict that stand for an escrow, by
    its account and whether it is the verdict.
    """

    pots: dict[str, Pot]
    units: dict[tuple[str, Asset], int]
    posted: set[str]
    fees: list[FeeSetting]
    live: dict[tuple[str, bool], Transfer]

    def note(self, transfer: Transfer) -> None:
        """Remember a transfer that is posted."""
        self.posted.add(transfer.transfer_id)
        if transfer.kind in (Kind.OPEN, *VERDICTS):
            account = rules.escrow(transfer.owner or "", transfer.job_id or "")
            self.live[account, transfer.kind in VERDICTS] = transfer


@dataclass
class Reading:
    """What came of some transactions: transfers in their order, and what else is to be remembered."""

    transfers: list[Transfer] = field(default_factory=list)
    pots: dict[str, Pot] = field(default_factory=dict)
    fees: list[FeeSetting] = field(default_factory=list)
    unexplained: dict[str, str] = field(default_factory=dict)


class Book:
    """Reads transactions one after another."""

    def __init__(self, known: Known, now_s: float) -> None:
        """``now_s``: for transactions of which the chain does not say when they were."""
        self._known = known
        self._now_s = int(now_s)

    def read(self, landings: Iterable[Landing]) -> Reading:
        """The transfers of ``landings``, those left out that are posted already.

        What cannot be explained yet is tried again after the others: they may come in another order than they
        happened, above all within one slot.
        """
        done = Reading()
        left = list(landings)
        while left:
            waiting = []
            done.unexplained.clear()
            for landing in left:
                try:
                    self._take(done, landing)
                except Unexplained as error:
                    waiting.append(landing)
                    done.unexplained[landing.signature] = str(error)
            if len(waiting) == len(left):
                break
            left = waiting
        return done

    def _take(self, done: Reading, landing: Landing) -> None:
        """All of a transaction or nothing."""
        page = _Page(self._known, landing, self._now_s if landing.time_s is None else landing.time_s)
        for movement in landing.movements:
            page.apply(movement)
        page.check()
        self._known.units.update(page.units)
        self._known.pots.update(page.pots)
        self._known.fees.extend(page.fees)
        for transfer in page.transfers:
            self._known.note(transfer)
        done.transfers += page.transfers
        done.pots |= page.pots
        done.fees += page.fees


class _Page:
    """One transaction: what it changes, beside what is known."""

    def __init__(self, known: Known, landing: Landing, at_s: int) -> None:
        self._known = known
        self._landing = landing
        self._at_s = at_s
        self._counts: dict[Kind, int] = {}
        self.units: dict[tuple[str, Asset], int] = {}
        self.pots: dict[str, Pot] = {}
        self.fees: list[FeeSetting] = []
        self.transfers: list[Transfer] = []

    def apply(self, movement: Movement) -> None:
        """:raises Unexplained: something before it is missing."""
        tag = movement.tag
        if tag in (Tag.INIT_CONFIG, Tag.SET_CONFIG):
            self.fees.append(FeeSetting(self._landing.slot, movement.fee_bps or 0))
        elif tag is Tag.CLAIM:
            pot = self._pot(movement.job)
            if pot is None:
                raise Unexplained(f"a claim on an escrow at {movement.job} whose opening is not known")
            self.pots[pot.address] = replace(pot, claimed_units=movement.units)
        elif movement.asset is not None:  # another token than ours is none of the ledger's business
            self._post(movement, _KINDS[tag])

    def _post(self, movement: Movement, kind: Kind) -> None:
        cause = self._cause(kind)
        if kind is Kind.OPEN:
            self._open_pot(movement)
        if cause.transfer_id(kind) in self._known.posted:
            return
        for transfer in self._transfers(movement, kind, cause):
            self.transfers.append(transfer)
            for line in transfer.lines:
                key = line.account, transfer.asset
                self.units[key] = self._held(*key) + line.units

    def _cause(self, kind: Kind) -> Cause:
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        landing = self._landing
        return Cause(landing.signature, landing.slot, self._at_s, count)

    def _transfers(self, movement: Movement, kind: Kind, cause: Cause) -> list[Transfer]:
        wallet, asset, units = movement.wallet, movement.asset, movement.units
        assert wallet is not None
        assert asset is not None
        if kind is Kind.DEPOSIT:
            return [rules.deposit(wallet, asset, units, cause)]
        if kind is Kind.WITHDRAW:
            return [rules.withdraw(wallet, asset, units, cause)]
        pot = self._pot(movement.job)
        if pot is None:
            raise Unexplained(f"the escrow at {movement.job}, whose opening is not known")
        if kind is Kind.TOP_UP:
            return [rules.top_up(pot.escrow, units, cause), *self._late(pot, units)]
        old = self._known.live.get((pot.escrow.account, kind in VERDICTS))
        undone = [] if old is None else [rules.reversal(old, cause.at_s)]
        version = 0 if old is None else old.version + 1
        if kind is Kind.OPEN:
            return [*undone, rules.open_job(pot.escrow, units, cause, version)]
        held = self._held(pot.escrow.account, asset) + _into(pot.escrow.account, undone)
        if held <= 0:
            raise Unexplained(f"a verdict on {pot.escrow.account}, in which there is nothing")
        if kind is Kind.REFUND:
            return [*undone, rules.refund(pot.escrow, held, cause, version)]
        return [*undone, self._payment(movement, pot, held, cause, version)]

    def _late(self, pot: Pot, units: int) -> list[Transfer]:
        """What a verdict that was heard of before this top-up did not give back: it pays nobody else."""
        verdict = self._known.live.get((pot.escrow.account, True))
        if verdict is None:
            return []
        return [rules.refund(pot.escrow, units, self._cause(Kind.REFUND), verdict.version + 1)]

    def _payment(self, movement: Movement, pot: Pot, held: int, cause: Cause, version: int) -> Transfer:
        used = pot.claimed_units if movement.tag is Tag.FINALIZE else movement.units
        if used is None:
            raise Unexplained(f"the payment of a claim on {pot.escrow.account} that is not known")
        if pot.fee_bps is None:
            raise Unexplained(f"the payment of {pot.escrow.account}, whose fee is not known")
        if used > held:
            raise Unexplained(f"the payment of {used} out of {pot.escrow.account}, which holds {held}")
        to = Payees(movement.node or "", movement.fee_owner or "", pot.fee_bps)
        return rules.settle(pot.escrow, held, used, to, cause, version)

    def _open_pot(self, movement: Movement) -> None:
        if self._pot(movement.job) is not None:
            return
        assert movement.wallet is not None
        assert movement.asset is not None
        assert movement.job_id is not None
        fee_bps = self._fee_bps() if movement.fee_bps is None else movement.fee_bps
        escrow = Escrow(Wallet(movement.wallet), movement.job_id, movement.asset)
        self.pots[movement.job] = Pot(movement.job, escrow, fee_bps)

    def _fee_bps(self) -> int | None:
        """The fee in force at this slot, for a job whose account is closed by now."""
        before = [setting for setting in self._known.fees + self.fees if setting.slot <= self._landing.slot]
        # Of several in one slot, the last that was read.
        return max(reversed(before), key=lambda setting: setting.slot).fee_bps if before else None

    def check(self) -> None:
        """:raises Unexplained: somebody would have less than nothing."""
        for (account, _), units in self.units.items():
            if account != rules.CHAIN and units < 0:
                raise Unexplained(f"more left {account} than is known to have come")

    def _pot(self, address: str) -> Pot | None:
        return self.pots.get(address) or self._known.pots.get(address)

    def _held(self, account: str, asset: Asset) -> int:
        key = account, asset
        return self.units.get(key, self._known.units.get(key, 0))


def _into(account: str, transfers: Iterable[Transfer]) -> int:
    return sum(line.units for transfer in transfers for line in transfer.lines if line.account == account)
