"""What this machine has: GPUs by NVML, processors, memory, disk. Detection never raises.

A machine without a driver has no GPU and is of class ``cpu``; a GPU that fell off the bus is left out and
named, and does not hide the others.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from p2p.core.jobspec import ANY_GPU, CPU_CLASS
from p2p.core.limits import GPUS_PER_NODE_MAX
from p2p.core.text import clean_name

T = TypeVar("T")

NAME_MAX_CHARS = 96
CLASS_MAX_CHARS = 32

_NVIDIA = "0x10de"
"""Of the PCI vendors (https://pci-ids.ucw.cz)."""
_DISPLAY = "0x03"
_BRAND_WORDS = frozenset(
    {
        *("nvidia", "geforce", "tesla", "quadro", "graphics", "device", "gpu", "generation", "blackwell"),
        *("workstation", "server", "edition", "with", "design"),
    }
)
_SIZE = re.compile(r"\d+gb\Z")
_FORM = re.compile(r"(?:sxm\d?|pcie|nvl|hbm\d?e?)(?:-\d+gb)?\Z")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. ``gpu_class`` is what buyers ask for and rates are set for, such as ``rtx4090``."""

    uuid: str
    name: str
    gpu_class: str
    vram_bytes: int
    compute_capability: str  # such as "8.9"; empty if the driver does not say


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine. ``problems`` says, for people, what could not be read."""

    gpus: tuple[Gpu, ...]
    cpu_count: int
    memory_bytes: int
    disk_free_bytes: int
    driver_version: str = ""
    problems: tuple[str, ...] = ()
    cards: int = 0  # of NVIDIA, on the bus, with or without a driver

    @property
    def gpu_class(self) -> str:
        """The class of the first GPU; ``cpu`` where there is none."""
        return self.gpus[0].gpu_class if self.gpus else CPU_CLASS


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One moment of one GPU; None where the driver does not say."""

    uuid: str
    utilisation_percent: int | None
    memory_used_bytes: int | None
    temperature_c: int | None
    power_w: float | None


def gpu_class(name: str) -> str:
    """NVML's product name as a class: ``NVIDIA GeForce RTX 4090`` is ``rtx4090``, ``NVIDIA H100 80GB HBM3``
    is ``h100``. Memory sizes and form factors are left out: matching asks for memory in bytes.
    """
    words = re.sub(r"[^a-z0-9 -]", " ", clean_name(name, NAME_MAX_CHARS).lower()).split()
    kept: list[str] = []
    for word in words:
        base = word.split("-")[0] if _FORM.match(word.partition("-")[2]) else word
        if base not in _BRAND_WORDS and not _SIZE.match(base) and not _FORM.match(base):
            kept.append(base.replace("-", ""))
    joined = "".join(kept)[:CLASS_MAX_CHARS]
    return "gpu" if joined in ("", CPU_CLASS, ANY_GPU) else joined


def detect(folder: Path = Path("/")) -> Hardware:
    """Look at the machine; ``folder`` is where the free disk space counts."""
    problems: list[str] = []
    gpus, driver = _find_gpus(problems)
    return Hardware(
        gpus=tuple(gpus),
        cpu_count=_usable_cpus(),
        memory_bytes=_memory_bytes(problems),
        disk_free_bytes=_disk_free(folder, problems),
        driver_version=driver,
        problems=tuple(problems),
        cards=_nvidia_cards(),
    )


def _nvidia_cards(bus: Path = Path("/sys/bus/pci/devices")) -> int:
    """Display controllers of NVIDIA on the bus, as Linux lists them; zero elsewhere."""
    count = 0
    for device in bus.glob("*"):
        with suppress(OSError):
            maker, kind = (device / "vendor").read_text().strip(), (device / "class").read_text().strip()
            count += maker == _NVIDIA and kind.startswith(_DISPLAY)
    return count


def gpu_readings() -> tuple[GpuReading, ...]:
    """Utilisation, memory, temperature and power of every GPU now; empty without a driver."""
    readings: list[GpuReading] = []
    with _nvml([]) as nvml:
        for handle in _handles(nvml, []):
            uuid = _ask(nvml, nvml.nvmlDeviceGetUUID, handle)
            if uuid is None:
                continue
            utilisation = _ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
            memory = _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
            power_mw = _ask(nvml, nvml.nvmlDeviceGetPowerUsage, handle)
            readings.append(
                GpuReading(
                    uuid=_text(uuid),
                    utilisation_percent=None if utilisation is None else int(utilisation.gpu),
                    memory_used_bytes=None if memory is None else int(memory.used),
                    temperature_c=_ask(
                        nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU
                    ),
                    power_w=None if power_mw is None else power_mw / 1000,
                )
            )
    return tuple(readings)


def _find_gpus(problems: list[str]) -> tuple[list[Gpu], str]:
    gpus: list[Gpu] = []
    driver = ""
    with _nvml(problems) as nvml:
        if nvml is not None:
            driver = _text(_ask(nvml, nvml.nvmlSystemGetDriverVersion) or "")
        for handle in _handles(nvml, problems):
            gpu = _gpu(nvml, handle)
            if gpu is None:
                problems.append("A GPU does not answer; it is not offered.")
            else:
                gpus.append(gpu)
    return gpus, driver


def _gpu(nvml: Any, handle: Any) -> Gpu | None:
    uuid, name = _ask(nvml, nvml.nvmlDeviceGetUUID, handle), _ask(nvml, nvml.nvmlDeviceGetName, handle)
    memory = _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    if uuid is None or name is None or memory is None:
        return None
    capability = _ask(nvml, nvml.nvmlDeviceGetCudaComputeCapability, handle)
    return Gpu(
        uuid=_text(uuid),
        name=_text(name),
        gpu_class=gpu_class(_text(name)),
        vram_bytes=int(memory.total),
        compute_capability=f"{capability[0]}.{capability[1]}" if capability else "",
    )


def _handles(nvml: Any, problems: list[str]) -> list[Any]:
    handles = []
    count = 0 if nvml is None else _ask(nvml, nvml.nvmlDeviceGetCount) or 0
    for index in range(min(count, GPUS_PER_NODE_MAX)):
        handle = _ask(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
        if handle is None:
            problems.append(f"GPU {index} does not answer; it is not offered.")
        else:
            handles.append(handle)
    return handles


@contextmanager
def _nvml(problems: list[str]) -> Iterator[Any]:
    """NVML, started; None where there is no library, no driver or no right to it."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except ImportError:
        problems.append("The Python package nvidia-ml-py is missing, so that no GPU can be seen.")
        yield None
        return
    except pynvml.NVMLError as error:
        if not isinstance(error, pynvml.NVMLError_LibraryNotFound):  # an ordinary machine without a GPU
            problems.append(f"The NVIDIA driver does not answer: {clean_name(str(error), NAME_MAX_CHARS)}.")
        yield None
        return
    try:
        yield pynvml
    finally:
        _ask(pynvml, pynvml.nvmlShutdown)


def _ask(nvml: Any, function: Callable[..., T], *arguments: Any) -> T | None:
    """What NVML answers; None if it refuses, or answers what cannot be read."""
    try:
        return function(*arguments)
    except (nvml.NVMLError, UnicodeDecodeError):
        return None


def _text(value: str | bytes) -> str:
    """Older bindings answer bytes."""
    return clean_name(value.decode("utf-8", "replace") if isinstance(value, bytes) else value, NAME_MAX_CHARS)


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes(problems: list[str]) -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        problems.append("The size of the memory is unknown.")
        return 0


def _disk_free(folder: Path, problems: list[str]) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        problems.append(f"The free space of {folder} is unknown: {error.strerror}.")
        return 0
