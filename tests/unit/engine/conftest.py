"""A job's messages, well-formed, to be bent by the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from p2p.core.ids import Wallet
from p2p.core.jobspec import JobConfig, JobSpec
from p2p.core.messages.jobs import JobView, RateTerm, ResultStatement, Terms
from p2p.core.money import USD_MICROS, Asset, cost_units
from p2p.core.signing import Domain, Signed, signing_input, statement_hash
from p2p.core.states import JobState
from p2p.engine.live import LiveJob
from p2p.net.identity import PeerIdentity
from p2p.store.engine import JobRow
from p2p.store.stages import Stage
from p2p.wire.codec import encode

JOB = "ab" * 16
BUYER = Wallet("5txsqJwt8GkBo3njudN1mRg8CJkwE7UQBtnyXp4R5qX4")
NOW_S = 1_800_000_000.0


@dataclass
class Deal:
    """A job that two honest sides agreed on."""

    spec: JobSpec
    terms: Terms
    view: JobView
    statement: ResultStatement
    coordinator: PeerIdentity
    node: PeerIdentity

    def sign_terms(self, terms: Terms | None = None, by: PeerIdentity | None = None) -> Signed:
        return sign(by or self.coordinator, Domain.TERMS, encode(terms or self.terms))

    def sign_statement(
        self, statement: ResultStatement | None = None, by: PeerIdentity | None = None
    ) -> Signed:
        return sign(by or self.node, Domain.RESULT, encode(statement or self.statement))


def sign(identity: PeerIdentity, domain: Domain, payload: bytes) -> Signed:
    return Signed(payload, identity.peer_id, identity.sign(signing_input(domain, payload)))


@pytest.fixture
def deal() -> Deal:
    coordinator, node = PeerIdentity.ephemeral(), PeerIdentity.ephemeral()
    config = JobConfig(timeout_s=600, max_price_usd_micros_per_hour=500_000)
    spec = JobSpec("train", "train.py", config, b"r" * 32, 10, 1, False, Asset.USDC)
    rates = (RateTerm("cpu", 40_000, 40_000), RateTerm("rtx4090", 400_000, 400_000))
    terms = Terms(
        job_id=JOB,
        buyer=BUYER,
        asset=Asset.USDC,
        rates=rates,
        timeout_s=600,
        deposit_units=cost_units(400_000, 600),
        fee_bps=1000,
        spec_hash=statement_hash(Domain.SPEC, encode(spec)),
        coordinator_wallet="coordinator",
        expires_at_s=int(NOW_S) + 900,
        asset_price_usd_micros=USD_MICROS,
    )
    view = JobView(
        job_id=JOB,
        name="train",
        buyer=BUYER,
        state=JobState.DELIVERING,
        revision=5,
        epoch=2,
        attempt=2,
        created_at_s=NOW_S,
        updated_at_s=NOW_S + 60,
        asset=Asset.USDC,
        deposit_units=terms.deposit_units,
        fee_bps=1000,
        timeout_s=600,
        gpu_type="any",
        gpu_class="cpu",
        rate_units_per_hour=40_000,
        node_peer_id=node.peer_id,
        node_wallet="node",
        used_seconds=30,
    )
    statement = ResultStatement(
        job_id=JOB,
        epoch=2,
        input_root=b"r" * 32,
        image_digest="sha256:00",
        output_root=b"o" * 32,
        output_bytes=5,
        output_files=1,
        log_sha256=b"l" * 32,
        log_bytes=7,
        exit_code=0,
        started_at_s=NOW_S,
        finished_at_s=NOW_S + 29.5,
        run_seconds=29.5,
        cpu_seconds=1.0,
        memory_peak_bytes=1,
    )
    return Deal(spec, terms, view, statement, coordinator, node)


@pytest.fixture
def make_job(deal: Deal) -> Callable[[], tuple[JobRow, LiveJob]]:
    """A job's row as the journal has it while results are being fetched."""

    def make(**changes: Any) -> tuple[JobRow, LiveJob]:
        values: dict[str, Any] = dict.fromkeys(JobRow.__dataclass_fields__)
        values |= {
            "job_id": JOB,
            "revision": 5,
            "stage": Stage.FETCHING,
            "created_at_s": NOW_S,
            "spec": encode(deal.spec),
            "out_folder": "/out",
            "terms": encode(deal.sign_terms()),
            "view": encode(deal.view),
            "statement": encode(deal.sign_statement()),
            "cancel_wanted": False,
            "topup_signature": "",
            "escrow_units": 0,
        }
        return JobRow(**{**values, **changes}), LiveJob(JOB)

    return make
