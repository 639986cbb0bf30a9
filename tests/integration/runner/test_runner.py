"""The runner on a real Docker engine: one job from its inputs to its collected output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2p.core.metrics import Progress, parse_line

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = pytest.mark.docker

SUCCESS = """
import os, sys
by_name = open("data/x.txt").read().strip()
by_variable = open(os.environ["DATA_DIR"] + "/x.txt").read().strip()
print("cwd", os.getcwd(), by_name, by_variable)
print("uid", os.getuid()); print("to stderr", file=sys.stderr)
open("relative.txt", "w").write("r"); open(os.environ["OUTPUT_DIR"] + "/model.pt", "wb").write(b"m" * 1000)
open(os.environ["CHECKPOINT_DIR"] + "/1.ckpt", "w").write("c")
"""


async def test_success_from_inputs_to_collected_output(
    bench: Bench, tmp_path: Path, host_has: Callable[[str], bool]
) -> None:
    spec = bench.spec(SUCCESS)
    data = bench.runner.input_dir(spec) / "data"
    data.mkdir()
    (data / "x.txt").write_text("42\n")
    report = await bench.run(spec)
    assert report.ok, (report, bench.text)
    assert "cwd /out 42 42" in bench.text
    assert "uid 10001" in bench.text
    assert "to stderr" in bench.text
    collected = await bench.runner.collect(spec, tmp_path / "got")
    assert [file.path for file in collected.files] == ["checkpoints/1.ckpt", "model.pt", "relative.txt"]
    assert collected.skipped == ()
    assert (tmp_path / "got" / "model.pt").read_bytes() == b"m" * 1000
    assert host_has(spec.job_id)
    await bench.runner.cleanup(spec)
    await bench.runner.cleanup(spec)
    assert not host_has(spec.job_id)
    assert not bench.runner.folders(spec).root.exists()


TRAINING = """
import torch, numpy, pandas, sklearn, scipy, transformers, matplotlib, tqdm, threading
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.tensorboard import SummaryWriter
matplotlib.use("Agg")
import matplotlib.pyplot as plt
x = torch.randn(64, 4)
loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16, num_workers=2)
model = torch.nn.Linear(4, 1); optimiser = torch.optim.SGD(model.parameters(), 0.1); writer = SummaryWriter()
for epoch in range(2):
    for a, b in loader:
        loss = ((model(a) - b) ** 2).mean(); optimiser.zero_grad(); loss.backward(); optimiser.step()
    print(f"Epoch {epoch + 1}/2 - loss: {loss.item():.4f}")
    writer.add_scalar("loss", loss.item(), epoch)
writer.close(); torch.save(model.state_dict(), "model.pt"); plt.plot([1, 2]); plt.savefig("plot.png")
print("done", torch.load("model.pt").keys())
"""


async def test_pytorch_trains_under_the_profile_with_worker_processes_and_shared_memory(
    bench: Bench, tmp_path: Path
) -> None:
    spec = bench.spec(TRAINING, memory_bytes=3 << 30, cpus=2.0, timeout_s=110)
    report = await bench.run(spec)
    assert report.ok, bench.text
    progress = Progress()
    for line in bench.text.splitlines():
        progress = progress.updated(parse_line(line))
    assert progress.fraction == 1.0
    collected = await bench.runner.collect(spec, tmp_path / "got")
    names = [file.path for file in collected.files]
    assert {"model.pt", "plot.png"} <= set(names)
    assert any(name.startswith("runs/") for name in names)
    assert report.usage.memory_peak_bytes > 100 << 20
