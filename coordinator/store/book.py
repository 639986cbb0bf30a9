"""What the ledger knows of some transactions, and what came of reading them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coordinator.domain import ledger as rules
from coordinator.domain.book import VERDICTS, FeeSetting, Known, Pot, Reading
from coordinator.domain.ledger import Escrow
from coordinator.store import ledger
from coordinator.store.database import Row, Tx
from p2p.chain.movements import Landing
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset


def load(tx: Tx, landings: Sequence[Landing]) -> Known:
    """What a book needs to know to read ``landings``; under the ledger's lock it stays so."""
    movements = [movement for landing in landings for movement in landing.movements]
    addresses = list({movement.job for movement in movements if movement.job})
    pots = {row["address"]: _pot(row) for row in tx.rows("ledger.pots", addresses=addresses)}
    escrows = {(pot.escrow.owner, pot.escrow.job_id) for pot in pots.values()}
    escrows |= {(m.wallet, m.job_id) for m in movements if m.wallet and m.job_id}
    people = {who for m in movements for who in (m.wallet, m.node, m.fee_owner) if who}
    accounts = [rules.user(who) for who in people] + [rules.escrow(*escrow) for escrow in escrows]
    signatures = [landing.signature for landing in landings]
    first_slot = min((landing.slot for landing in landings), default=0)
    rows = tx.rows("ledger.balances", accounts=accounts)
    return Known(
        pots=pots,
        units={(row["account"], Asset(row["asset"])): row["units"] for row in rows},
        posted={row["transfer_id"] for row in tx.rows("ledger.of_signatures", signatures=signatures)},
        fees=[FeeSetting(row["slot"], row["fee_bps"]) for row in tx.rows("ledger.fees", slot=first_slot)],
        live=_standing(tx, escrows),
    )


def _standing(tx: Tx, escrows: Iterable[tuple[Wallet, JobId]]) -> dict[tuple[str, bool], rules.Transfer]:
    pairs = list(escrows)
    owners, job_ids = [owner for owner, _ in pairs], [job_id for _, job_id in pairs]
    found = {}
    for row in tx.rows("ledger.standing", owners=owners, job_ids=job_ids):
        transfer = ledger.transfer_of(row)
        found[rules.escrow(row["owner"], row["job_id"]), transfer.kind in VERDICTS] = transfer
    return found


def _pot(row: Row) -> Pot:
    escrow = Escrow(Wallet(row["owner"]), JobId(row["job_id"]), Asset(row["asset"]))
    return Pot(row["address"], escrow, row["fee_bps"], row["claimed_units"])


def keep(tx: Tx, landings: Sequence[Landing], reading: Reading, now_s: float) -> None:
    """Post what was read, and remember the rest. What could not be explained is kept, to be tried again."""
    ledger.post(tx, reading.transfers)
    pots = list(reading.pots.values())
    if pots:
        tx.execute(
            "ledger.keep_pots",
            addresses=[pot.address for pot in pots],
            owners=[pot.escrow.owner for pot in pots],
            job_ids=[pot.escrow.job_id for pot in pots],
            assets=[pot.escrow.asset.value for pot in pots],
            fees_bps=[pot.fee_bps for pot in pots],
            claimed=[pot.claimed_units for pot in pots],
        )
    for setting in reading.fees:
        tx.execute("ledger.keep_fee", slot=setting.slot, fee_bps=setting.fee_bps)
    done = [landing.signature for landing in landings if landing.signature not in reading.unexplained]
    tx.execute("ledger.posted_at_last", signatures=done)
    for landing in landings:
        reason = reading.unexplained.get(landing.signature)
        if reason is not None:
            put_off(tx, landing, reason, now_s)


def put_off(tx: Tx, landing: Landing, reason: str, now_s: float) -> None:
    """Keep a transaction that cannot be posted, to try it again."""
    tx.execute("ledger.put_off", signature=landing.signature, slot=landing.slot, reason=reason, now_s=now_s)
