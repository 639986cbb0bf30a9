"""Samples of what a container uses, in a file of fixed records: cheap to add to, and to read from anywhere.

Nothing is synced: after a crash of the machine the last of them may be missing, and nothing hangs on them. A
record that was written in part is written over. The file of one attempt is bounded: once it is full, samples
are dropped.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path

from p2p.core.limits import USAGE_SAMPLES_MAX
from p2p.core.messages.usage import UsageSample

_RECORD = struct.Struct("<7d")


class SampleFile:
    """The samples of one attempt, numbered from 0. Methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self) -> int:
        """How many there are."""
        try:
            return self._path.stat().st_size // _RECORD.size
        except FileNotFoundError:
            return 0

    def add(self, samples: Sequence[UsageSample]) -> None:
        """Add some at the end.

        :raises OSError: the disk does not take them.
        """
        count = self.count()
        fitting = samples[: max(0, USAGE_SAMPLES_MAX - count)]
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.open("r+b" if self._path.exists() else "xb") as file:
            file.seek(count * _RECORD.size)
            file.write(b"".join(_pack(sample) for sample in fitting))

    def read(self, after: int, most: int) -> tuple[UsageSample, ...]:
        """Those that come after the first ``after``, at most ``most``."""
        try:
            with self._path.open("rb") as file:
                file.seek(after * _RECORD.size)
                data = file.read(most * _RECORD.size)
        except FileNotFoundError:
            return ()
        whole = len(data) - len(data) % _RECORD.size
        return tuple(_unpack(fields) for fields in _RECORD.iter_unpack(data[:whole]))


def _pack(sample: UsageSample) -> bytes:
    numbers = (
        sample.at_s,
        sample.cpu_percent,
        sample.memory_bytes,
        sample.disk_bytes,
        sample.processes,
        math.nan if sample.gpu_percent is None else sample.gpu_percent,
        math.nan if sample.gpu_memory_bytes is None else sample.gpu_memory_bytes,
    )
    return _RECORD.pack(*numbers)


def _unpack(fields: tuple[float, ...]) -> UsageSample:
    at_s, cpu_percent, memory, disk, processes, gpu_percent, gpu_memory = fields
    return UsageSample(
        at_s=at_s,
        cpu_percent=cpu_percent,
        memory_bytes=int(memory),
        disk_bytes=int(disk),
        processes=int(processes),
        gpu_percent=None if math.isnan(gpu_percent) else gpu_percent,
        gpu_memory_bytes=None if math.isnan(gpu_memory) else int(gpu_memory),
    )
