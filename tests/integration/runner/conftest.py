from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trio

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.ids import new_job_id
from p2p.core.limits import MIB
from p2p.node.runner import ExitReport, LogCursor, Runner, RunSpec


@dataclass
class Bench:
    """A runner in a folder of the test's own, and what a test does with it most."""

    runner: Runner
    image: str
    lines: list[bytes] = field(default_factory=list)

    def spec(self, script: str, **changes: Any) -> RunSpec:
        """A job whose ``train.py`` is ``script``."""
        spec = RunSpec(
            job_id=new_job_id(),
            epoch=1,
            script="train.py",
            image=self.image,
            memory_bytes=256 * MIB,
            cpus=1.0,
            timeout_s=60,
            output_max_bytes=8 * MIB,
            grace_s=5.0,
        )
        spec = replace(spec, **changes)
        inputs = self.runner.input_dir(spec)
        (inputs / "train.py").write_text(script)
        return spec

    async def run(self, spec: RunSpec) -> ExitReport:
        """Prepare, start, follow and supervise to the end; the output is in ``lines``."""
        await self.runner.prepare(spec)
        await self.runner.start(spec)
        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.read, spec)
                report = await self.runner.supervise(spec)
        return report

    async def read(self, spec: RunSpec) -> None:
        async with self.runner.follow_logs(spec, LogCursor()) as entries:
            async for entry in entries:
                self.lines.append(entry.data)

    @property
    def text(self) -> str:
        return b"".join(self.lines).decode("utf-8", "replace")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    runner = Runner(tmp_path / "runner", SYSTEM_CLOCK, os.environ.get("CYXWIZ_TEST_DOCKER"))
    try:
        yield Bench(runner, await runner.find_image())
    finally:
        with trio.CancelScope(shield=True):
            await runner.sweep(set())
            await runner.remove_network()
            runner.close()


@pytest.fixture
def host_has() -> Callable[[str], bool]:
    """Whether the machine still has a mount, container, network or rule that names the given text."""
    import subprocess

    def found(text: str) -> bool:
        listings = [
            ["docker", "ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.Labels}}"],
            ["docker", "network", "ls", "--format", "{{.Name}}"],
            ["cat", "/proc/self/mountinfo"],
            ["losetup", "-a"],
            ["iptables-save"],
            ["ip6tables-save"],
        ]
        shown = [
            subprocess.run(words, capture_output=True, text=True, check=True).stdout for words in listings
        ]
        return any(text in listing for listing in shown)

    return found
