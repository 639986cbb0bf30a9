"""How much longer a job may run, by its escrow's deadline; and which terms are an extension of which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator.domain.extending import Deadline, extended, is_extension
from p2p.core.agreement import run_limit_s
from p2p.core.errors import UserError
from p2p.core.ids import new_job_id
from p2p.core.limits import ATTEMPT_SLACK_S, CLAIM_MARGIN_S, STAGING_MAX_S, TIMEOUT_MAX_S
from p2p.core.messages.jobs import RateTerm, Terms
from p2p.core.money import USD_MICROS, Asset, cost_units
from p2p.core.states import JobState

LONGEST_S = 7 * 24 * 3600
SLACK_S = int(ATTEMPT_SLACK_S + CLAIM_MARGIN_S)
RATES = (RateTerm("cpu", 40_000, 40_000), RateTerm("rtx4090", 500_000, 500_000))
TERMS = Terms(
    job_id=new_job_id(),
    buyer="buyer",
    asset=Asset.USDC,
    rates=RATES,
    timeout_s=3600,
    deposit_units=500_000,
    fee_bps=1000,
    spec_hash=bytes(32),
    coordinator_wallet="coordinator",
    expires_at_s=1000,
    asset_price_usd_micros=USD_MICROS,
)


def test_a_running_job_may_go_on_until_there_is_just_time_to_be_paid() -> None:
    deadline = Deadline(run_s=0, at_s=100_000.0)
    assert deadline.longest_s(JobState.RUNNING, 10_000.0, now_s=50_000.0) == 90_000 - SLACK_S - 0
    assert Deadline(0, 10_000.0 + SLACK_S).longest_s(JobState.RUNNING, 10_000.0, 10_001.0) == 0


def test_a_job_that_has_not_begun_keeps_time_for_its_inputs() -> None:
    for state in (JobState.QUEUED, JobState.ASSIGNED, JobState.STAGING):
        fixed = Deadline(run_s=0, at_s=50_000.0).longest_s(state, None, now_s=10_000.0)
        assert fixed == 40_000 - STAGING_MAX_S - SLACK_S
        # Nobody is assigned on the chain yet: the deadline begins when somebody is.
        run_s = run_limit_s(3600, LONGEST_S)
        assert Deadline(run_s, None).longest_s(state, None, 10_000.0) == 3 * 3600


def test_no_job_becomes_longer_than_any_may_be() -> None:
    far = Deadline(0, 10**9)
    assert far.longest_s(JobState.RUNNING, 0.0, 1.0) == TIMEOUT_MAX_S


def test_an_extension_costs_the_dearest_rate_for_all_of_the_time() -> None:
    longer = extended(TERMS, 5400, now_s=2000.5)
    assert longer.deposit_units == cost_units(500_000, 5400)
    assert longer.expires_at_s > 2000
    assert replace(longer, timeout_s=3600, deposit_units=500_000, expires_at_s=1000) == TERMS
    with pytest.raises(UserError, match="more than can be moved"):
        extended(replace(TERMS, rates=(RateTerm("cpu", 1, 2**63),)), 5400, 0.0)


def test_nothing_but_time_and_deposit_may_differ() -> None:
    longer = extended(TERMS, 5400, 2000.0)
    assert is_extension(longer, TERMS)
    for bent in (
        TERMS,
        extended(TERMS, 3599, 2000.0),
        replace(longer, deposit_units=longer.deposit_units - 1),
        replace(longer, rates=RATES[:1]),
        replace(longer, fee_bps=0),
        replace(longer, job_id=new_job_id()),
        replace(longer, spec_hash=bytes([1] * 32)),
        replace(longer, asset_price_usd_micros=1),
    ):
        assert not is_extension(bent, TERMS)
    assert not is_extension(longer, longer)
