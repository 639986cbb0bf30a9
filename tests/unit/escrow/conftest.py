"""The escrow program on stage: a buyer, a node, a stranger, and jobs in every state."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from solders.instruction import Instruction

from p2p.chain.accounts import OnChainJob
from p2p.chain.keys import Signer
from p2p.chain.sandbox import SOL, Ran, Sandbox
from p2p.core.ids import JobId
from p2p.core.money import Asset

TERMS, RESULT = b"\x11" * 32, b"\x22" * 32
FUNDS, DEPOSIT, RUN_S = 10 * SOL, 1_000_000_007, 600


@dataclass
class Stage:
    """Everybody has money; nothing has happened yet. Shortcuts build, send, and check the books."""

    asset: Asset
    box: Sandbox = field(default_factory=Sandbox)

    def __post_init__(self) -> None:
        self.build = self.box.build
        self.buyer, self.node, self.stranger, self.session = (self.box.person() for _ in range(4))
        self.coordinator, self.arbiter, self.fee_owner = (
            self.box.coordinator,
            self.box.arbiter,
            self.box.fee_owner,
        )

    def deposit(self, who: Signer | None = None, units: int = FUNDS) -> Ran:
        person = who or self.buyer
        return self.box.must(self.build.deposit(person.address, self.asset, units), person)

    def authorize(self, units: int = FUNDS, seconds: int = 3600, asset: Asset | None = None) -> Ran:
        expires_at_s = self.box.now_s + seconds
        step = self.build.authorize(
            self.buyer.address, self.session.address, asset or self.asset, units, expires_at_s
        )
        return self.box.must(step, self.buyer)

    def ix_open(
        self, job_id: JobId, actor: Signer | None = None, units: int = DEPOSIT, run_s: int = RUN_S
    ) -> Instruction:
        return self.build.open(
            (actor or self.buyer).address,
            self.buyer.address,
            job_id,
            self.asset,
            deposit_units=units,
            terms_hash=TERMS,
            run_s=run_s,
        )

    def opened(self, units: int = DEPOSIT, run_s: int = RUN_S) -> JobId:
        if self.balance(self.buyer) < units:
            self.deposit(units=max(FUNDS, units))
        job_id = self.box.job_id()
        self.box.must(self.ix_open(job_id, units=units, run_s=run_s), self.buyer)
        return job_id

    def ix_assign(self, job_id: JobId, node: Signer | None = None) -> Instruction:
        return self.build.assign(
            self.coordinator.address,
            self.buyer.address,
            job_id,
            self.asset,
            (node or self.node).address,
            self.fee_owner.address,
        )

    def assigned(self, units: int = DEPOSIT, run_s: int = RUN_S) -> JobId:
        job_id = self.opened(units, run_s)
        self.box.must(self.ix_assign(job_id), self.coordinator)
        return job_id

    def ix_settle(self, job_id: JobId, used: int, actor: Signer | None = None) -> Instruction:
        return self.build.settle(
            self.coordinator.address,
            (actor or self.buyer).address,
            self.buyer.address,
            job_id,
            self.asset,
            node=self.node.address,
            fee_owner=self.fee_owner.address,
            used_units=used,
            result_hash=RESULT,
        )

    def ix_claim(self, job_id: JobId, used: int) -> Instruction:
        return self.build.claim(self.coordinator.address, self.buyer.address, job_id, used, RESULT)

    def claimed(self, used: int = DEPOSIT // 2) -> JobId:
        job_id = self.assigned()
        self.box.must(self.ix_claim(job_id, used), self.coordinator)
        return job_id

    def ix_dispute(self, job_id: JobId, actor: Signer | None = None) -> Instruction:
        return self.build.dispute((actor or self.buyer).address, self.buyer.address, job_id)

    def disputed(self, used: int = DEPOSIT // 2) -> JobId:
        job_id = self.claimed(used)
        self.box.must(self.ix_dispute(job_id), self.buyer)
        return job_id

    def ix_resolve(self, job_id: JobId, used: int) -> Instruction:
        return self.build.resolve(
            self.arbiter.address,
            self.buyer.address,
            job_id,
            self.asset,
            node=self.node.address,
            fee_owner=self.fee_owner.address,
            used_units=used,
        )

    def ix_finalize(self, job_id: JobId) -> Instruction:
        return self.build.finalize(
            self.buyer.address, job_id, self.asset, self.node.address, self.fee_owner.address
        )

    def ix_cancel(self, job_id: JobId, actor: Signer | None = None) -> Instruction:
        return self.build.cancel((actor or self.buyer).address, self.buyer.address, job_id, self.asset)

    def ix_refund(self, job_id: JobId, by: Signer | None = None) -> Instruction:
        return self.build.refund((by or self.coordinator).address, self.buyer.address, job_id, self.asset)

    def ix_reclaim(self, job_id: JobId) -> Instruction:
        return self.build.reclaim(self.buyer.address, job_id, self.asset)

    def job(self, job_id: JobId) -> OnChainJob:
        return self.box.job(self.buyer.address, job_id)

    def balance(self, who: Signer) -> int:
        return self.box.balance(who.address, self.asset)

    def balances(self) -> tuple[int, int, int]:
        """Buyer, node, fee owner."""
        return self.balance(self.buyer), self.balance(self.node), self.balance(self.fee_owner)

    def refused(self, error: str, step: Instruction, payer: Signer, *signers: Signer) -> None:
        """The step fails with this error, and the books are as before."""
        ran = self.box.send(step, payer, *signers)
        assert ran.error == error, ran.logs
        self.box.check_books()


@pytest.fixture(params=list(Asset), ids=lambda asset: asset.value)
def stage(request: pytest.FixtureRequest) -> Stage:
    return Stage(request.param)


@pytest.fixture
def sol_stage() -> Stage:
    return Stage(Asset.SOL)


@pytest.fixture
def usdc_stage() -> Stage:
    return Stage(Asset.USDC)
