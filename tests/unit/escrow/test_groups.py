"""As many actions as the coordinator signs at once fit a transaction, by bytes and by compute units."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from solders.instruction import Instruction

from p2p.chain.keys import Signer
from p2p.chain.sandbox import REVIEW_WINDOW_S, SOL, Sandbox
from p2p.core.ids import JobId
from p2p.core.limits import GROUP_ACTIONS_MAX, PRIORITY_FEE_MAX_MICROLAMPORTS
from p2p.core.money import Asset

DEPOSIT, RESULT = 1_000_007, b"\x22" * 32


class Crowd:
    """Jobs of as many buyers and nodes, in both assets by turns: no two share more than they must."""

    def __init__(self, seed: int) -> None:
        self.box = Sandbox(seed=seed)
        people = range(GROUP_ACTIONS_MAX)
        self.assets = [list(Asset)[number % 2] for number in people]
        self.buyers = [self.box.person() for _ in people]
        self.nodes = [self.box.signer() for _ in people]
        self.job_ids = [self.open(number) for number in people]

    def open(self, number: int) -> JobId:
        build, buyer, asset = self.box.build, self.buyers[number], self.assets[number]
        self.box.must(build.deposit(buyer.address, asset, SOL), buyer)
        job_id = self.box.job_id()
        step = build.open(
            buyer.address,
            buyer.address,
            job_id,
            asset,
            deposit_units=DEPOSIT,
            terms_hash=RESULT,
            run_s=600,
        )
        self.box.must(step, buyer)
        return job_id

    def all(self, build: Callable[[Signer, JobId, Asset, Signer], Instruction]) -> None:
        """One step for each job in one transaction."""
        people = zip(self.buyers, self.job_ids, self.assets, self.nodes, strict=True)
        self.box.must([build(*each) for each in people], self.box.coordinator)

    def assign(self) -> None:
        box, by = self.box, self.box.coordinator.address
        self.all(lambda b, j, a, n: box.build.assign(by, b.address, j, a, n.address, box.fee_owner.address))

    def claim(self) -> None:
        build, by = self.box.build, self.box.coordinator.address
        self.all(lambda b, j, a, n: build.claim(by, b.address, j, DEPOSIT, RESULT))

    def refund(self) -> None:
        build, by = self.box.build, self.box.coordinator.address
        self.all(lambda b, j, a, n: build.refund(by, b.address, j, a))

    def finalize(self) -> None:
        box = self.box
        box.set_time(box.now_s + REVIEW_WINDOW_S + 1)
        self.all(lambda b, j, a, n: box.build.finalize(b.address, j, a, n.address, box.fee_owner.address))

    def close(self) -> None:
        self.all(lambda b, j, a, n: self.box.build.close(b.address, j, b.address))


@pytest.mark.parametrize("seed", range(3))
def test_every_kind_fits(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # a fee on top is one more instruction of every transaction
    monkeypatch.setattr("p2p.chain.sandbox.Recent", _with_fee)
    crowd = Crowd(seed)
    crowd.assign()
    crowd.claim()
    crowd.finalize()
    crowd.close()
    returned = Crowd(seed + 100)
    returned.assign()
    returned.refund()
    returned.close()


def _with_fee(blockhash: object, height: int) -> object:
    from p2p.chain.transaction import Recent

    return Recent(blockhash, height, PRIORITY_FEE_MAX_MICROLAMPORTS)  # type: ignore[arg-type]
