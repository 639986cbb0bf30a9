"""The buyer's window with a live list of jobs, beside Electrum's window in the same run.

    python benchmarks/gui_window.py [--rounds 5] [--idle 20] [--json]

Measured: from starting the process to its window being visible (the agent runs already), the share of a core
that it takes while nobody touches it and one of 200 jobs changes every second, its memory (PSS). The
reference is Electrum as Debian has it, offline, showing its first window.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _screen import WindowCost, cost_of_window, screen

from p2p.core.paths import Home
from p2p.core.states import JobState
from p2p.local.home import HOME_VARIABLE
from p2p.testing.scripted_agent import ScriptedAgent

JOBS = 200
TARGET_VISIBLE_S = 1.0
TARGET_IDLE_PERCENT = 1.0


def jobs(params: dict[str, Any]) -> list[dict[str, Any]]:
    """A list as a buyer has it after some weeks; the first job runs and costs more every second."""
    states = [JobState.RUNNING, JobState.SETTLED, JobState.REFUNDED, JobState.SETTLED]
    return [
        {
            "job_id": f"{number:032x}",
            "name": f"train-{number}",
            "state": states[min(number, 1) and number % 4].value,
            "gpu_class": "rtx4090",
            "gpu_type": "any",
            "created_at_s": 1_790_000_000.0 + number,
            "used_units": int(time.time()) if number == 0 else 1_000_000 + number,
            "asset": "usdc",
        }
        for number in range(JOBS)
    ]


def our_window(display: str, folder: Path, options: argparse.Namespace) -> WindowCost:
    home = Home(folder / "home")
    home.engine.folder.mkdir(parents=True)
    agent = ScriptedAgent(home.engine.socket)
    agent.answers["jobs"] = jobs
    agent.start()
    environment = {**os.environ, "DISPLAY": display, HOME_VARIABLE: str(home.root), "QT_QPA_PLATFORM": "xcb"}
    command = [sys.executable, "-m", "engine_gui.app"]
    cost = cost_of_window(command, "CyxWiz Engine", environment, options.idle, options.rounds)
    agent.stop()
    return cost


def electrum_window(display: str, folder: Path, options: argparse.Namespace) -> WindowCost | None:
    if shutil.which("electrum") is None:
        return None
    environment = {**os.environ, "DISPLAY": display, "PATH": "/usr/bin:/bin"}
    environment.pop("PYTHONPATH", None)
    command = ["electrum", "--testnet", "--offline", "-D", str(folder / "electrum")]
    return cost_of_window(command, "Electrum", environment, options.idle, options.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with screen() as display, tempfile.TemporaryDirectory() as folder:
        ours = our_window(display, Path(folder), options)
        reference = electrum_window(display, Path(folder), options)
    if options.json:
        print(json.dumps({"ours": asdict(ours), "electrum": reference and asdict(reference)}, indent=2))
    else:
        show("CyxWiz Engine", ours)
        if reference is None:
            print("Electrum: NOT MEASURED, it is not installed: apt-get install electrum python3-pyqt5")
        else:
            show("Electrum", reference)
    if ours.visible_s > TARGET_VISIBLE_S or ours.idle_cpu_percent > TARGET_IDLE_PERCENT:
        print(f"MISSED: visible within {TARGET_VISIBLE_S} s, at most {TARGET_IDLE_PERCENT} % of a core idle")
        sys.exit(1)


def show(name: str, cost: WindowCost) -> None:
    print(
        f"{name}: visible after {cost.visible_s:.2f} s, idle {cost.idle_cpu_percent:.1f} % of a core, "
        f"{cost.pss_bytes / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    main()
