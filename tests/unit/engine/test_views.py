"""Jobs as JSON: what is true at each stage, and money that adds up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from p2p.core.money import cost_units
from p2p.core.states import FailureCode, JobState
from p2p.engine.live import Direction, Transfer
from p2p.engine.views import job_details, job_to_json
from p2p.store.stages import Stage
from p2p.wire.codec import encode


def test_while_it_runs_the_cost_grows_with_the_metered_seconds(deal: Any, make_job: Any) -> None:
    row, live = make_job(view=encode(replace(deal.view, state=JobState.RUNNING)), stage=Stage.FOLLOWING)
    shown = job_to_json(row, live)
    assert shown["used_units"] == cost_units(40_000, 30)
    assert (shown["state"], shown["final"], shown["succeeded"], shown["cost"]) == (
        "running",
        False,
        None,
        None,
    )


def test_the_chain_has_the_last_word_on_the_cost(make_job: Any) -> None:
    row, live = make_job(stage=Stage.SETTLED, charged_units=321, fetched_at_s=1.0)
    shown = job_to_json(row, live)
    cost = shown["cost"]
    assert shown["used_units"] == cost["used_units"] == 321
    assert cost["node_units"] + cost["fee_units"] + cost["refund_units"] == cost["deposit_units"]
    assert cost["fee_units"] == 32
    assert shown["succeeded"] is True
    assert shown["verified_root"] == (b"o" * 32).hex()


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.REFUNDED])
def test_a_job_that_ended_badly_costs_what_the_coordinator_charges(
    deal: Any, make_job: Any, state: JobState
) -> None:
    view = replace(deal.view, state=state, failure=FailureCode.TIMEOUT, used_units=0)
    row, live = make_job(view=encode(view), stage=Stage.CLOSING)
    assert job_to_json(row, live)["used_units"] == 0
    assert job_to_json(row, live)["failure"] == "timeout"


def test_a_cancelled_job_that_paid_for_its_time_did_not_succeed(make_job: Any) -> None:
    row, live = make_job(stage=Stage.SETTLED, charged_units=5)
    assert job_to_json(row, live)["succeeded"] is False


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.OPENING])
def test_every_stage_can_be_shown_as_json(make_job: Any, stage: Stage) -> None:
    row, live = make_job(stage=stage)
    live.transfer = Transfer(Direction.DOWN, 1, 2)
    shown = job_details(row, live, ())
    assert json.loads(json.dumps(shown)) == shown
    bare, live = make_job(stage=stage, view=None, terms=None, statement=None)
    json.dumps(job_details(bare, live, ()))


def test_transactions_can_be_looked_at_where_their_chain_is_seen(make_job: Any) -> None:
    row, live = make_job(open_signature="abc", dispute_signature="def")
    shown = job_details(row, live, (), "devnet")["transactions"]
    assert (shown[0]["action"], shown[-1]["action"]) == ("open", "dispute")
    assert shown[0]["explorer"] == "https://explorer.solana.com/tx/abc?cluster=devnet"
    assert {entry["explorer"] for entry in job_details(row, live, ())["transactions"]} == {None}
