"""Ledger against chain, account by account, each at the very slot at which the chain served it.

A transfer bears the slot of its transaction. So the ledger as it was at a slot is what it has now, less what
was posted of later ones; what is final but not posted yet is read from the chain and added. Nothing is
changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from coordinator.domain import ledger as rules
from coordinator.domain.book import Book
from coordinator.domain.ledger import Transfer
from coordinator.service.follower import History
from coordinator.store import book as store_book
from coordinator.store import ledger
from coordinator.store.database import Database, Tx
from p2p.chain.holdings import Holding, read_holdings
from p2p.chain.keys import is_address
from p2p.chain.movements import Landing
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.limits import ACCOUNTS_PER_READ_MAX, LEDGER_CHECK_PAGES_MAX
from p2p.core.money import Asset, format_amount

Account = tuple[str, Asset]
Units = Mapping[Account, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """Ledger and chain do not say the same of an account. ``signature``: the transaction that may be why."""

    account: str
    asset: Asset
    ledger_units: int
    chain_units: int
    signature: str = ""

    @property
    def job_id(self) -> str | None:
        escrow = rules.escrow_of(self.account)
        return escrow[1] if escrow else None

    @property
    def text(self) -> str:
        """In words."""
        ours, theirs = (format_amount(units, self.asset) for units in (self.ledger_units, self.chain_units))
        because = f" (look at transaction {self.signature})" if self.signature else ""
        return f"{name_of(self.account, self.asset)}: the ledger has {ours}, the chain {theirs}{because}"


def name_of(account: str, asset: Asset) -> str:
    """What people call an account."""
    escrow = rules.escrow_of(account)
    if escrow:
        return f"escrow of job {escrow[1]} of {escrow[0]}"
    wallet = rules.wallet_of(account)
    return f"balance of {wallet}" if wallet else f"everything owed in {asset.symbol}"


def holding_of(account: str, asset: Asset) -> Holding:
    """The account on chain that an account of the ledger stands for."""
    escrow = rules.escrow_of(account)
    if escrow:
        return Holding(asset, *escrow)
    wallet = rules.wallet_of(account)
    return Holding(asset, Wallet(wallet) if wallet else None)


def account_of(holding: Holding) -> Account:
    """The other way round."""
    if holding.owner is None:
        return rules.CHAIN, holding.asset
    if holding.job_id is None:
        return rules.user(holding.owner), holding.asset
    return rules.escrow(holding.owner, holding.job_id), holding.asset


def is_real(account: str) -> bool:
    """Whether there can be such an account on chain: whose name is no address has none."""
    escrow = rules.escrow_of(account)
    owner = escrow[0] if escrow else rules.wallet_of(account)
    return account == rules.CHAIN or (owner is not None and is_address(owner))


@dataclass(frozen=True, slots=True)
class Look:
    """What a comparison found.

    ``late``: transfers of what is final and not posted yet; ``unexplained``: why some of it cannot be, by
    signature. ``slots``: the first and the last at which the chain answered.
    """

    differences: list[Difference] = field(default_factory=list)
    late: list[Transfer] = field(default_factory=list)
    unexplained: dict[str, str] = field(default_factory=dict)
    slots: tuple[int, int] = (0, 0)

    def late_accounts(self) -> set[Account]:
        """Whom the late transfers concern."""
        return {(line.account, transfer.asset) for transfer in self.late for line in transfer.lines}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the chain says of some accounts at a slot."""

    slot: int
    units: dict[Account, int]


async def compare(db: Database, history: History, wanted: Iterable[Account], now_s: float) -> Look:
    """Look at some accounts once.

    :raises EnvironmentFailure: the chain or the database cannot be reached.
    :raises Refused: the ledger is far behind the chain.
    """
    seen = await _read(history, sorted(set(wanted), key=lambda account: (account[0], account[1].value)))
    slots = [part.slot for part in seen]
    landings = await _unposted(history, max(slots, default=0))
    return await db.run(lambda tx: _compare(tx, seen, landings, now_s))


async def _read(history: History, wanted: Sequence[Account]) -> list[_Seen]:
    seen = []
    for first in range(0, len(wanted), ACCOUNTS_PER_READ_MAX):
        page = wanted[first : first + ACCOUNTS_PER_READ_MAX]
        real = [account for account in page if is_real(account[0])]
        slot, units = await read_holdings(history.chain, [holding_of(*account) for account in real])
        held = dict.fromkeys(page, 0) | dict(zip(real, units, strict=True))
        held |= {account: -owed for account, owed in held.items() if account[0] == rules.CHAIN}
        seen.append(_Seen(slot, held))
    return seen


async def _unposted(history: History, min_slot: int) -> list[Landing]:
    found: list[Landing] = []
    pages = 0
    async with aclosing(history.pages(min_slot)) as parts:
        async for landings, _ in parts:
            found += landings
            pages += 1
            if pages > LEDGER_CHECK_PAGES_MAX:
                raise Refused(
                    "ledger_behind",
                    f"The ledger has not read the chain's last {len(found)} transactions and more.",
                    "It cannot be compared before it has; nothing was changed.",
                    "Let `cyxwiz-coordinator serve` run for a while, which follows the chain.",
                )
    return found


def _compare(tx: Tx, seen: Sequence[_Seen], landings: Sequence[Landing], now_s: float) -> Look:
    tx.execute("ledger.snapshot")
    reading = Book(store_book.load(tx, landings), now_s).read(landings)
    wanted = {account for part in seen for account in part.units}
    now = _now(tx, wanted)
    differences = []
    for part in seen:
        later = ledger.since(tx, part.slot)
        late = _lines(t for t in reading.transfers if t.slot is None or t.slot <= part.slot)
        for account, held in part.units.items():
            ours = now.get(account, 0) - later.get(account, 0) + late.get(account, 0)
            if ours != held:
                differences.append(Difference(*account, ours, held))
    slots = [part.slot for part in seen] or [0]
    return Look(differences, reading.transfers, dict(reading.unexplained), (min(slots), max(slots)))


def _now(tx: Tx, wanted: set[Account]) -> Units:
    names = list({account for account, _ in wanted})
    rows = tx.rows("ledger.balances", accounts=names)
    now = {(row["account"], Asset(row["asset"])): int(row["units"]) for row in rows}
    return now | {account: ledger.total(tx, *account) for account in wanted if account[0] == rules.CHAIN}


def _lines(transfers: Iterable[Transfer]) -> dict[Account, int]:
    sums: dict[Account, int] = {}
    for transfer in transfers:
        for line in transfer.lines:
            key = line.account, transfer.asset
            sums[key] = sums.get(key, 0) + line.units
    return sums
