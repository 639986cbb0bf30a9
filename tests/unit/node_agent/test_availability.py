"""Whether jobs are taken: the rule over settings and facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import UserError
from p2p.node.availability import Facts, Reason, Switch, decide, runs_into_maintenance, switch_of
from p2p.node.settings import NodeSettings, change_settings

NOW_S = datetime(2026, 11, 2, 12, tzinfo=UTC).timestamp()  # a Monday at noon
READY = Facts(now_s=NOW_S, registered=True, quiet_s=3600.0, offer="cpu at $0.00 an hour or more", zone=UTC)
OPEN = NodeSettings()

settings_strategy = st.builds(
    NodeSettings,
    available=st.booleans(),
    scheduled=st.booleans(),
    hours=st.sampled_from(["mon 11:00-13:00", "tue-sun 00:00-24:00"]),
    maintenance=st.sampled_from(["", "mon 11:30-12:30", "fri 01:00-02:00"]),
    paused_until_s=st.sampled_from([0.0, NOW_S - 1, NOW_S, NOW_S + 60]),
    only_when_idle=st.booleans(),
    idle_minutes=st.integers(1, 120),
    on_battery=st.booleans(),
)
facts_strategy = st.builds(
    Facts,
    now_s=st.just(NOW_S),
    slots=st.integers(1, 4),
    busy=st.integers(0, 4),
    leaving=st.booleans(),
    cannot_run=st.sampled_from(["", "Docker does not answer."]),
    apps=st.sampled_from([(), ("blender",)]),
    battery=st.sampled_from([None, True, False]),
    quiet_s=st.sampled_from([None, 0.0, 600.0, 7200.0]),
    input_idle_s=st.sampled_from([None, 0.0, 600.0, 7200.0]),
    registered=st.booleans(),
    login_ended=st.booleans(),
    zone=st.just(UTC),
)


@given(settings_strategy, facts_strategy)
def test_a_job_is_taken_when_every_condition_holds_and_never_else(
    settings: NodeSettings, facts: Facts
) -> None:
    seen = [idle for idle in (facts.quiet_s, facts.input_idle_s) if idle is not None]
    conditions = (
        settings.available,
        not facts.leaving,
        settings.paused_until_s <= NOW_S,
        not settings.scheduled or settings.hours == "mon 11:00-13:00",
        settings.maintenance != "mon 11:30-12:30",
        not facts.apps,
        settings.on_battery or facts.battery is not True,
        not settings.only_when_idle or (bool(seen) and min(seen) >= 60 * settings.idle_minutes),
        not facts.cannot_run,
    )
    verdict = decide(settings, facts)
    assert verdict.takes is all(conditions)
    assert verdict.words
    if verdict.until_s is not None:
        assert verdict.until_s > NOW_S


@given(settings_strategy, facts_strategy)
def test_the_switch_has_one_word_for_each_of_three_states(settings: NodeSettings, facts: Facts) -> None:
    switch = switch_of(settings, facts.busy)
    verdict = decide(settings, facts)
    if switch is not Switch.AVAILABLE:
        assert not verdict.takes
        assert facts.leaving or verdict.reason.value == switch.value
    assert (switch is Switch.FINISHING) == (not settings.available and facts.busy > 0)


@pytest.mark.parametrize(
    ("settings", "facts", "reason", "words"),
    [
        (OPEN, READY, Reason.WAITING, "nobody asks for what is on offer now (cpu at"),
        (OPEN, replace(READY, busy=1), Reason.FULL, "1 of 1"),
        (OPEN, replace(READY, registered=False), Reason.NOT_REGISTERED, "not been reached"),
        (OPEN, replace(READY, login_ended=True), Reason.LOGIN_ENDED, "login"),
        (NodeSettings(available=False), READY, Reason.OFF, "cyxwiz-node on"),
        (NodeSettings(available=False), replace(READY, busy=1), Reason.FINISHING, "off"),
        (NodeSettings(paused_until_s=NOW_S + 3600), READY, Reason.PAUSED, "until 13:00"),
        (NodeSettings(scheduled=True, hours="tue 18:30-19:00"), READY, Reason.SCHEDULE, "until Tue 18:30"),
        (NodeSettings(maintenance="mon 00:00-14:00"), READY, Reason.MAINTENANCE, "until 14:00"),
        (OPEN, replace(READY, apps=("blender",)), Reason.EXCLUSIVE_APP, "blender runs"),
        (OPEN, replace(READY, battery=True), Reason.BATTERY, "battery"),
        (NodeSettings(only_when_idle=True), replace(READY, quiet_s=5.0), Reason.BUSY_MACHINE, "10 quiet"),
        (OPEN, replace(READY, cannot_run="No Docker."), Reason.CANNOT_RUN, "No Docker."),
        (OPEN, replace(READY, leaving=True), Reason.STOPPING, "shutting down"),
    ],
)
def test_why_is_said_in_words(settings: NodeSettings, facts: Facts, reason: Reason, words: str) -> None:
    verdict = decide(settings, facts)
    assert verdict.reason is reason
    assert words in verdict.words


def test_a_job_that_could_run_into_the_maintenance_window_is_not_taken() -> None:
    settings = NodeSettings(maintenance="mon 14:00-15:00")
    assert not runs_into_maintenance(settings, 2 * 3600, READY)
    assert runs_into_maintenance(settings, 2 * 3600 + 1, READY)
    assert runs_into_maintenance(settings, 1, replace(READY, now_s=NOW_S + 2.5 * 3600))
    assert not runs_into_maintenance(OPEN, 24 * 3600, READY)


def test_a_schedule_needs_hours() -> None:
    assert "no hours" in _refused({"scheduled": True})
    kept = change_settings(OPEN, {"scheduled": True, "hours": "mon  1:00-2:00"})
    assert kept.hours == "mon 1:00-2:00"
    assert "no hours" in _refused({"hours": ""}, kept)


def _refused(values: dict[str, object], settings: NodeSettings = OPEN) -> str:
    with pytest.raises(UserError) as caught:
        change_settings(settings, values)
    return caught.value.what
