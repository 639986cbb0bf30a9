"""`make demo`, as a newcomer runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.process, pytest.mark.docker]

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits"


def test_the_demo_trains_a_model_and_the_money_is_exact(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "p2p.engine.demo", "--out", str(out)]
    for name in ("script", "data", "requirements", "config"):
        path = {"script": "train.py", "data": "data", "config": "config.json"}.get(name, f"{name}.txt")
        command += [f"--{name}", str(DIGITS / path)]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout
    for expected in (
        "at most",
        "queued",
        "running",
        "Epoch 1/20",
        "Epoch 20/20",
        "results verified",
        "settled",
    ):
        assert expected in done.stdout
    for row in ("used", "to the node (90 %)", "to the platform (10 %)", "back to the buyer"):
        assert re.search(rf"^{re.escape(row)}.*USDC", done.stdout, re.MULTILINE), row
    assert "Ledger and chain agree to the last unit" in done.stdout
    assert (out / "outputs" / "model.pt").stat().st_size > 100_000
    assert (out / "metrics.csv").read_text().count("\n") >= 21
    home = re.search(r"/tmp/cyxwiz-demo-\w+", done.stdout)
    assert home is None or not Path(home[0]).exists()
