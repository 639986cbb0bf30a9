"""What the window makes of the agent's JSON, without a window."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine_gui import job_form, job_model, money_model
from engine_gui.cost_model import cost_view, review_pairs
from engine_gui.files_model import file_rows, nothing_words, summary
from engine_gui.job_form import JobForm
from engine_gui.job_notices import notice_of
from engine_gui.plot_model import MetricReader, UsageReader, plot_of
from engine_gui.timeline_model import event_rows, transaction_rows
from p2p.core.errors import UserError
from p2p.core.money import Asset
from p2p.testing import scripted_jobs as scripted


def test_a_job_becomes_a_row() -> None:
    row = job_model.job_row(scripted.job())
    assert (row.gpu, row.fraction, row.node[-5:]) == ("rtx4090", 0.42, "HyQ6X")
    assert job_model.cost_of_escrow(row.used_units, row.deposit_units, row.asset) == "0.083778 / 0.40 USDC"
    assert job_model.time_of_limit(row.used_seconds, row.timeout_s) == "12:34 / 1 h"
    assert job_model.short_peer("") == "–"


def test_a_transfer_comes_before_what_the_script_says() -> None:
    sending = scripted.job(transfer={"direction": "up", "done_bytes": 1, "total_bytes": 4})
    assert job_model.fraction(sending) == 0.25
    assert job_model.fraction(scripted.job("queued")) is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [({}, "Running"), ({"problem": scripted.problem()}, "Held up"), ({"cancel_wanted": True}, "Cancelling")],
)
def test_the_word_for_a_state(changes: dict[str, object], word: str) -> None:
    assert job_model.row_look(job_model.job_row(scripted.job(**changes))).word == word


def test_every_filter_finds_what_it_says() -> None:
    rows = [job_model.job_row(job) for job in scripted.jobs()]
    found = {
        name: {row.state for row in rows if accepts is None or accepts(row)}
        for name, accepts in job_model.filters()
    }
    assert found["All states"] == {row.state for row in rows}
    assert found["Waiting"] == {"opening", "queued"}
    assert found["Running"] == {"assigned", "staging", "running", "delivering"}
    assert found["Held up"] == {"delivering"}
    assert (found["Succeeded"], found["Failed or refunded"]) == ({"settled"}, {"refunded"})


def test_cancelling_says_what_it_does_to_the_money() -> None:
    assert dict(job_model.cancel_terms(scripted.job("queued"))[1]) == {
        "You pay": "0.000000 USDC",
        "Comes back": "0.400000 USDC",
    }
    assert dict(job_model.cancel_terms(scripted.job())[1])["Comes back, about"] == "0.316222 USDC"


def test_what_holds_a_job_up_comes_first() -> None:
    held = notice_of(scripted.job("queued", problem=scripted.problem(), misfits=scripted.misfits()))
    assert held is not None
    assert (held.what, len(held.rest)) == ("The disk is full: /srv/ml/out.", 2)
    waits = notice_of(scripted.job("queued", misfits=scripted.misfits()))
    assert waits is not None
    assert waits.rest[0] == "2 of 3 nodes are busy with other jobs"
    low = notice_of(scripted.job(used_seconds=3500, budget_used=0.97))
    assert low is not None
    assert low.what == "1:40 of its time are left."
    assert notice_of(scripted.job()) is None


def test_a_failure_is_said_once_and_with_the_money() -> None:
    failed = scripted.job(
        "refunded",
        failure="timeout",
        failure_words="Out of time.",
        detail="Out of time. 3600 s.",
    )
    notice = notice_of(failed | {"cost": scripted.cost(0)})
    assert notice is not None
    assert (notice.what, notice.rest) == (
        "Out of time. 3600 s.",
        ("0.40 USDC came back to your escrow balance.",),
    )


def test_the_bill_adds_up_to_the_unit() -> None:
    final = dict(money_model.cost_pairs(scripted.job("settled")))
    assert final["You paid"] == "0.083778 USDC"
    assert (final["Of it to the node"], final["To the platform, 10 %"]) == ("0.075401 USDC", "0.008377 USDC")
    assert final["Came back to you"] == "0.316222 USDC"
    assert dict(money_model.cost_pairs(scripted.job()))["Would come back now"] == "0.316222 USDC"


@pytest.mark.parametrize("dispute", [None, "open", "resolved", "withdrawn", "conceded", "expired", "newer"])
def test_a_claim_can_be_read_whatever_became_of_it(dispute: str | None) -> None:
    found = scripted.review(
        dispute=dispute,
        reason="\x1b[2Jempty",
        answer="<b>no</b>",
        decided_units=5,
        resolve_by_s=scripted.AT_S,
    )
    job = scripted.job("completed", review=found, disputed=dispute is not None)
    pairs = money_model.review_pairs(job)
    assert pairs[0] == ("Claimed by the node", "0.083778 USDC")
    assert all(text.isprintable() for pair in pairs for text in pair)
    assert money_model.can_dispute(job) is (dispute is None)


def test_the_panel_says_what_it_costs_and_who_could_run_it() -> None:
    found = cost_view(scripted.estimate())
    assert (found.most, found.can_run) == ("0.400000 USDC", False)
    assert found.costs[0] == ("cpu", "$0.04 an hour × 1 h = 0.04 USDC")
    assert found.reasons[1].startswith("1 of 3 nodes have less VRAM")
    assert found.wait.startswith("About 3 min 10 s: 2 ahead of it")
    assert cost_view(scripted.estimate(wait_s=0, slots_free=1)).wait == "None: a node is free."
    assert cost_view(scripted.estimate(wait_s=None)).wait.startswith("Not known")
    assert cost_view(scripted.estimate(slots=0, nodes_online=0)).nodes == "No node is online now."
    sol = scripted.estimate(asset="sol", deposit_units=2_000_000, asset_price_usd_micros=200_000_000)
    assert ("1 SOL", "$200.00, fixed for this job") in cost_view(sol).costs


def test_the_review_has_the_numbers_of_the_signed_terms() -> None:
    pairs = dict(review_pairs(scripted.plan(data_url="https://example.org/x.npz", network="outbound")))
    assert (pairs["Locked now"], pairs["Left in escrow"]) == ("0.400000 USDC", "19.600000 USDC")
    assert pairs["Data"] == "https://example.org/x.npz, fetched by the node"
    assert pairs["Network fees"] == "Paid by the coordinator"


# -- the form


def test_a_form_becomes_what_the_agent_takes() -> None:
    form = JobForm(
        script="/a/train.py", out="/a/out", data="/a/data", exclude=".git, *.tmp,", timeout="90 min",
        min_vram="8", max_price="$0.5", data_sha256="ab",
    )  # fmt: skip
    params = job_form.plan_params(form)
    choices = {"gpu_type": "any", "min_vram": 8.0, "timeout": 5400, "network": "none", "max_price": "$0.5"}
    assert params["overrides"] == choices
    assert (params["data"], params["data_url"], params["data_sha256"]) == ("/a/data", None, None)
    assert params["exclude"] == [".git", "*.tmp"]
    url = job_form.plan_params(JobForm(script="/a/t.py", data="HTTPS://example.org/x", data_sha256=" AB "))
    assert (url["data"], url["data_url"], url["data_sha256"]) == (None, "HTTPS://example.org/x", "ab")


def test_what_the_agent_would_not_understand_is_said_at_once() -> None:
    assert set(job_form.local_problems(JobForm(min_vram="much", timeout="soon"))) == {"min_vram", "timeout"}
    with pytest.raises(UserError):
        job_form.plan_params(JobForm(timeout="soon"))


def test_problems_of_the_agent_find_their_field() -> None:
    error = {**scripted.problem(), "what": "Wrong.", "hint": "Mend it."}
    names = ("script", "data_url", "network", "max_price", "config", "max_price")
    answer = scripted.measure(problems=[{"field": name, **error} for name in names], config=None)
    assert job_form.measured(answer).problems == dict.fromkeys(
        ("script", "data", "outbound", "max_price"), "Wrong. Mend it."
    )


def test_config_json_goes_in_and_out() -> None:
    form = JobForm(gpu_type="rtx4090", min_vram="8", max_price="$0.5", timeout="30 min", outbound=True)
    text = job_form.config_text(form)
    assert json.loads(text)["timeout"] == 1800
    back = job_form.with_config(JobForm(), text.encode())
    assert (back.gpu_type, back.min_vram, back.max_price, back.timeout, back.outbound) == (
        "rtx4090", "8", "0.50", "30 min", True,
    )  # fmt: skip
    with pytest.raises(UserError):
        job_form.with_config(form, b"[]")


@pytest.mark.parametrize(("seconds", "text"), [(7200, "2 h"), (5400, "90 min"), (61, "61 s")])
def test_a_time_limit_in_its_largest_unit(seconds: int, text: str) -> None:
    assert job_form.limit_text(seconds) == text


def test_a_finished_job_fills_the_form() -> None:
    job = scripted.job("settled", min_vram_bytes=8 << 30, timeout_s=5400)
    form = job_form.duplicate_of(job, job["request"], "/a/out-2")
    assert (form.script, form.data, form.exclude) == (
        "/srv/ml/train.py",
        "/srv/ml/data",
        ".git",
    )
    assert (form.min_vram, form.timeout, form.out) == ("8", "90 min", "/a/out-2")
    bare = job_form.duplicate_of(job, {}, "")
    assert job_form.missing(bare) == ("script", "Choose a script")


def test_what_is_dropped_finds_its_place() -> None:
    items = ["/a/train.py", "/a/requirements.txt", "/a/data", "/a/config.json"]
    form, config = job_form.sort_dropped(JobForm(), items, lambda item: item == "/a/data")
    assert (form.script, form.requirements, form.data, config) == tuple(items)
    assert job_form.sort_dropped(JobForm(), ["https://example.org/x.py"], lambda _: False)[0].data


def test_results_go_beside_the_script_into_a_folder_that_is_free() -> None:
    taken = {Path("/a/out"), Path("/a/out-2")}
    assert job_form.free_folder("/a/train.py", lambda path: path in taken) == "/a/out-3"
    assert job_form.free_folder("", lambda path: False) == ""


# -- history and plots


def test_history_leaves_out_steps_that_say_nothing() -> None:
    rows = event_rows(scripted.job())
    assert [row.look.word for row in rows] == [
        "Deposit in escrow",
        "Waiting for a node",
        "Node found",
        "Running",
    ]
    assert {row.by for row in rows} == {"This computer", "Coordinator"}
    assert [row.action for row in transaction_rows(scripted.job())] == ["Deposit locked", "Node assigned"]


@pytest.mark.parametrize(
    ("name", "plot"), [("train_loss", "loss"), ("val/Loss", "loss"), ("acc", "acc"), ("__", "__")]
)
def test_values_of_one_kind_share_a_plot(name: str, plot: str) -> None:
    assert plot_of(name) == plot


def test_a_row_that_counts_nothing_lies_where_the_one_before_does() -> None:
    rows = [
        {"line": 1, "epoch": 1.0, "step": None, "values": {"loss": 0.5}},
        {"line": 7, "epoch": None, "step": None, "values": {"test_accuracy": "nan"}},
    ]
    points = list(MetricReader().points({"rows": rows}))
    assert [(point.plot, point.axis, point.x) for point in points] == [
        ("loss", "epoch", 1.0),
        ("accuracy", "epoch", 1.0),
    ]


def test_lines_are_counted_when_steps_begin_anew_in_each_epoch() -> None:
    rows = [{"line": 3, "epoch": 1.0, "step": 9.0, "values": {"loss": 0.5}}]
    assert next(MetricReader().points({"rows": rows})).axis == "line"


def test_what_a_container_used_is_put_by_time() -> None:
    points = list(UsageReader().points(scripted.usage(2)))
    assert [(point.x, point.y) for point in points if point.series == "CPU"] == [(0.0, 1.5), (2.0, 1.5)]
    without_gpu = scripted.usage(1)
    without_gpu["samples"][0] |= {"gpu_percent": None, "gpu_memory_bytes": None}
    assert len(list(UsageReader().points(without_gpu))) == 3


def test_an_amount_has_no_more_zeros_than_cents() -> None:
    from gui_kit.words import amount_text

    assert amount_text(400_000, Asset.USDC) == "0.40 USDC"
    assert amount_text(83_778, Asset.USDC, symbol=False) == "0.083778"
    assert amount_text(1_000_000_000, Asset.SOL) == "1.00 SOL"


def test_files_say_how_they_stand_to_the_signed_root() -> None:
    rows = file_rows(scripted.results())
    assert [row.look.word for row in rows] == ["Verified", "Changed since", "Beside them"]
    assert [row.hash_kind for row in rows] == ["Leaf of 3 chunks", "SHA-256", ""]
    assert summary(scripted.results()).startswith("2 outputs, 9.0 MB.")
    assert nothing_words(scripted.job("refunded")).startswith("This job has no results")
    assert nothing_words(scripted.job()).startswith("Results appear here")
