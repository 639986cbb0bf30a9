"""What this node has to offer at the moment: hardware, image, firewall, load."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import trio

from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.errors import CyxWizError, EnvironmentFailure
from p2p.core.messages.nodes import GpuInfo, Hardware, ResourceReading
from p2p.node import hardware
from p2p.node.capacity import make_capacity
from p2p.node.reading import MachineMeter, Sample, reading_of
from p2p.node.runner import CheckRow, Runner
from p2p.node.settings import NodeSettings

_LOG = logging.getLogger(__name__)

_OUTBOUND_ROW = "outbound network"


class Survey:
    """The last look at the machine. ``image`` is the job image's digest, empty while there is none."""

    def __init__(
        self, runner: Runner, folder: Path, settings: Callable[[], NodeSettings], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._folder = folder
        self._settings = settings
        self._meter = MachineMeter()
        self.image = ""
        self.problem: CyxWizError | None = None
        self.rows: tuple[CheckRow, ...] = ()
        self.capacity = make_capacity(Hardware((), 1, 0, 0), settings(), can_firewall=False)
        self.hardware = hardware.Hardware((), 1, 0, 0)
        self.sample: Sample | None = None

    async def look(self) -> None:
        """Look now. What is found missing is noted, never raised."""
        found = await trio.to_thread.run_sync(hardware.detect, self._folder)
        for problem in found.problems:
            _LOG.warning("hardware: %s", problem)
        settings = self._settings()
        try:
            self.image = await self._runner.find_image(settings.image or None)
            self.problem = None
        except EnvironmentFailure as failure:
            if self.problem is None or self.problem.code != failure.code:
                _LOG.warning("no job can run here: %s", failure.what)
            self.image, self.problem = "", failure
        self.rows = tuple(await self._runner.check())
        can_firewall = any(row.name == _OUTBOUND_ROW and row.ok for row in self.rows)
        self.capacity = make_capacity(to_message(found), settings, can_firewall=can_firewall)
        self.hardware = found
        if self.sample is None:
            await self.read()

    async def read(self) -> Sample:
        """Only the load."""
        cpu_count = self.capacity.hardware.cpu_count
        self.sample = await trio.to_thread.run_sync(self._meter.read, self._clock.now_s(), cpu_count)
        return self.sample

    @property
    def reading(self) -> ResourceReading:
        """The load at the last look at it, of what is on offer."""
        offered = self.capacity.hardware
        return ResourceReading(0.0, 0) if self.sample is None else reading_of(self.sample, offered.gpus)


def to_message(found: hardware.Hardware) -> Hardware:
    """The detected hardware as an advert says it."""
    gpus = tuple(GpuInfo(gpu.uuid, gpu.name, gpu.gpu_class, gpu.vram_bytes) for gpu in found.gpus)
    return Hardware(gpus, found.cpu_count, found.memory_bytes, found.disk_free_bytes)
