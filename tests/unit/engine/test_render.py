"""What people read: amounts, plans, endings; and nothing in it that a stranger could use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.states import DisputeState
from p2p.core.text import is_clean
from p2p.engine import render, render_look

EVIL = "\x1b]0;owned\x07\x1b[2Jname\u202e\r\nnext"


def job(**fields: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "job_id": "ab" * 16,
        "name": "train",
        "state": "running",
        "stage": "following",
        "final": False,
        "succeeded": None,
        "created_at_s": 1_800_000_000.0,
        "asset": "usdc",
        "decimals": 6,
        "gpu_type": "any",
        "gpu_class": "cpu",
        "timeout_s": 3600,
        "attempt": 1,
        "node_peer_id": "12D3KooW",
        "used_seconds": 61,
        "deposit_units": 40_000,
        "used_units": 678,
        "progress": 0.25,
        "metrics": {},
        "transfer": None,
        "failure": None,
        "failure_words": "",
        "detail": "",
        "problem": None,
        "review": None,
        "cancel_wanted": False,
        "out": "/out",
        "verified_root": None,
        "cost": None,
    }
    return {**base, **fields}


COST = {
    "used_units": 100,
    "used_seconds": 9,
    "node_units": 90,
    "fee_units": 10,
    "refund_units": 39_900,
}


def plan(**fields: Any) -> dict[str, Any]:
    return {
        "name": "train",
        "script": "train.py",
        "files": 12,
        "bytes": 3_400_000,
        "known_bytes": 0,
        "data_url": "",
        "network": "none",
        "timeout_s": 3600,
        "asset": "usdc",
        "nodes_online": 5,
        "nodes_matching": 3,
        "misfits": [{"rule": "vram", "nodes": 2, "words": "have too little memory"}],
        "jobs_ahead": 1,
        "rates": [
            {"gpu_class": "rtx4090", "usd_micros_per_hour": 400_000, "units_per_hour": 400_000},
            {"gpu_class": "cpu", "usd_micros_per_hour": 40_000, "units_per_hour": 40_000},
        ],
        "cheapest_units": 40_000,
        "deposit_units": 400_000,
        "balance_units": 2_000_000,
        "fees_paid_by": "session key",
        "out": "/out",
        **fields,
    }


def text(pairs: Any) -> str:
    return "\n".join(f"{title} {line}" for title, line in pairs)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (3_400_000, "3.4 MB"),
        (10**10, "10.0 GB"),
        (10**17, "100000.0 TB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert render.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1 min 01 s"), (3600, "1 h 00 min"), (86400, "24 h 00 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert render.duration(seconds) == shown


def test_the_plan_says_what_is_sent_what_it_costs_and_what_comes_back() -> None:
    shown = text(render.plan_lines(plan(known_bytes=1_000_000)))
    for part in (
        "12 files, 3.4 MB, 1.0 MB of it hashed before",
        "3 of 5 online match now; 1 job ahead",
        "2 of 5 nodes have too little memory",
        "$0.04/h on cpu, $0.40/h on rtx4090",
        "0.400000 USDC if the whole time limit is used (0.040000 USDC on the cheapest class)",
        "0.400000 USDC: locked in escrow now, of 2.000000 USDC that you have there",
        "If the job fails, all of it comes back.",
        "/out",
    ):
        assert part in shown
    assert "internet" not in shown
    assert "SOL" not in shown
    assert "fees are paid by the coordinator" in text(render.plan_lines(plan(fees_paid_by="coordinator")))
    in_sol = plan(asset="sol", decimals=9, asset_price_usd_micros=152_340_000)
    assert "1 SOL = $152.34, fixed for this job" in text(render.plan_lines(in_sol))
    assert "internet" in text(render.plan_lines(plan(network="outbound")))


def test_the_status_line_has_time_cost_and_progress() -> None:
    assert render.status_line(job()) == "running · 1 min 01 s of 1 h 00 min · 0.000678 USDC so far · 25 %"
    transfer = {"direction": "down", "done_bytes": 500, "total_bytes": 1000}
    assert "fetching results 500 B of 1.0 KB" in render.status_line(job(transfer=transfer))
    assert render.fraction(job(transfer=transfer)) == 0.5
    assert render.fraction(job()) == 0.25
    assert render.fraction(job(state="staging")) is None


def test_an_ending_says_who_got_what() -> None:
    done = job(succeeded=True, final=True, state="settled", verified_root="cd" * 32, cost=COST)
    shown = text(render.ending_lines(done))
    assert "results in /out" in shown
    assert "0.000090 USDC to the node, 0.000010 USDC to the platform, 0.039900 USDC back to you" in shown
    failed = job(
        succeeded=False,
        final=True,
        state="refunded",
        failure="script_error",
        failure_words="The script ended with an error.",
        detail="The script ended with an error. Exit code 3.",
        cost={**COST, "used_units": 0, "refund_units": 40_000},
    )
    shown = text(render.ending_lines(failed))
    assert shown.count("The script ended with an error.") == 1
    assert "Exit code 3." in shown
    assert "0.040000 USDC: everything is back" in shown


def test_cancelling_says_what_it_costs() -> None:
    assert "whole deposit of 0.040000 USDC comes back" in render.cancel_question(job(used_units=0))
    assert "About 0.000678 USDC" in render.cancel_question(job())
    assert "0.039322 USDC come back" in render.cancel_question(job())


def test_a_waiting_job_says_per_rule_why() -> None:
    shown = text(
        render.show_lines(
            job(
                state="queued",
                input={"files": 2, "bytes": 10, "root": "ab" * 32},
                nodes_online=3,
                misfits=[{"rule": "gpu", "nodes": 1, "words": "has another GPU"}],
                result=None,
            )
        )
    )
    assert "nodes online: 3" in shown
    assert "1 of 3 nodes has another GPU" in shown


def test_a_problem_is_shown_whole() -> None:
    problem = {
        "family": "environment",
        "code": "disk_full",
        "what": "W.",
        "meaning": "M.",
        "hint": "H.",
        "retryable": True,
    }
    shown = text(
        render.show_lines(
            job(problem=problem, input={"files": 2, "bytes": 10, "root": "ab" * 32}, result=None)
        )
    )
    assert all(part in shown for part in ("W.", "M.", "H."))


@given(st.text(max_size=80))
def test_nothing_from_a_stranger_keeps_its_escape_codes(evil: str) -> None:
    lines = [
        *render.job_cells(job(name=evil)),
        render.event_line({"at_s": 0.0, "state": "failed", "detail": evil, "from": "coordinator"}),
        text(render.ending_lines(job(succeeded=False, failure="x", failure_words="Failed.", detail=evil))),
        *render.misfit_lines([{"rule": "x", "nodes": 1, "words": evil}], 1),
    ]
    assert all(is_clean(line) for line in "\n".join(lines).split("\n"))


def test_known_attacks_are_gone() -> None:
    for shown in (
        render.event_line({"at_s": 0.0, "state": "failed", "detail": EVIL, "from": "coordinator"}),
        text(render.ending_lines(job(succeeded=False, failure="x", failure_words="Failed.", detail=EVIL))),
        " ".join(render.job_cells(job(name=EVIL))),
    ):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "owned" not in shown


def test_steps_that_say_nothing_new_are_quiet_unless_they_explain_something() -> None:
    event = {"at_s": 0.0, "state": "closing", "detail": "", "from": "engine"}
    assert render.is_quiet(event)
    assert not render.is_quiet({**event, "detail": "data/x changed"})
    assert not render.is_quiet({**event, "from": "coordinator"})


def test_what_a_dispute_means_is_said_before_the_yes() -> None:
    terms = {
        "job_id": "ab" * 16,
        "asset": "usdc",
        "deposit_units": 1_000_000,
        "claimed_units": 250_000,
        "window_ends_at_s": 1_800_000_000.0,
        "resolve_by_s": 1_800_090_000.0,
    }
    lines = dict(render.dispute_lines(terms))
    assert lines["claimed"].startswith("0.250000 USDC of the 1.000000 USDC in escrow")
    assert "undisputed, it is paid then" in lines["until"]
    assert "an arbiter decides how much of the 0.250000 USDC the node gets" in lines["disputed"]
    assert "samples a few chunks of the outputs" in lines["evidence"]


def review(**changes: Any) -> dict[str, Any]:
    found = {
        "claimed_units": 250_000,
        "window_ends_at_s": 1_800_000_000.0,
        "dispute": "open",
        "reason": "\x1b[31mempty\nmodel",
        "answer": "",
        "opened_at_s": 1_799_000_000.0,
        "resolve_by_s": 1_800_090_000.0,
        "ended_at_s": 0.0,
        "decided_units": None,
    }
    return {"asset": "usdc", "final": False, "review": {**found, **changes}}


def test_a_claim_and_its_dispute_are_shown_clean() -> None:
    assert "you can dispute it until" in dict(render.review_lines(review(dispute=None)))["claim"]
    assert list(render.review_lines({**review(dispute=None), "final": True})) == []
    lines = dict(render.review_lines(review()))
    assert lines["reason"] == "empty model"
    assert lines["decision"].startswith("the arbiter's, until")
    assert "node says" not in lines
    decided = review(dispute="resolved", decided_units=100_000, answer="It\x9b31m ran.")
    lines = dict(render.review_lines(decided))
    assert lines["node says"] == "It ran."
    assert lines["decision"].startswith("the arbiter has decided")
    assert lines["decision"].endswith("0.100000 USDC paid")
    for state in DisputeState:
        assert list(render.review_lines(review(dispute=state.value, decided_units=0)))


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        ({"slots": 0, "wait_s": None}, "not known: no node that is online could run it"),
        ({"slots": 2, "wait_s": None}, "not known: all that could run it are busy"),
        ({"slots": 2, "wait_s": 0.0}, "none: a node is free"),
        (
            {
                "slots": 2,
                "slots_free": 0,
                "wait_s": 90.0,
                "jobs_ahead": 2,
                "mean_run_s": 60.0,
                "sampled_jobs": 5,
            },
            "about 1 min 30 s: 2 ahead, 2 places, 0 free; the last 5 such jobs took 1 min 00 s on average",
        ),
    ],
)
def test_a_wait_says_how_it_is_known(wait: dict[str, Any], words: str) -> None:
    assert render_look.wait_words(wait).startswith(words)
