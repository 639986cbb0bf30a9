"""Sampling what a job's container uses while it runs, for its buyer to see."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from p2p.core.clock import Clock
from p2p.core.errors import CyxWizError
from p2p.core.limits import USAGE_PERIOD_S
from p2p.core.messages.usage import UsageSample
from p2p.node.hardware import GpuReading, gpu_readings
from p2p.node.runner import ExitReport, Runner, RunSpec, Usage
from p2p.store.samples import SampleFile

_LOG = logging.getLogger(__name__)

Read = Callable[[], Awaitable[tuple[Usage, int] | None]]
"""What the container has used so far and how much its output holds; None once it has ended."""


def samples_in(folder: Path) -> SampleFile:
    """Of the attempt whose folder this is."""
    return SampleFile(folder / "usage")


async def supervise_sampled(runner: Runner, spec: RunSpec, folder: Path, clock: Clock) -> ExitReport:
    """:meth:`Runner.supervise`, with samples of what the job uses meanwhile. Errors are the runner's."""

    async def read() -> tuple[Usage, int] | None:
        usage = await runner.stats(spec)
        return None if usage is None else (usage, await runner.output_bytes(spec))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_usage, read, "".join(spec.gpus[:1]), samples_in(folder), clock)
        report = await runner.supervise(spec)
        nursery.cancel_scope.cancel()
    return report


async def keep_usage(
    read: Read, gpu_uuid: str, file: SampleFile, clock: Clock, period_s: float = USAGE_PERIOD_S
) -> None:
    """Add a sample every ``period_s`` until the container has ended. What cannot be read is left out, for the
    job itself is worth more."""
    before: tuple[float, float] | None = None
    while True:
        try:
            found = await read()
            if found is None:
                return
            usage, disk_bytes = found
            at_s, monotonic_s = clock.now_s(), clock.monotonic_s()
            if before is not None and monotonic_s > before[0]:
                cpu = 100.0 * max(0.0, usage.cpu_s - before[1]) / (monotonic_s - before[0])
                gpu = await trio.to_thread.run_sync(_gpu, gpu_uuid) if gpu_uuid else None
                await trio.to_thread.run_sync(file.add, [_sample(at_s, cpu, usage, disk_bytes, gpu)])
            before = monotonic_s, usage.cpu_s
        except (CyxWizError, OSError) as error:
            _LOG.info("a sample is missing: %s", error)
        await trio.sleep(period_s)


def _gpu(uuid: str) -> GpuReading | None:
    return next((reading for reading in gpu_readings() if reading.uuid == uuid), None)


def _sample(
    at_s: float, cpu_percent: float, usage: Usage, disk_bytes: int, gpu: GpuReading | None
) -> UsageSample:
    busy = None if gpu is None else gpu.utilisation_percent
    return UsageSample(
        at_s=at_s,
        cpu_percent=cpu_percent,
        memory_bytes=usage.memory_bytes,
        disk_bytes=disk_bytes,
        processes=usage.processes,
        gpu_percent=None if busy is None else float(busy),
        gpu_memory_bytes=None if gpu is None else gpu.memory_used_bytes,
    )
