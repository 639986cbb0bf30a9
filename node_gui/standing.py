"""How the machine stands, from the agent's ``status``. Pure: nothing is asked here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gui_kit.words import time_text, tr
from node_gui.attempts import AttemptRow, attempt_row

AVAILABLE, FINISHING, OFF = "available", "finishing", "off"
"""What the switch can be turned to."""
_PAUSED = "paused"
_FREE = ("waiting", "full")
"""Reasons that are none: nothing stands in the way of jobs."""
_FIXED_BY_CHECKS = ("cannot_run", "not_registered")


@dataclass(frozen=True, slots=True)
class Standing:
    """``state``: a key of :data:`gui_kit.states.NODE_STATES`. ``headline``: what it does, or why nothing;
    ``rest``: what that means and what to do."""

    switch: str
    state: str
    headline: str
    rest: str
    jobs: tuple[AttemptRow, ...]
    paused_until_s: float | None
    wants_checks: bool  # whether the setup checks say more
    wants_login: bool  # whether the payout wallet has to be logged in again

    @property
    def is_busy(self) -> bool:
        return bool(self.jobs)


def standing(status: Mapping[str, Any]) -> Standing:
    """What there is to say of an answer to ``status``, also of one that an older agent gave."""
    found = status.get("availability") or {}
    jobs = tuple(row for row in map(attempt_row, status.get("jobs") or ()) if row.is_live)
    on = bool(status.get("available", True))
    switch = found.get("switch") or (AVAILABLE if on else FINISHING if jobs else OFF)
    reason = found.get("reason") or ("waiting" if on else switch)
    problem = status.get("problem") or {}
    login = status.get("payout") or {}
    state = _state(switch, reason, bool(jobs))
    return Standing(
        switch,
        state,
        _headline(state, jobs, found),
        _rest(reason, found, problem, login),
        jobs,
        found.get("paused_until_s"),
        reason in _FIXED_BY_CHECKS,
        login.get("login") in ("ended", "ends_soon"),
    )


def _state(switch: str, reason: str, busy: bool) -> str:
    if switch in (FINISHING, OFF):
        return switch
    if busy:
        return "working"
    if reason in _FREE:
        return "waiting"
    return "blocked" if reason in (*_FIXED_BY_CHECKS, "login_ended") else "paused"


def _headline(state: str, jobs: tuple[AttemptRow, ...], found: Mapping[str, Any]) -> str:
    if len(jobs) > 1:
        return tr("{count} jobs run on this machine.", count=len(jobs))
    if jobs:
        return tr("One job runs on this machine.")
    if state == "waiting":
        return tr("Ready. The next job that fits comes by itself.")
    if state == "off":
        return tr("Off: no jobs come, and nothing is earned.")
    if found.get("reason") == _PAUSED and found.get("paused_until_s"):
        return tr("Paused until {time}.", time=time_text(found["paused_until_s"]))
    return (
        tr("No job can come at the moment.") if state == "blocked" else tr("No job is taken at the moment.")
    )


def _rest(reason: str, found: Mapping[str, Any], problem: Mapping[str, Any], login: Mapping[str, Any]) -> str:
    if reason == "login_ended":
        return str(login.get("login_words") or found.get("words") or "")
    parts = []
    if reason not in ("off", _PAUSED):
        parts.append(str(found.get("words") or ""))
    if reason in _FIXED_BY_CHECKS or not found:
        parts += [str(problem.get(name) or "") for name in ("what", "meaning", "hint")]
    if login.get("login") == "ends_soon":
        parts.append(str(login.get("login_words") or ""))
    return " ".join(dict.fromkeys(part for part in parts if part))


def slots_text(status: Mapping[str, Any]) -> str:
    """For the status bar: how much of the machine works."""
    slots, busy = status.get("slots"), status.get("slots_busy", 0)
    return "" if slots is None else tr("{busy} of {slots} slots busy", busy=busy, slots=slots)
