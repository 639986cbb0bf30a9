"""What the seller's window computes from its agent's answers, without a window."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC
from typing import Any

import pytest

from node_gui.attempts import attempt_row, dispute_words, how_far, limits_of
from node_gui.checks import check_of, in_order, title_of, verdict
from node_gui.earned import DAYS_SHOWN, MONTHS_SHOWN, bars, earned_row, pay_words, periods_of
from node_gui.machine import gpu_cards, gpu_series, machine_facts, offered_after, use_series
from node_gui.moving import check_covered, withdrawn_words
from node_gui.outlook import outlook_lines
from node_gui.rates import own_rates
from node_gui.standing import standing
from node_gui.telling import number_of, telling
from p2p.core.earnings import By
from p2p.core.errors import UserError
from p2p.core.money import Asset
from p2p.testing.node_answers import PROJECTION, RATES
from p2p.testing.node_machine import GPUS, HARDWARE, sample

NOW_S = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC
DAY_S = 86400.0


def entry(at_s: float, units: int, pay: str = "paid", asset: str = "usdc") -> dict[str, Any]:
    return {
        "job_id": f"{int(at_s)}-{units}", "name": "digits", "at_s": at_s, "asset": asset, "net_units": units,
        "fee_units": units // 10, "used_seconds": 60.0, "pay": pay, "review_ends_at_s": None,
        "signature": "5V",
    }  # fmt: skip


def job(**changes: Any) -> dict[str, Any]:
    found = {
        "job_id": "a" * 32, "epoch": 2, "name": "digits", "phase": "running", "gpu_uuid": "",
        "accepted_at_s": 1.0, "run_seconds": 900.0, "timeout_s": 3600, "failure": None, "detail": "",
        "staged_bytes": None, "staging_bytes": None,
    }  # fmt: skip
    return found | changes


def test_bars_show_empty_days_and_months_too() -> None:
    entries = [entry(NOW_S, 5), entry(NOW_S, 2, "in_review"), entry(NOW_S - 40 * DAY_S, 9)]
    days = bars(periods_of(entries, By.DAY, UTC), By.DAY, Asset.USDC, NOW_S, UTC)
    assert len(days) == DAYS_SHOWN
    assert (days[-1].period, days[-1].paid_units, days[-1].unpaid_units) == ("2026-09-21", 5, 2)
    assert days[-1].words == "2026-09-21: 0.000005 USDC + 0.000002 USDC"
    assert sum(day.paid_units for day in days[:-1]) == 0
    months = bars(periods_of(entries, By.MONTH, UTC), By.MONTH, Asset.USDC, NOW_S, UTC)
    assert len(months) == MONTHS_SHOWN
    assert [(month.period, month.paid_units) for month in months[-2:]] == [("2026-08", 9), ("2026-09", 5)]
    assert months[0].period == "2025-10"


def test_only_what_is_paid_has_a_transaction() -> None:
    assert earned_row(entry(NOW_S, 1)).signature == "5V"
    assert earned_row(entry(NOW_S, 1, "in_review")).signature == ""


REVIEWS = [
    (None, "In review"),
    (-1.0, "Review over, being paid"),
    (30.0, "In review, 1 min left"),
    (7300.0, "In review, 2 h left"),
]


@pytest.mark.parametrize(("left_s", "words"), REVIEWS)
def test_how_long_a_review_takes(left_s: float | None, words: str) -> None:
    assert pay_words("In review", left_s) == words


def test_how_far_an_attempt_is() -> None:
    assert how_far(attempt_row(job())) == ("15:00 of at most 1:00:00", 0.25)
    staging = job(phase="staging", run_seconds=0.0, staged_bytes=250_000, staging_bytes=1_000_000)
    assert how_far(attempt_row(staging)) == ("250 kB of 1.0 MB", 0.25)
    assert how_far(attempt_row(job(phase="cleaned"))) == ("ran 15:00", None)
    assert how_far(attempt_row(job(phase="assigned", run_seconds=0.0))) == ("", None)
    assert how_far(attempt_row(job(run_seconds=99_999.0)))[1] == 1.0


def test_what_a_script_says_of_its_progress_goes_before_its_limit() -> None:
    assert how_far(attempt_row(job(progress=0.5))) == ("15:00 of at most 1:00:00 · 50%", 0.5)


def test_what_an_attempt_earned() -> None:
    pay = {"asset": "usdc", "state": "running", "estimate": True, "net_units": 5, "fee_units": 1}
    assert attempt_row(job(pay=pay)).earned == "about 0.000005 USDC"
    assert attempt_row(job(pay=pay | {"estimate": False, "state": None})).pay_look is None
    assert attempt_row(job(pay=pay | {"net_units": None})).earned == "–"
    assert attempt_row(job()).earned == "–"


def test_a_dispute_in_words() -> None:
    found = {"state": "open", "reason": "no files", "decide_until_s": NOW_S, "decided_units": None}
    words = dispute_words(job(dispute=found))
    assert words.startswith("The buyer disputes this job (open): no files\nThe arbiter decides until ")
    assert words.endswith(f"cyxwiz-node answer {'a' * 12} --text …")
    assert "arbiter" not in dispute_words(job(dispute=found | {"decided_units": 5}))
    assert dispute_words(job()) == ""


def test_what_a_sandbox_allows() -> None:
    limits = {"cpus": 1.5, "memory_bytes": 10**9, "disk_bytes": 10**10, "network": "none", "timeout_s": 60}
    assert dict(limits_of(job(limits=limits))) == {
        "Time": "1:00",
        "CPUs": "1.5",
        "Memory": "1.0 GB",
        "Output": "10.0 GB",
        "Internet": "none",
        "GPU": "none, CPU only",
    }
    assert "allowed" in dict(limits_of(job(limits=limits | {"network": "outbound"})))["Internet"]


def test_the_outlook_names_its_window_and_what_came_true() -> None:
    ahead, came, power = outlook_lines(PROJECTION)
    assert ahead == "At the pace of the last 7 days: 20.901428 USDC in 30 days."
    assert came == "For these 7 days it had said 5.120000 USDC; 4.877000 USDC came."
    assert power == "Electricity of the last 7 days: $0.297 (180 W as set). Left of the USDC: $4.58."
    assert outlook_lines({"assets": [], "electricity": None}) == ("", "", "")


def test_the_machine_in_words_and_series() -> None:
    cards = gpu_cards(HARDWARE)
    assert [(card.state, card.offered) for card in cards] == [
        ("Works on a job", True),
        ("Not offered", False),
    ]
    assert dict(cards[0].facts)["Power"] == "300 W"
    assert dict(machine_facts(HARDWARE))["Processors"] == "16, 50 % in use"
    assert dict(machine_facts(HARDWARE | {"reading": None}))["Processors"] == "16, – in use"
    points = [sample(100.0, 0.5), {**sample(160.0, 0.5), "gpus": []}]
    use = use_series(points, 160.0, 60.0, 16, 64 << 30)
    assert use["CPU"] == ([-1.0, 0.0], [35.0, 35.0])
    power = gpu_series(points, 160.0, 60.0, GPUS, "power_w")
    assert power["GPU 0"] == ([-1.0], [210.0])
    assert gpu_series(points, 160.0, 60.0, GPUS, "memory_used_bytes")["GPU 1"][1] == [25.0]


def test_which_gpus_are_offered() -> None:
    assert offered_after(HARDWARE, "GPU-bbbb", True) == []
    assert offered_after(HARDWARE, "GPU-bbbb", False) == ["GPU-aaaa"]
    assert offered_after(HARDWARE, "GPU-aaaa", False) == []


def test_what_is_told_of_news() -> None:
    item = {"kind": "job_failed", "words": "The job x failed.", "job_id": "a" * 32, "number": 3}
    found = telling(item)
    assert found is not None
    assert (found.title, found.text, found.token) == ("Job failed", "The job x failed.", "danger")
    assert telling(item | {"kind": "availability"}) is None
    assert number_of("12") == 12
    assert number_of("x") is None


def row(**changes: Any) -> dict[str, Any]:
    found = {"name": "disk", "ok": True, "found": "9 GiB", "needed": "20 GiB", "why": "inputs", "fix": "",
             "required": True, "id": "disk", "commands": [], "action": None}  # fmt: skip
    return found | changes


def test_what_needs_somebody_comes_first() -> None:
    checks = [
        check_of(row(name="a")),
        check_of(row(name="b", ok=False, required=False, fix="x")),
        check_of(row(name="c", ok=False, fix="y")),
    ]
    assert [check.title for check in in_order(checks)] == ["C", "B", "A"]
    image = check_of(row(ok=False, action="Load the job image: --file FILE."))
    assert (image.action, image.wants_file) == ("Load the job image", True)
    assert verdict(checks) == ("missing", "No job can run here yet. Missing: C.")
    assert verdict(checks[:2]) == ("limited", "Jobs can run here. Limited: B.")
    assert verdict(checks[:1]) == ("ok", "Everything that jobs need is here.")
    assert title_of("gpu runtime") == "GPU runtime"


def status(**changes: Any) -> dict[str, Any]:
    found = {"available": True, "jobs": [], "slots": 1, "slots_busy": 0, "problem": None, "payout": {}}
    return found | changes


def verdict_of(reason: str, words: str = "", **changes: Any) -> dict[str, Any]:
    switch = reason if reason in ("finishing", "off") else "available"
    return {"switch": switch, "reason": reason, "words": words, "paused_until_s": None} | changes


STANDINGS = [
    (verdict_of("waiting", "Waiting."), [], "waiting"),
    (verdict_of("full", "All slots are taken."), [job()], "working"),
    (verdict_of("finishing", "Finishing."), [job()], "finishing"),
    (verdict_of("off", "Off."), [], "off"),
    (verdict_of("schedule", "Outside of the hours."), [], "paused"),
    (verdict_of("paused", "Paused.", paused_until_s=NOW_S), [], "paused"),
    (verdict_of("cannot_run", "There is no job image."), [], "blocked"),
    (verdict_of("not_registered", "Not registered."), [job()], "working"),
]


@pytest.mark.parametrize(("availability", "jobs", "state"), STANDINGS)
def test_how_the_machine_stands(availability: dict[str, Any], jobs: list[dict[str, Any]], state: str) -> None:
    found = standing(status(availability=availability, jobs=jobs))
    assert (found.state, found.switch) == (state, availability["switch"])
    assert found.headline


def test_why_nothing_runs_is_said_with_what_to_do() -> None:
    problem = {"what": "Docker is away.", "meaning": "No job can run.", "hint": "Start it."}
    found = standing(status(availability=verdict_of("cannot_run", "Docker is away."), problem=problem))
    assert found.rest == "Docker is away. No job can run. Start it."
    assert found.wants_checks
    login = {"login": "ended", "login_words": "The login ended."}
    found = standing(status(availability=verdict_of("login_ended", "x"), payout=login))
    assert (found.rest, found.wants_login, found.state) == ("The login ended.", True, "blocked")


def test_an_agent_that_says_little_is_understood() -> None:
    assert standing({}).state == "waiting"
    assert standing({"available": False}).state == "off"


def test_moving_money_in_words() -> None:
    with pytest.raises(UserError, match=r"There is less in escrow: 0\.000001 USDC"):
        check_covered(2, 1, Asset.USDC)
    check_covered(2, None, Asset.USDC)
    found = {"withdrawn": [{"asset": "usdc", "units": 1_500_000, "signature": "5VERv8NMvzbJMEkV8xnrLk"}]}
    assert withdrawn_words(found) == "1.500000 USDC withdrawn, transaction 5VERv8NMvzbJMEkV…."


def test_what_others_of_the_class_get() -> None:
    said = "rtx4090 pays $0.40 an hour before the fee. Nodes that offer it: 5, free: 2."
    assert own_rates(RATES) == said
    assert own_rates([]) == "There is no rate for what this machine has: no job comes."


def test_the_window_does_not_wait_for_what_draws_plots_and_logs() -> None:
    program = "import sys, node_gui.app; print('numpy' in sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
