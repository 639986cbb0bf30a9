from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain import ledger
from coordinator.domain.ledger import Kind, Line, Transfer
from p2p.core.money import Asset

JOB = "0" * 32


def test_an_unbalanced_transfer_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="sum to zero"):
        Transfer("t", Kind.DEPOSIT, Asset.SOL, None, "", (Line("chain", -1), Line("user:a", 2)))


@given(st.integers(1, 2**53), st.data(), st.integers(0, 2000), st.booleans())
def test_a_job_moves_money_without_making_or_losing_any(
    deposit: int, data: st.DataObject, fee_bps: int, own_node: bool
) -> None:
    used = data.draw(st.integers(0, deposit))
    node = "buyer" if own_node else "node"
    sums: dict[str, int] = {}
    transfers = (
        ledger.deposit("buyer", Asset.USDC, deposit, "s1"),
        ledger.open_job("buyer", JOB, Asset.USDC, deposit, "s2"),
        ledger.settle(
            buyer="buyer",
            node=node,
            job_id=JOB,
            asset=Asset.USDC,
            deposit_units=deposit,
            used_units=used,
            fee_bps=fee_bps,
            signature="s3",
        ),
    )
    for transfer in transfers:
        for line in transfer.lines:
            sums[line.account] = sums.get(line.account, 0) + line.units
    fee = used * fee_bps // 10_000
    assert sum(sums.values()) == 0
    assert sums[ledger.escrow(JOB)] == 0
    assert sums.get(ledger.FEES, 0) == fee
    kept = deposit - used + (used - fee if own_node else 0)
    assert sums["user:buyer"] == kept
    assert sums[ledger.CHAIN] == -deposit


def test_lines_come_in_one_order_of_accounts() -> None:
    lines = ledger.open_job("zz", JOB, Asset.SOL, 5, "").lines
    assert [line.account for line in lines] == sorted(line.account for line in lines)


def test_a_refund_undoes_an_opening() -> None:
    opening = ledger.open_job("buyer", JOB, Asset.SOL, 5, "")
    back = ledger.refund("buyer", JOB, Asset.SOL, 5, "")
    assert {line.account: line.units for line in back.lines} == {
        line.account: -line.units for line in opening.lines
    }


def test_using_more_than_the_deposit_is_impossible() -> None:
    with pytest.raises(ValueError, match="not within"):
        ledger.settle(
            buyer="b",
            node="n",
            job_id=JOB,
            asset=Asset.SOL,
            deposit_units=5,
            used_units=6,
            fee_bps=0,
            signature="",
        )


def test_fees_go_to_their_own_account() -> None:
    out = ledger.withdraw("owner", Asset.SOL, 5, "s", ledger.FEES)
    assert out.lines == (Line("chain", 5), Line("fees", -5))
