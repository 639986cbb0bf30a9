"""What of this machine is on offer: GPUs or the CPU slot, and each job's share of CPUs and memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from p2p.core.jobspec import CPU_CLASS, NetworkMode
from p2p.core.limits import JOB_MEMORY_MIN_BYTES
from p2p.core.messages.nodes import Assignment, Hardware
from p2p.node.settings import NodeSettings
from p2p.store.node import Place

_MEMORY_SHARE = 0.75
"""Of the machine's memory, for all jobs together; the rest is for the system and the agent."""
_CPUS_MIN = 0.1


@dataclass(frozen=True, slots=True)
class Capacity:
    """What hardware and settings come to. ``outbound``: whether jobs may have the internet."""

    hardware: Hardware
    job_cpus: float
    job_memory_bytes: int
    outbound: bool

    @property
    def slots(self) -> int:
        """How many jobs can run at once."""
        return max(1, len(self.hardware.gpus))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of what is on offer."""
        return tuple(sorted({gpu.gpu_class for gpu in self.hardware.gpus})) or (CPU_CLASS,)

    @property
    def networks(self) -> tuple[NetworkMode, ...]:
        """What an advert says about the internet."""
        return (NetworkMode.NONE, NetworkMode.OUTBOUND) if self.outbound else (NetworkMode.NONE,)

    def place(self, job: Assignment, busy: frozenset[str], image: str) -> Place | None:
        """A free place for the job: the smallest GPU of its class, or the CPU slot; None if there is none."""
        if not self.hardware.gpus:
            fits = job.gpu_class == CPU_CLASS and not job.spec.config.min_vram_bytes and "" not in busy
            return Place("", image, self.job_cpus, self.job_memory_bytes) if fits else None
        free = [
            gpu
            for gpu in self.hardware.gpus
            if gpu.gpu_class == job.gpu_class
            and gpu.uuid not in busy
            and gpu.vram_bytes >= job.spec.config.min_vram_bytes
        ]
        if not free:
            return None
        gpu = min(free, key=lambda candidate: (candidate.vram_bytes, candidate.uuid))
        return Place(gpu.uuid, image, self.job_cpus, self.job_memory_bytes)


def make_capacity(detected: Hardware, settings: NodeSettings, *, can_firewall: bool) -> Capacity:
    """The offer of a machine under its owner's settings.

    ``can_firewall``: jobs with the internet can be kept off the local network.
    """
    gpus = detected.gpus
    if settings.gpus:
        gpus = tuple(gpu for gpu in gpus if gpu.uuid in settings.gpus)
    slots = max(1, len(gpus))
    cpus = settings.cpus or detected.cpu_count / slots
    memory_bytes = settings.memory_bytes or int(detected.memory_bytes * _MEMORY_SHARE / slots)
    return Capacity(
        hardware=replace(detected, gpus=gpus),
        job_cpus=max(_CPUS_MIN, min(cpus, float(detected.cpu_count))),
        job_memory_bytes=max(JOB_MEMORY_MIN_BYTES, min(memory_bytes, detected.memory_bytes)),
        outbound=settings.network and can_firewall,
    )
