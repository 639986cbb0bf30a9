"""The local API's part about the machine: what it has, and how it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from p2p.core.limits import MINUTES_KEPT_S, SAMPLE_INTERVAL_S
from p2p.local.protocol import Json
from p2p.local.server import Handler
from p2p.node.parameters import Params, count_of, seconds_of

if TYPE_CHECKING:
    from p2p.node.agent import NodeAgent


class MachineApi:
    """Handlers over a running agent."""

    def __init__(self, agent: NodeAgent) -> None:
        self._agent = agent

    def handlers(self) -> Mapping[str, Handler]:
        """By method name."""
        return {"hardware": self.hardware, "readings": self.readings}

    async def hardware(self, params: Params) -> Json:
        """Everything that was found, on offer or not, with the last reading."""
        agent = self._agent
        found, offered = agent.survey.hardware, agent.survey.capacity.hardware.gpus
        on_offer, busy = {gpu.uuid for gpu in offered}, agent.jobs.busy_slots()
        return {
            "gpus": [
                {**asdict(gpu), "offered": gpu.uuid in on_offer, "busy": gpu.uuid in busy}
                for gpu in found.gpus
            ],
            "cpu_count": found.cpu_count,
            "memory_bytes": found.memory_bytes,
            "disk_free_bytes": found.disk_free_bytes,
            "driver_version": found.driver_version,
            "problems": list(found.problems),
            "reading": None if agent.survey.sample is None else asdict(agent.survey.sample),
        }

    async def readings(self, params: Params) -> Json:
        """The samples of the last hour after the one of number ``after``; or with ``span_s`` what is kept of
        that time, minutes put together."""
        history = self._agent.history
        if "span_s" in params:
            step, points = await history.over(min(seconds_of(params, "span_s"), MINUTES_KEPT_S))
            kept = [asdict(each) for each in points]
            return {"step_s": 60.0 * step, "cursor": history.count, "points": kept}
        samples = history.after(count_of(params, "after", 0, 0, 2**53))
        fresh = [asdict(each) for each in samples]
        return {"step_s": SAMPLE_INTERVAL_S, "cursor": history.count, "points": fresh}
