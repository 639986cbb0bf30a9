"""How the node's machine did, minute by minute."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from p2p.store.journal import Journal


@dataclass(frozen=True, slots=True)
class GpuPoint:
    """One GPU over some time, on average; None where the driver does not say."""

    uuid: str
    utilisation_percent: float | None
    memory_used_bytes: int | None
    temperature_c: float | None
    power_w: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """The machine over some time from ``at_s`` on, on average. CPU 0 to 100 for each processor, summed."""

    at_s: float
    cpu_percent: float
    memory_used_bytes: int
    gpus: tuple[GpuPoint, ...] = ()


_KEEP_MACHINE = """
    INSERT INTO machine_minutes (minute, cpu_percent, memory_used_bytes)
    VALUES (:minute, :cpu_percent, :memory_used_bytes) ON CONFLICT (minute) DO NOTHING
"""
_KEEP_GPU = """
    INSERT INTO gpu_minutes (minute, uuid, utilisation_percent, memory_used_bytes, temperature_c, power_w)
    VALUES (:minute, :uuid, :utilisation_percent, :memory_used_bytes, :temperature_c, :power_w)
    ON CONFLICT (minute, uuid) DO NOTHING
"""
_FORGET = ("DELETE FROM machine_minutes WHERE minute < ?", "DELETE FROM gpu_minutes WHERE minute < ?")
_MACHINE = """
    SELECT minute / :step * :step AS start, avg(cpu_percent) AS cpu_percent,
           CAST(avg(memory_used_bytes) AS INTEGER) AS memory_used_bytes
    FROM machine_minutes WHERE minute >= :since GROUP BY start ORDER BY start
"""
_GPUS = """
    SELECT minute / :step * :step AS start, uuid, avg(utilisation_percent) AS utilisation_percent,
           CAST(avg(memory_used_bytes) AS INTEGER) AS memory_used_bytes,
           avg(temperature_c) AS temperature_c, avg(power_w) AS power_w
    FROM gpu_minutes WHERE minute >= :since GROUP BY start, uuid ORDER BY start, uuid
"""
_POWER = """
    SELECT avg(power_w) FROM gpu_minutes WHERE minute >= ? AND utilisation_percent >= ?
"""


class ReadingTables:
    """The readings of a node over its journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def keep(self, point: Point, forget_before_s: float) -> None:
        """Keep one minute, unless it is there already, and forget what is older than ``forget_before_s``.

        :raises EnvironmentFailure: the journal cannot be written.
        """
        minute = int(point.at_s // 60)

        def write(connection: sqlite3.Connection) -> None:
            row = {"cpu_percent": point.cpu_percent, "memory_used_bytes": point.memory_used_bytes}
            connection.execute(_KEEP_MACHINE, row | {"minute": minute})
            connection.executemany(_KEEP_GPU, [asdict(gpu) | {"minute": minute} for gpu in point.gpus])
            for forget in _FORGET:
                connection.execute(forget, (int(forget_before_s // 60),))

        await self._journal.write(write)

    async def points(self, since_s: float, step_minutes: int) -> tuple[Point, ...]:
        """What is kept since then, ``step_minutes`` put together, oldest first."""
        values = {"since": int(since_s // 60), "step": step_minutes}

        def read(connection: sqlite3.Connection) -> tuple[Point, ...]:
            gpus: dict[int, list[GpuPoint]] = {}
            for row in connection.execute(_GPUS, values):
                gpus.setdefault(row["start"], []).append(_gpu(row))
            rows = connection.execute(_MACHINE, values)
            return tuple(_point(row, gpus.get(row["start"], ())) for row in rows)

        return await self._journal.read(read)

    async def mean_busy_power_w(self, since_s: float, busy_percent: float) -> float | None:
        """What a GPU drew on average while it was busy; None if that was never measured."""

        def read(connection: sqlite3.Connection) -> float | None:
            row = connection.execute(_POWER, (int(since_s // 60), busy_percent)).fetchone()
            return None if row is None else row[0]

        return await self._journal.read(read)


def _gpu(row: sqlite3.Row) -> GpuPoint:
    return GpuPoint(
        uuid=row["uuid"],
        utilisation_percent=row["utilisation_percent"],
        memory_used_bytes=row["memory_used_bytes"],
        temperature_c=row["temperature_c"],
        power_w=row["power_w"],
    )


def _point(row: sqlite3.Row, gpus: Iterable[GpuPoint]) -> Point:
    return Point(row["start"] * 60.0, row["cpu_percent"], row["memory_used_bytes"], tuple(gpus))
