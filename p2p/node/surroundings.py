"""What goes on around the jobs, looked at every few seconds: load of others, battery, programs, keyboard.

From it and the settings follows whether jobs are taken (:mod:`p2p.node.availability`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import trio

from p2p.core.clock import Clock
from p2p.local import machine
from p2p.node.reading import Sample
from p2p.node.settings import NodeSettings

Key = tuple[str, int]
"""A job and its epoch."""
AGENT: Key = ("", 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """The last look. Fields as in :class:`p2p.node.availability.Facts`."""

    apps: tuple[str, ...] = ()
    battery: bool | None = None
    input_idle_s: float | None = None


def look(settings: NodeSettings, now_s: float) -> Seen:
    """Look now, at what the settings ask for. Blocks."""
    running = machine.running_programs(settings.exclusive_apps)
    return Seen(
        apps=tuple(name for name in settings.exclusive_apps if name in running),
        battery=machine.on_battery(),
        input_idle_s=machine.input_idle_s(now_s) if settings.only_when_idle else None,
    )


class Quiet:
    """Since when nobody but our own jobs has used the machine. Before the first look that is unknown, and a
    machine of which nothing is known is in use."""

    def __init__(self) -> None:
        self._since_s: float | None = None

    def note(self, now_s: float, percent: float, limit_percent: int) -> None:
        """Others use ``percent`` of the machine's CPUs, or of a GPU, whatever is more."""
        if percent >= limit_percent:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s

    def lasts_s(self, now_s: float) -> float:
        return 0.0 if self._since_s is None else now_s - self._since_s


def used_by_others(sample: Sample, cpu_count: int, own_cpu_percent: float, own_gpus: frozenset[str]) -> float:
    """Percent of all CPUs, or of that GPU without a job of ours that is busiest.

    ``own_cpu_percent``: of one CPU, what the agent and its jobs used. Of a GPU on which a job of ours runs,
    nobody can say who else uses it.
    """
    cpus = max(0.0, sample.cpu_percent - own_cpu_percent) / max(1, cpu_count)
    gpus = (gpu.utilisation_percent or 0 for gpu in sample.gpus if gpu.uuid not in own_gpus)
    return max([cpus, *gpus])


class OwnUse:
    """CPU seconds of the agent and its jobs, as percent of one CPU since the last time."""

    def __init__(self) -> None:
        self._at_s = 0.0
        self._before: dict[Key, float] = {}

    def percent(self, now_s: float, spent_s: Mapping[Key, float]) -> float | None:
        """``spent_s``: of each job, and of the agent, since it began. None while a job has just come or gone:
        what it used cannot be told from what others did then."""
        before, self._before = self._before, dict(spent_s)
        passed_s, self._at_s = now_s - self._at_s, now_s
        if before.keys() != spent_s.keys() or passed_s <= 0:
            return None
        return 100.0 * sum(max(0.0, spent - before[key]) for key, spent in spent_s.items()) / passed_s


class Surroundings:
    """Keeps looking; ``seen`` and :meth:`quiet_s` are of the last look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._quiet = Quiet()
        self._own = OwnUse()
        self.seen = Seen()

    async def look(
        self,
        settings: NodeSettings,
        sample: Sample,
        cpu_count: int,
        spent_s: Mapping[Key, float] | None,
        own_gpus: frozenset[str],
    ) -> None:
        """Look now. ``spent_s``: CPU seconds of each job, or None while that cannot be known, as when one is
        made ready; ``own_gpus``: with jobs of ours."""
        now_s = self._clock.monotonic_s()
        self.seen = await trio.to_thread.run_sync(look, settings, self._clock.now_s())
        own = self._own.percent(now_s, {**(spent_s or {}), AGENT: machine.own_cpu_seconds()})
        if own is not None and spent_s is not None:
            others = used_by_others(sample, cpu_count, own, own_gpus)
            self._quiet.note(now_s, others, settings.idle_percent)

    def quiet_s(self) -> float:
        """For how long nobody else has used the machine."""
        return self._quiet.lasts_s(self._clock.monotonic_s())
