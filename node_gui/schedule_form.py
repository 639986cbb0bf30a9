"""What the schedule page edits, and what of it is to be set. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gui_kit.words import tr
from node_gui.week import week_of
from p2p.core.errors import UserError
from p2p.core.hours import parse_hours
from p2p.core.money import format_usd, parse_usd


@dataclass(frozen=True, slots=True)
class ScheduleForm:
    """As typed and ticked; the hours in the one spelling that :class:`node_gui.week.Week` has for them."""

    scheduled: bool = False
    hours: str = ""
    maintenance: str = ""
    only_when_idle: bool = False
    idle_minutes: int = 10
    on_battery: bool = False
    exclusive_apps: str = ""
    exclusive_stops: bool = False
    min_price: str = "0.00"

    def settings(self) -> dict[str, Any]:
        """As the agent's ``set`` takes it.

        :raises UserError: something in it is not what it should be.
        """
        parse_hours(self.hours)
        parse_hours(self.maintenance)
        if self.scheduled and not self.hours:
            raise UserError("bad_hours", tr("No hour is chosen, so no job would ever come."))
        return {
            "scheduled": self.scheduled,
            "hours": self.hours,
            "maintenance": self.maintenance,
            "only_when_idle": self.only_when_idle,
            "idle_minutes": self.idle_minutes,
            "on_battery": self.on_battery,
            "exclusive_apps": apps_of(self.exclusive_apps),
            "exclusive_stops": self.exclusive_stops,
            "min_price_usd_micros_per_hour": parse_usd(self.min_price or "0"),
        }


_AS_THEY_ARE = (
    "scheduled",
    "maintenance",
    "only_when_idle",
    "idle_minutes",
    "on_battery",
    "exclusive_stops",
)


def form_of(settings: Mapping[str, Any]) -> ScheduleForm:
    """From the agent's settings."""
    empty = ScheduleForm()
    values = {name: settings.get(name, getattr(empty, name)) for name in _AS_THEY_ARE}
    return ScheduleForm(
        **values,
        hours=week_of(settings.get("hours", "")).text(),
        exclusive_apps=", ".join(settings.get("exclusive_apps", ())),
        min_price=price_text(settings.get("min_price_usd_micros_per_hour", 0)),
    )


def changes(settings: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``wanted`` is another than in ``settings``."""
    return {name: value for name, value in wanted.items() if _plain(settings.get(name)) != _plain(value)}


def apps_of(text: str) -> list[str]:
    """Names of programs, with commas between them."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def price_text(usd_micros: int) -> str:
    """A price as one types it."""
    return format_usd(usd_micros).removeprefix("$")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value
