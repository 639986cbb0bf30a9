"""How the machine did: the last hour in memory, sample by sample; a week in the journal, minute by minute."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from p2p.core.clock import Clock
from p2p.core.errors import CyxWizError
from p2p.core.limits import MINUTES_KEPT_S, READINGS_LISTED_MAX, SAMPLE_INTERVAL_S, SAMPLES_KEPT_MAX
from p2p.node.hardware import GpuReading
from p2p.node.reading import Sample
from p2p.store.readings import GpuPoint, Point, ReadingTables

_LOG = logging.getLogger(__name__)

_BUSY_PERCENT = 50.0


class History:
    """Samples come in by :meth:`add`; each has a number, one more than that of the one before.

    Numbers go on rising over restarts of the agent, for one comes not more often than every interval.
    """

    def __init__(self, tables: ReadingTables, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT_MAX)
        self._minute: list[Sample] = []
        self.count = int(clock.now_s() / SAMPLE_INTERVAL_S)
        """The number of the newest sample, or of none."""

    async def add(self, sample: Sample) -> None:
        """Remember a sample; a minute that is complete goes into the journal, if it can be written."""
        self._samples.append(sample)
        self.count += 1
        before, self._minute = self._minute, [*self._minute, sample]
        if before and before[0].at_s // 60 != sample.at_s // 60:
            self._minute = [sample]
            try:
                await self._tables.keep(put_together(before), self._clock.now_s() - MINUTES_KEPT_S)
            except CyxWizError as failure:
                _LOG.info("a minute of readings is lost: %s", failure.what)

    def after(self, number: int) -> tuple[Sample, ...]:
        """The samples with higher numbers, oldest first, as far as they are kept. A number that was never
        given, as after a correction of the clock, begins anew."""
        if number > self.count:
            number = 0
        wanted = min(self.count - number, len(self._samples))
        return tuple(self._samples)[len(self._samples) - wanted :]

    async def over(self, span_s: float) -> tuple[int, tuple[Point, ...]]:
        """The last ``span_s`` in steps of as many minutes as are needed to keep the list short; how many."""
        minutes = min(span_s, MINUTES_KEPT_S) / 60
        step = max(1, -(-int(minutes) // READINGS_LISTED_MAX))
        return step, await self._tables.points(self._clock.now_s() - span_s, step)

    async def busy_power_w(self, span_s: float) -> float | None:
        """What a GPU that was busy drew on average; None if that was not measured."""
        return await self._tables.mean_busy_power_w(self._clock.now_s() - span_s, _BUSY_PERCENT)


def put_together(samples: Sequence[Sample]) -> Point:
    """The average of samples, from the first one on. A GPU counts in those samples in which it answered."""
    by_uuid: dict[str, list[GpuReading]] = {}
    for sample in samples:
        for gpu in sample.gpus:
            by_uuid.setdefault(gpu.uuid, []).append(gpu)
    return Point(
        at_s=samples[0].at_s,
        cpu_percent=fmean(sample.cpu_percent for sample in samples),
        memory_used_bytes=int(fmean(sample.memory_used_bytes for sample in samples)),
        gpus=tuple(_gpu(uuid, found) for uuid, found in by_uuid.items()),
    )


def _gpu(uuid: str, found: Sequence[GpuReading]) -> GpuPoint:
    memory = _mean(found, lambda gpu: gpu.memory_used_bytes)
    return GpuPoint(
        uuid=uuid,
        utilisation_percent=_mean(found, lambda gpu: gpu.utilisation_percent),
        memory_used_bytes=None if memory is None else int(memory),
        temperature_c=_mean(found, lambda gpu: gpu.temperature_c),
        power_w=_mean(found, lambda gpu: gpu.power_w),
    )


def _mean(found: Iterable[GpuReading], value: Callable[[GpuReading], float | None]) -> float | None:
    known = [each for each in map(value, found) if each is not None]
    return fmean(known) if known else None
