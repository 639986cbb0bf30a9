"""What others of the same class get, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gui_kit.words import tr
from p2p.core.money import format_usd


def own_rates(found: Sequence[Mapping[str, Any]]) -> str:
    """A line for each class that this machine has, from the answer to ``rates``."""
    lines = [
        tr("{gpu_class} pays {rate} an hour before the fee. Nodes that offer it: {online}, free: {free}.",
           gpu_class=each["gpu_class"], rate=format_usd(each["usd_micros_per_hour"]),
           online=each["nodes_online"], free=each["nodes_free"])
        for each in found if each["own"]
    ]  # fmt: skip
    return "\n".join(lines) or tr("There is no rate for what this machine has: no job comes.")
