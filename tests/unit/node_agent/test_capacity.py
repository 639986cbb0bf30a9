"""What is on offer, and which place a job gets."""

from __future__ import annotations

from dataclasses import replace

from p2p.core.ids import new_job_id
from p2p.core.jobspec import JobConfig, JobSpec, NetworkMode
from p2p.core.limits import GIB, JOB_MEMORY_MIN_BYTES
from p2p.core.messages.nodes import Assignment, GpuInfo, Hardware
from p2p.core.money import Asset
from p2p.node.capacity import make_capacity
from p2p.node.settings import NodeSettings

SMALL = GpuInfo("GPU-b", "small", "rtx4090", 24 * GIB)
LARGE = GpuInfo("GPU-a", "large", "rtx4090", 48 * GIB)
OTHER = GpuInfo("GPU-c", "other", "h100", 80 * GIB)
GPUS = Hardware((LARGE, SMALL, OTHER), 12, 120 * GIB, 500 * GIB)
CPU_ONLY = Hardware((), 4, 16 * GIB, 100 * GIB)


def job(gpu_class: str, min_vram_bytes: int = 0) -> Assignment:
    config = JobConfig(min_vram_bytes=min_vram_bytes)
    spec = JobSpec("n", "train.py", config, b"", 1, 1, False, Asset.SOL)
    return Assignment(new_job_id(), 1, spec, "peer", (), 45.0, gpu_class, 1)


def place(hardware: Hardware, wanted: Assignment, busy: frozenset[str] = frozenset()) -> str | None:
    found = make_capacity(hardware, NodeSettings(), can_firewall=True).place(wanted, busy, "image")
    return None if found is None else found.gpu_uuid


def test_the_smallest_free_gpu_of_the_class_that_is_large_enough_is_taken() -> None:
    assert place(GPUS, job("rtx4090")) == "GPU-b"
    assert place(GPUS, job("rtx4090", 30 * GIB)) == "GPU-a"
    assert place(GPUS, job("rtx4090"), frozenset({"GPU-b"})) == "GPU-a"
    assert place(GPUS, job("rtx4090"), frozenset({"GPU-a", "GPU-b"})) is None
    assert place(GPUS, job("h100", 81 * GIB)) is None
    assert place(GPUS, job("cpu")) is None


def test_a_machine_without_gpu_has_one_slot_for_class_cpu() -> None:
    assert place(CPU_ONLY, job("cpu")) == ""
    assert place(CPU_ONLY, job("cpu"), frozenset({""})) is None
    assert place(CPU_ONLY, job("rtx4090")) is None
    assert place(CPU_ONLY, job("cpu", GIB)) is None


def test_shares_are_the_machine_divided_unless_the_owner_says_otherwise() -> None:
    shared = make_capacity(GPUS, NodeSettings(), can_firewall=True)
    assert (shared.slots, shared.job_cpus, shared.job_memory_bytes) == (3, 4.0, 30 * GIB)
    chosen = make_capacity(GPUS, NodeSettings(cpus=2, memory_bytes=8 * GIB), can_firewall=True)
    assert (chosen.job_cpus, chosen.job_memory_bytes) == (2.0, 8 * GIB)
    greedy = make_capacity(CPU_ONLY, NodeSettings(cpus=64, memory_bytes=64 * GIB), can_firewall=True)
    assert (greedy.job_cpus, greedy.job_memory_bytes) == (4.0, 16 * GIB)
    tiny = make_capacity(replace(CPU_ONLY, memory_bytes=1), NodeSettings(), can_firewall=True)
    assert tiny.job_memory_bytes == JOB_MEMORY_MIN_BYTES


def test_only_the_gpus_that_the_owner_chose_are_on_offer() -> None:
    chosen = make_capacity(GPUS, NodeSettings(gpus=("GPU-c",)), can_firewall=True)
    assert chosen.hardware.gpus == (OTHER,)


def test_the_internet_is_offered_only_if_the_owner_wants_and_the_firewall_can() -> None:
    both = (NetworkMode.NONE, NetworkMode.OUTBOUND)
    assert make_capacity(CPU_ONLY, NodeSettings(), can_firewall=True).networks == both
    assert make_capacity(CPU_ONLY, NodeSettings(), can_firewall=False).networks == both[:1]
    assert make_capacity(CPU_ONLY, NodeSettings(network=False), can_firewall=True).networks == both[:1]
