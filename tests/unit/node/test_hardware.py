from __future__ import annotations

import sys
from pathlib import Path

import pytest

from p2p.node.hardware import detect, gpu_class, gpu_readings
from p2p.testing.nvml import FakeGpu, FakeNvml, NVMLError, NVMLError_LibraryNotFound


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("NVIDIA GeForce RTX 3080 Ti", "rtx3080ti"),
        ("NVIDIA GeForce RTX 3080 12GB", "rtx3080"),
        ("NVIDIA GeForce RTX 3060 Laptop GPU", "rtx3060laptop"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H100 PCIe", "h100"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("Tesla V100-SXM2-16GB", "v100"),
        ("Tesla T4", "t4"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "rtxpro6000"),
        ("", "gpu"),
        ("CPU", "gpu"),
        ("\x1b[31mA\u202e10", "a10"),
    ],
)
def test_the_class_is_the_model_without_brand_form_or_memory(name: str, expected: str) -> None:
    assert gpu_class(name) == expected


def install(monkeypatch: pytest.MonkeyPatch, *gpus: FakeGpu, init_error: NVMLError | None = None) -> FakeNvml:
    fake = FakeNvml(list(gpus), init_error=init_error)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_a_broken_gpu_is_named_and_hides_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = FakeGpu("GPU-1", "NVIDIA GeForce RTX 4090")
    fake = install(
        monkeypatch, FakeGpu("GPU-0", "x", lost=True), good, FakeGpu("GPU-2", "NVIDIA L4", mute=("memory",))
    )
    found = detect(tmp_path)
    assert [gpu.uuid for gpu in found.gpus] == ["GPU-1"]
    assert found.gpus[0].vram_bytes == 24 << 30
    assert found.gpus[0].compute_capability == "8.9"
    assert found.gpu_class == "rtx4090"
    assert len(found.problems) == 2
    assert fake.started == 0


def test_a_machine_without_a_driver_is_of_class_cpu_and_has_no_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, init_error=NVMLError_LibraryNotFound("not found"))
    found = detect()
    assert found.gpu_class == "cpu"
    assert found.problems == ()
    assert found.cpu_count >= 1
    assert found.memory_bytes > 1 << 20
    assert gpu_readings() == ()


def test_a_driver_that_fails_and_a_missing_folder_are_problems_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, init_error=NVMLError("Driver/library version mismatch"))
    found = detect(tmp_path / "missing")
    assert "version mismatch" in found.problems[0]
    assert "missing" in found.problems[1]
    assert found.disk_free_bytes == 0


def test_readings_leave_out_what_the_driver_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeGpu("GPU-1", "NVIDIA A10", mute=("power", "utilisation")))
    (reading,) = gpu_readings()
    assert (reading.uuid, reading.utilisation_percent, reading.power_w) == ("GPU-1", None, None)
    assert (reading.temperature_c, reading.memory_used_bytes) == (60, 1 << 30)
