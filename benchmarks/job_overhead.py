"""What the runner adds to a job, beside `docker run` of the same image and command in the same run.

    python benchmarks/job_overhead.py [--rounds 7] [--json]

Measured, medians: from preparing to the script's first line, and from the script's exit to 1 MB of its
output collected. The reference starts an unhardened container with an ordinary bind mount and waits for
the same line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import trio

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.ids import new_job_id
from p2p.core.limits import GIB, MIB
from p2p.node.runner import LogCursor, Runner, RunSpec

SCRIPT = """
print("first line", flush=True)
with open("model.bin", "wb") as file:
    file.write(bytes(1 << 20))
"""
TARGET_RATIO = 2.5
TARGET_COLLECT_S = 1.0


def docker_run(image: str, folder: Path) -> float:
    """Seconds until `docker run` shows the script's first line."""
    (folder / "train.py").write_text(SCRIPT)
    folder.chmod(0o755)
    words = ["docker", "run", "--rm", "--user", "10001", "-v", f"{folder}:/job:ro", "-w", "/tmp", image]
    start = time.monotonic()
    process = subprocess.Popen([*words, "python", "-u", "/job/train.py"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    took = time.monotonic() - start
    process.communicate()
    if line != b"first line\n" or process.returncode:
        raise SystemExit(f"docker run did not work: {line!r}, exit {process.returncode}")
    return took


async def one_job(runner: Runner, image: str, target: Path) -> tuple[float, float]:
    """Seconds from preparing to the first line, and from exit to the output being collected."""
    spec = RunSpec(
        new_job_id(),
        1,
        "train.py",
        image,
        memory_bytes=GIB,
        cpus=1.0,
        timeout_s=60,
        output_max_bytes=64 * MIB,
    )
    (runner.input_dir(spec) / "train.py").write_text(SCRIPT)
    start = time.monotonic()
    await runner.prepare(spec)
    await runner.start(spec)
    async with runner.follow_logs(spec, LogCursor()) as entries:
        async for entry in entries:
            if entry.data == b"first line\n":
                first = time.monotonic() - start
    report = await runner.supervise(spec)
    collected = await runner.collect(spec, target)
    after = time.time() - report.finished_at_s
    await runner.cleanup(spec)
    if not report.ok or collected.size_bytes != 1 << 20:
        raise SystemExit(f"the job did not work: {report.words}")
    return first, after


async def measure(rounds: int, folder: Path) -> dict[str, float]:
    runner = Runner(folder / "runner", SYSTEM_CLOCK)
    try:
        image = await runner.find_image()
        reference, firsts, afters = [], [], []
        for index in range(rounds + 1):  # the first of each warms the caches and does not count
            inputs = folder / f"in{index}"
            inputs.mkdir()
            reference.append(await trio.to_thread.run_sync(docker_run, image, inputs))
            first, after = await one_job(runner, image, folder / f"out{index}")
            firsts.append(first)
            afters.append(after)
    finally:
        await runner.sweep(set())
        runner.close()
    found = {name: statistics.median(values[1:]) for name, values in
             (("docker_run_s", reference), ("first_line_s", firsts), ("collected_s", afters))}  # fmt: skip
    return {**found, "ratio": found["first_line_s"] / found["docker_run_s"]}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cyxwiz-bench-") as folder:
        Path(folder).chmod(0o711)
        found = trio.run(measure, max(5, chosen.rounds), Path(folder))
    if chosen.json:
        print(json.dumps(found))
    else:
        print(f"docker run, to the first line           {found['docker_run_s'] * 1000:7.0f} ms")
        print(f"the runner, to the first line           {found['first_line_s'] * 1000:7.0f} ms"
              f"   {found['ratio']:.2f} × docker run (target ≤ {TARGET_RATIO})")  # fmt: skip
        print(f"the runner, from exit to 1 MB collected {found['collected_s'] * 1000:7.0f} ms"
              f"   (target ≤ {TARGET_COLLECT_S * 1000:.0f} ms)")  # fmt: skip
    return int(found["ratio"] > TARGET_RATIO or found["collected_s"] > TARGET_COLLECT_S)


if __name__ == "__main__":
    sys.exit(main())
