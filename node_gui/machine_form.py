"""What the settings page edits of the agent's settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gui_kit.words import tr
from node_gui.schedule_form import price_text
from p2p.core.errors import UserError
from p2p.core.limits import GIB
from p2p.core.money import parse_usd

_MEMORY_MAX_GIB = 1 << 20
_WATTS_DIGITS_MAX = 6


@dataclass(frozen=True, slots=True)
class MachineForm:
    """As typed and ticked; an empty field leaves it to the node."""

    cpus: str = ""
    memory_gib: str = ""
    network: bool = True
    image: str = ""
    electricity: str = ""
    watts: str = ""

    def settings(self) -> dict[str, Any]:
        """As the agent's ``set`` takes it.

        :raises UserError: something in it is not what it should be.
        """
        return {
            "cpus": number(self.cpus),
            "memory_bytes": int(number(self.memory_gib) * GIB),
            "network": self.network,
            "image": self.image,
            "electricity_usd_micros_per_kwh": parse_usd(self.electricity or "0"),
            "watts": whole(self.watts),
        }


def machine_form_of(settings: Mapping[str, Any]) -> MachineForm:
    """From the agent's settings."""
    cpus, memory = settings.get("cpus", 0), settings.get("memory_bytes", 0)
    price, watts = settings.get("electricity_usd_micros_per_kwh", 0), settings.get("watts", 0)
    return MachineForm(
        cpus=f"{cpus:g}" if cpus else "",
        memory_gib=f"{memory / GIB:g}" if memory else "",
        network=settings.get("network", True),
        image=settings.get("image", ""),
        electricity=price_text(price) if price else "",
        watts=str(watts) if watts else "",
    )


def number(text: str) -> float:
    """A number that is not negative; 0 for nothing.

    :raises UserError: it is none.
    """
    try:
        value = float(text or 0)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _MEMORY_MAX_GIB:
        raise UserError("bad_number", tr("{typed} is not a number that can be set.", typed=repr(text[:40])))
    return value


def whole(text: str) -> int:
    """A whole number; 0 for nothing.

    :raises UserError: it is none.
    """
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > _WATTS_DIGITS_MAX:
        raise UserError("bad_number", tr("{typed} is not a whole number.", typed=repr(text[:40])))
    return int(text)
