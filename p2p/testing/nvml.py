"""A stand-in for the ``pynvml`` module: the GPUs are what the test says, including broken ones."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TypeVar

T = TypeVar("T")


class NVMLError(Exception):
    """What NVML raises."""


class NVMLError_LibraryNotFound(NVMLError):
    """There is no driver."""


@dataclass
class FakeGpu:
    """One GPU. ``lost``: it fell off the bus. ``mute``: questions that it refuses to answer."""

    uuid: str
    name: str
    memory_total: int = 24 << 30
    memory_used: int = 1 << 30
    utilisation: int = 50
    temperature: int = 60
    power_mw: int = 200_000
    capability: tuple[int, int] = (8, 9)
    lost: bool = False
    mute: tuple[str, ...] = ()


class FakeNvml:
    """Put it in the module's place: ``monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([…]))``."""

    NVMLError = NVMLError
    NVMLError_LibraryNotFound = NVMLError_LibraryNotFound
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, gpus: list[FakeGpu], *, init_error: Exception | None = None) -> None:
        self.gpus = gpus
        self.init_error = init_error
        self.started = 0  # how many nvmlInit have not been shut down

    def nvmlInit(self) -> None:
        if self.init_error is not None:
            raise self.init_error
        self.started += 1

    def nvmlShutdown(self) -> None:
        self.started -= 1

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.82"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:
        if self.gpus[index].lost:
            raise NVMLError("GPU is lost")
        return self.gpus[index]

    def nvmlDeviceGetUUID(self, gpu: FakeGpu) -> str:
        return self._answer(gpu, "uuid", gpu.uuid)

    def nvmlDeviceGetName(self, gpu: FakeGpu) -> str:
        return self._answer(gpu, "name", gpu.name)

    def nvmlDeviceGetMemoryInfo(self, gpu: FakeGpu) -> SimpleNamespace:
        free = gpu.memory_total - gpu.memory_used
        return self._answer(
            gpu, "memory", SimpleNamespace(total=gpu.memory_total, used=gpu.memory_used, free=free)
        )

    def nvmlDeviceGetUtilizationRates(self, gpu: FakeGpu) -> SimpleNamespace:
        return self._answer(gpu, "utilisation", SimpleNamespace(gpu=gpu.utilisation, memory=0))

    def nvmlDeviceGetTemperature(self, gpu: FakeGpu, sensor: int) -> int:
        return self._answer(gpu, "temperature", gpu.temperature)

    def nvmlDeviceGetPowerUsage(self, gpu: FakeGpu) -> int:
        return self._answer(gpu, "power", gpu.power_mw)

    def nvmlDeviceGetCudaComputeCapability(self, gpu: FakeGpu) -> tuple[int, int]:
        return self._answer(gpu, "capability", gpu.capability)

    def _answer(self, gpu: FakeGpu, question: str, value: T) -> T:
        if question in gpu.mute:
            raise NVMLError("Not Supported")
        return value
