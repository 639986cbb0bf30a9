"""The runner on a real Docker engine: one job from its inputs to its collected output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = pytest.mark.docker

SUCCESS = """
import os, sys
print("cwd", os.getcwd(), open("data/x.txt").read().strip(), open(os.environ["DATA_DIR"] + "/x.txt").read().strip())
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
