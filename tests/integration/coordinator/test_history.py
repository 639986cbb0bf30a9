from __future__ import annotations

from coordinator.domain.ledger import FEES, Kind
from coordinator.service.history import transfers_of
from p2p.chain.history import HistoryEntry
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset

ME = Wallet("M" * 40)
JOB = JobId("0" * 32)


def entry(kind: str, units: int, signature: str, job_id: JobId | None = None) -> HistoryEntry:
    return HistoryEntry(kind, units, Asset.USDC, signature, 1, job_id)


def test_history_becomes_transfers_oldest_first() -> None:
    history = [  # newest first; within a transaction in its own order
        entry("withdraw", 1, "s4"),
        entry("cancel", 3, "s3", JOB),
        entry("deposit", 5, "s2"),
        entry("deposit", 6, "s2"),
        entry("open", 3, "s2", JOB),
        entry("authorize", 0, "s1"),
        entry("settle", 9, "s0", JOB),
    ]
    found = list(transfers_of(ME, history, fee_owner=False))
    assert [(transfer.transfer_id, transfer.kind) for transfer in found] == [
        ("deposit:s2", Kind.DEPOSIT),
        ("deposit:s2:2", Kind.DEPOSIT),
        (f"open:{JOB}", Kind.OPEN),
        (f"refund:{JOB}", Kind.REFUND),
        ("withdraw:s4", Kind.WITHDRAW),
    ]


def test_the_fee_owner_withdraws_fees() -> None:
    (transfer,) = transfers_of(ME, [entry("withdraw", 4, "s")], fee_owner=True)
    assert {line.account: line.units for line in transfer.lines} == {"chain": 4, FEES: -4}
