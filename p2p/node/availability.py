"""Whether the node takes jobs now, and why not: a rule over settings and facts. Pure.

A job that runs is never ended by this rule: it only says whether another one is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from enum import Enum

from p2p.core.errors import UserError
from p2p.core.hours import Hours, next_text, parse_hours
from p2p.core.limits import PAUSE_MAX_S
from p2p.node.settings import NodeSettings


class Switch(Enum):
    """What the owner wants: one of three."""

    AVAILABLE = "available"
    FINISHING = "finishing"  # takes no new job; what runs goes on, and then it is off
    OFF = "off"


class Reason(Enum):
    """Why the node runs no job, or takes no other one; the first that holds."""

    STOPPING = "stopping"
    FINISHING = "finishing"
    OFF = "off"
    PAUSED = "paused"
    SCHEDULE = "schedule"
    MAINTENANCE = "maintenance"
    EXCLUSIVE_APP = "exclusive_app"
    BATTERY = "battery"
    BUSY_MACHINE = "busy_machine"
    CANNOT_RUN = "cannot_run"
    NOT_REGISTERED = "not_registered"
    LOGIN_ENDED = "login_ended"
    FULL = "full"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Facts:
    """What counts of the world at one moment; None: the system does not say."""

    now_s: float
    slots: int = 1
    busy: int = 0
    leaving: bool = False
    cannot_run: str = ""  # why no job can run here at all, such as a Docker that is away
    apps: tuple[str, ...] = ()  # those of the exclusive ones that run
    battery: bool | None = None
    quiet_s: float | None = None  # since when nobody else used CPUs and GPUs
    input_idle_s: float | None = None  # since when nobody used keyboard and mouse
    registered: bool = False
    link_problem: str = ""
    login_ended: bool = False
    offer: str = ""  # what is on offer, in words
    zone: tzinfo | None = None  # whose wall clock; none: this machine's


@dataclass(frozen=True, slots=True)
class Verdict:
    """``takes``: whether another job is taken. ``reason`` and ``words``: why not, or why none runs.
    ``until_s``: when that will have changed, if that is known."""

    takes: bool
    reason: Reason
    words: str
    until_s: float | None = None


def switch_of(settings: NodeSettings, busy: int) -> Switch:
    """The one word for what the owner wants."""
    if settings.available:
        return Switch.AVAILABLE
    return Switch.FINISHING if busy else Switch.OFF


def decide(settings: NodeSettings, facts: Facts) -> Verdict:
    """Whether another job is taken, with the first reason against it."""
    for rule in _RULES:
        found = rule(settings, facts)
        if found is not None:
            return found
    return _waits(facts)


def _stopping(settings: NodeSettings, facts: Facts) -> Verdict | None:
    return _no(Reason.STOPPING, "The node is shutting down.") if facts.leaving else None


def _switched_off(settings: NodeSettings, facts: Facts) -> Verdict | None:
    match switch_of(settings, facts.busy):
        case Switch.FINISHING:
            return _no(Reason.FINISHING, "Finishing: no new job is taken, and when the last has ended, off.")
        case Switch.OFF:
            return _no(Reason.OFF, "Off. To take jobs: cyxwiz-node on")
        case Switch.AVAILABLE:
            return None


def _paused(settings: NodeSettings, facts: Facts) -> Verdict | None:
    until_s = settings.paused_until_s
    if until_s <= facts.now_s:
        return None
    return _no(Reason.PAUSED, f"Paused until {next_text(until_s, facts.now_s, facts.zone)}.", until_s)


def _outside_hours(settings: NodeSettings, facts: Facts) -> Verdict | None:
    hours = parse_hours(settings.hours)
    if not settings.scheduled or hours.contains(facts.now_s, facts.zone):
        return None
    until_s = hours.next_change_s(facts.now_s, facts.zone)
    return _no(Reason.SCHEDULE, f"Outside of the hours ({settings.hours}){_till(until_s, facts)}.", until_s)


def _maintenance(settings: NodeSettings, facts: Facts) -> Verdict | None:
    window = parse_hours(settings.maintenance)
    if not window.contains(facts.now_s, facts.zone):
        return None
    until_s = window.next_change_s(facts.now_s, facts.zone)
    return _no(Reason.MAINTENANCE, f"Maintenance{_till(until_s, facts)}.", until_s)


def _exclusive_app(settings: NodeSettings, facts: Facts) -> Verdict | None:
    if not facts.apps:
        return None
    return _no(Reason.EXCLUSIVE_APP, f"{', '.join(facts.apps)} runs, beside which no job is taken.")


def _battery(settings: NodeSettings, facts: Facts) -> Verdict | None:
    if settings.on_battery or not facts.battery:
        return None
    return _no(Reason.BATTERY, "The machine runs on its battery.")


def _busy_machine(settings: NodeSettings, facts: Facts) -> Verdict | None:
    if not settings.only_when_idle:
        return None
    known = [idle_s for idle_s in (facts.quiet_s, facts.input_idle_s) if idle_s is not None]
    left_s = settings.idle_minutes * 60 - min(known, default=0.0)
    if left_s <= 0:
        return None
    words = f"The machine is in use: jobs come after {settings.idle_minutes} quiet minutes."
    return _no(Reason.BUSY_MACHINE, words)


def _cannot_run(settings: NodeSettings, facts: Facts) -> Verdict | None:
    return _no(Reason.CANNOT_RUN, facts.cannot_run) if facts.cannot_run else None


_RULES = (
    _stopping, _switched_off, _paused, _outside_hours, _maintenance, _exclusive_app, _battery, _busy_machine,
    _cannot_run,
)  # fmt: skip


def _waits(facts: Facts) -> Verdict:
    """Jobs are taken: why there is none, or no other one."""
    if not facts.registered:
        words = facts.link_problem or "The coordinator has not been reached yet."
        return Verdict(True, Reason.NOT_REGISTERED, f"Not registered: {words}")
    if facts.login_ended:
        return Verdict(
            True, Reason.LOGIN_ENDED, "The login of the payout wallet has ended: no new jobs come."
        )
    if facts.busy >= facts.slots:
        return Verdict(True, Reason.FULL, f"All slots are taken ({facts.busy} of {facts.slots}).")
    return Verdict(True, Reason.WAITING, f"Waiting: nobody asks for what is on offer now ({facts.offer}).")


def _no(reason: Reason, words: str, until_s: float | None = None) -> Verdict:
    return Verdict(False, reason, words, until_s)


def _till(until_s: float | None, facts: Facts) -> str:
    return "" if until_s is None else f", until {next_text(until_s, facts.now_s, facts.zone)}"


def runs_into_maintenance(settings: NodeSettings, timeout_s: float, facts: Facts) -> bool:
    """Whether a job that is taken now could still run, by its limit, when the maintenance window opens."""
    window: Hours = parse_hours(settings.maintenance)
    if window.contains(facts.now_s, facts.zone):
        return True
    opens_s = window.next_change_s(facts.now_s, facts.zone)
    return opens_s is not None and facts.now_s + timeout_s > opens_s


def check_pause(for_s: float) -> None:
    """Refuse a pause that somebody may forget.

    :raises UserError: ``bad_pause``.
    """
    if not 0 < for_s <= PAUSE_MAX_S:
        raise UserError(
            "bad_pause",
            f"A pause lasts at most {PAUSE_MAX_S / 86400:.0f} days.",
            "Nothing was changed.",
            "For longer: cyxwiz-node finish",
        )
