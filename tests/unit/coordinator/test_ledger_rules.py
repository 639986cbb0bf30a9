from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain import ledger
from coordinator.domain.ledger import FIRST_HASH, Cause, Escrow, Kind, Line, Payees, Transfer, link
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset

CAUSE = Cause("s", 7, 100)
POT = Escrow(Wallet("buyer"), JobId("0" * 32), Asset.USDC)


def paid(held: int, used: int, fee_bps: int = 0, node: str = "node") -> Transfer:
    return ledger.settle(POT, held, used, Payees(node, "owner", fee_bps), CAUSE)


def test_an_unbalanced_transfer_cannot_be_made() -> None:
    lines = (Line("chain", -1), Line("user:a", 2))
    with pytest.raises(ValueError, match="sum to zero"):
        Transfer("t", Kind.DEPOSIT, Asset.SOL, None, None, "", None, 0, lines)


@given(st.integers(1, 2**53), st.data(), st.integers(0, 2000), st.sampled_from(["node", "buyer", "owner"]))
def test_a_job_moves_money_without_making_or_losing_any(
    held: int, data: st.DataObject, fee_bps: int, node: str
) -> None:
    first = data.draw(st.integers(1, held))
    used = data.draw(st.integers(0, held))
    sums: dict[str, int] = {}
    transfers = [
        ledger.deposit("buyer", Asset.USDC, held, CAUSE),
        ledger.open_job(POT, first, CAUSE),
        ledger.top_up(POT, held - first, CAUSE),
        paid(held, used, fee_bps, node),
    ]
    for transfer in transfers:
        for line in transfer.lines:
            sums[line.account] = sums.get(line.account, 0) + line.units
    fee = used * fee_bps // 10_000
    expected = {"buyer": held - used, "node": 0, "owner": 0}
    expected[node] += used - fee
    expected["owner"] += fee
    assert sum(sums.values()) == 0
    assert sums[POT.account] == 0
    assert {who: sums.get(ledger.user(who), 0) for who in expected} == expected
    assert sums[ledger.CHAIN] == -held


def test_lines_come_in_one_order_of_accounts() -> None:
    with pytest.raises(ValueError, match="order"):
        replace(paid(10, 4), lines=paid(10, 4).lines[::-1])
    lines = ledger.open_job(replace(POT, owner=Wallet("zz")), 5, CAUSE).lines
    assert [line.account for line in lines] == sorted(line.account for line in lines)


def test_a_refund_undoes_an_opening_and_a_reversal_anything() -> None:
    opening = ledger.open_job(POT, 5, CAUSE)
    for back in (ledger.refund(POT, 5, CAUSE), ledger.reversal(opening, 3)):
        assert {line.account: -line.units for line in back.lines} == {
            line.account: line.units for line in opening.lines
        }


def test_using_more_than_the_escrow_holds_is_impossible() -> None:
    with pytest.raises(ValueError, match="not within"):
        paid(5, 6)


def test_two_people_who_chose_the_same_job_id_have_two_escrows() -> None:
    accounts = [ledger.escrow(owner, POT.job_id) for owner in ("A", "B")]
    assert len(set(accounts)) == 2
    assert [ledger.escrow_of(account) for account in accounts] == [("A", POT.job_id), ("B", POT.job_id)]


def test_the_calls_of_one_transaction_have_ids_of_their_own() -> None:
    ids = {replace(CAUSE, count=count).transfer_id(kind) for kind in Kind for count in (1, 2, 3)}
    assert len(ids) == 3 * len(Kind)


def test_the_hash_is_that_of_the_text_in_the_documentation() -> None:
    """An outsider computes it from these lines alone."""
    text = "\n".join(
        (
            "00" * 32,
            "1",
            "open:s",
            "open",
            "usdc",
            "buyer",
            "0" * 32,
            "s",
            "7",
            "100",
            "",
            "0",
            f"escrow:buyer:{'0' * 32} 5",
            "user:buyer -5",
        )
    )
    assert link(FIRST_HASH, 1, ledger.open_job(POT, 5, CAUSE)) == sha256(text.encode()).digest()


def test_every_part_of_a_transfer_is_in_its_hash() -> None:
    transfer = paid(10, 4)
    changed = [
        replace(transfer, transfer_id="x"),
        replace(transfer, kind=Kind.REFUND),
        replace(transfer, asset=Asset.SOL),
        replace(transfer, owner="x"),
        replace(transfer, job_id="1" * 32),
        replace(transfer, signature="x"),
        replace(transfer, slot=8),
        replace(transfer, at_s=101),
        replace(transfer, reverses="x"),
        replace(transfer, version=1),
        replace(transfer, lines=paid(10, 5).lines),
    ]
    hashes = {link(FIRST_HASH, 1, each) for each in (transfer, *changed)}
    hashes |= {link(FIRST_HASH, 2, transfer), link(bytes([1]) * 32, 1, transfer)}
    assert len(hashes) == len(changed) + 3
