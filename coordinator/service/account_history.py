"""What the chain's own history of an account says to the ledger's postings of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from coordinator.domain.ledger import Transfer
from coordinator.service.comparison import Account, holding_of, is_real
from coordinator.service.follower import History
from coordinator.store import ledger
from coordinator.store.database import Database, Tx
from p2p.chain.calls import mentions_of
from p2p.chain.holdings import address_of
from p2p.chain.movements import Landing
from p2p.core.limits import HISTORY_ENTRIES_MAX


@dataclass(frozen=True, slots=True)
class Evidence:
    """``missing``: on chain and not posted, oldest first. ``unknown``: posted, and not in that history."""

    missing: list[Landing]
    unknown: list[Transfer]

    def signature(self, explained: Collection[str] = ()) -> str:
        """The transaction to look at first, if there is one; not one of those explained."""
        found = [landing.signature for landing in self.missing if landing.moves_money]
        found += [transfer.signature for transfer in self.unknown]
        return next((signature for signature in found if signature not in explained), "")


async def evidence_of(db: Database, history: History, account: Account) -> Evidence:
    """Read an account's finalized history in full, as far as the chain's nodes keep it.

    :raises EnvironmentFailure: the chain or the database cannot be reached.
    """
    found = []
    if is_real(account[0]):
        address = str(address_of(history.chain.addresses, holding_of(*account)))
        found = await mentions_of(history.chain, address, HISTORY_ENTRIES_MAX)
    signatures = [mention.signature for mention in found]
    posted, of_account = await db.run(lambda tx: _posted(tx, signatures, account))
    missing = [m for m in reversed(found) if not m.failed and m.signature not in posted]
    landings = [landing for landing in await history.landings(missing) if landing.movements]
    if not any(landing.moves_money for landing in landings):
        landings = []  # a claim alone is never posted
    whole = len(found) < HISTORY_ENTRIES_MAX
    return Evidence(landings, [t for t in of_account if t.signature not in signatures] if whole else [])


def _posted(tx: Tx, signatures: Iterable[str], account: Account) -> tuple[set[str], list[Transfer]]:
    posted = {row["signature"] for row in tx.rows("ledger.signatures", signatures=list(signatures))}
    name, asset = account
    rows = tx.rows("ledger.of_account_unreversed", account=name, asset=asset.value, limit=HISTORY_ENTRIES_MAX)
    return posted, [ledger.transfer_of(row) for row in rows]
