"""What a marketplace adds to a job, beside ``docker run`` of the same image and command in the same run.

From the yes to the script's first line, and from its exit to verified results. A network of real processes
is started for it. Targets: first line within 2.5 × ``docker run``; results of 1 MB verified at the buyer
within 1 s of the script's exit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import trio

from p2p.core.paths import Home
from p2p.engine import local_network
from p2p.local.client import LocalClient
from p2p.local.home import HOME_VARIABLE

FIRST_LINE_TARGET = 2.5
DELIVERY_TARGET_S = 1.0
OUTPUT_BYTES = 1_000_000
JOB_TIMEOUT_S = 120
SCRIPT = f"""
import os, time
print(time.time(), flush=True)
with open(os.path.join(os.environ["OUTPUT_DIR"], "model.bin"), "wb") as file:
    file.write(os.urandom({OUTPUT_BYTES}))
"""
# docker run streams the same line; the same interpreter start is in both.
REFERENCE = ["python", "-u", "-c", "import time; print(time.time(), flush=True)"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="jobs to send (default 5)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="cyxwiz-bench-") as folder:
        home = Home(Path(folder))
        try:
            trio.run(local_network.up, home, print)
            _measure(home, runs)
        finally:
            trio.run(local_network.down, home, print)


def _measure(home: Home, runs: int) -> None:
    _cli(home, "login", "--keypair", str(home.root / "buyer.json"))
    _cli(home, "wallet", "deposit", "20", "--asset", "usdc", "--yes")
    image = json.loads(_cli(home, "status", "--json", program="p2p.node.cli"))["image"]
    job = home.root / "job"
    (job / "data").mkdir(parents=True)
    (job / "data" / "x").write_text("x")
    (job / "train.py").write_text(SCRIPT)
    ours: list[float] = []
    docker: list[float] = []
    delivery: list[float] = []
    for number in range(runs + 1):
        reference = _docker_first_line_s(image)
        first_line, delivered = trio.run(_job, home, job, job / f"out{number}")
        if number == 0:
            continue  # a warm-up: caches of the page and of Docker
        docker.append(reference)
        ours.append(first_line)
        delivery.append(delivered)
    ratio = statistics.median(a / b for a, b in zip(ours, docker, strict=True))
    print(f"\nmedians of {runs} runs, alternating")
    print(f"docker run to its first line      {statistics.median(docker):6.3f} s")
    print(f"submit to the script's first line {statistics.median(ours):6.3f} s")
    print(f"ratio                             {ratio:6.2f}   (target <= {FIRST_LINE_TARGET})")
    print(
        f"exit to {OUTPUT_BYTES / 1e6:.0f} MB verified at buyer   {statistics.median(delivery):6.3f} s "
        f"(target <= {DELIVERY_TARGET_S:.0f} s)"
    )


def _docker_first_line_s(image: str) -> float:
    begun = time.time()
    command = ["docker", "run", "--rm", "--network", "none", image, *REFERENCE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=JOB_TIMEOUT_S)
    return float(done.stdout) - begun


async def _job(home: Home, folder: Path, out: Path) -> tuple[float, float]:
    """Send one job through the engine's agent, as the CLI does after the yes."""
    agent = LocalClient(home.engine.socket)
    params = {
        "script": str(folder / "train.py"),
        "data": str(folder / "data"),
        "out": str(out),
        "asset": "usdc",
        "overrides": {"gpu_type": "cpu"},
    }
    plan: dict[str, Any] = {}
    async with aclosing(agent.stream("plan", params)) as items:
        async for item in items:
            plan = item.get("plan", plan)
    begun = time.time()
    await agent.call("start", {"job": plan["job_id"]})
    job: dict[str, Any] = {}
    with trio.fail_after(JOB_TIMEOUT_S):
        async with aclosing(agent.stream("watch", {"job": plan["job_id"]})) as news:
            async for job in news:
                if job["final"]:
                    break
    if not job["succeeded"]:
        raise SystemExit(f"the job failed: {job['failure_words']} {job['detail']}")
    first_line = float((out / "log.txt").read_text().split()[0])
    statement = json.loads((out / "statement.json").read_text())["statement"]
    verified = next(event["at_s"] for event in job["events"] if event["state"] == "verified")
    return first_line - begun, verified - statement["finished_at_s"]


def _cli(home: Home, *arguments: str, program: str = "p2p.engine.cli") -> str:
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        env={**os.environ, HOME_VARIABLE: str(home.root)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=JOB_TIMEOUT_S,
    )
    return done.stdout


if __name__ == "__main__":
    main()
