"""A real network of real processes for the whole run, and the CLIs as people use them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import load_keypair
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.ids import Wallet
from p2p.core.money import Asset
from p2p.core.paths import Home
from p2p.engine import local_network
from p2p.local.home import HOME_VARIABLE
from p2p.local.platform import is_locked, kill, lock_owner

CLI_TIMEOUT_S = 240
WAIT_TIMEOUT_S = 120


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Balances:
    """Base units on the chain: in the escrow, and in the buyer's own token account."""

    buyer: int
    buyer_wallet: int
    node: int
    fees: int


@dataclass
class Network:
    """The network under test."""

    home: Home
    up: local_network.LocalNetwork

    def environment(self) -> dict[str, str]:
        return {**os.environ, HOME_VARIABLE: str(self.home.root), "NO_COLOR": "1", "COLUMNS": "160"}

    def cli(self, *arguments: str, program: str = "p2p.engine.cli") -> Done:
        done = subprocess.run(
            [sys.executable, "-m", program, *arguments],
            env=self.environment(),
            cwd=self.home.root,  # results go to ./out unless they are told where
            capture_output=True,
            text=True,
            timeout=CLI_TIMEOUT_S,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def node_cli(self, *arguments: str) -> Done:
        return self.cli(*arguments, program="p2p.node.cli")

    def coordinator_cli(self, *arguments: str) -> Done:
        return self.cli(*arguments, program="coordinator.cli")

    def submit(self, job: Path, *options: str) -> str:
        """Submit ``train.py`` of a folder with its ``data`` and config; the job's id."""
        arguments = ["submit", str(job / "train.py"), "--data", str(job / "data"), "--yes", "--json"]
        if (job / "config.json").exists():
            arguments += ["--config", str(job / "config.json")]
        done = self.cli(*arguments, "--out", str(job / "out"), *options)
        assert done.code == 0, done.stderr
        job_id: str = done.json["job_id"]
        return job_id

    def show(self, job_id: str) -> dict[str, Any]:
        done = self.cli("show", job_id, "--json")
        assert done.code == 0, done.stderr
        shown: dict[str, Any] = done.json
        return shown

    def wait(self, job_id: str, *states: str, timeout_s: float = WAIT_TIMEOUT_S) -> dict[str, Any]:
        """Poll until the job is in one of ``states``."""
        return self.until(job_id, lambda job: job["state"] in states, timeout_s=timeout_s)

    def until(
        self,
        job_id: str,
        condition: Callable[[dict[str, Any]], object],
        *,
        timeout_s: float = WAIT_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Poll until ``condition`` holds of what `cyxwiz show` says."""
        deadline = time.monotonic() + timeout_s
        while True:
            job = self.show(job_id)
            if condition(job):
                return job
            assert time.monotonic() < deadline, f"still {job['state']}: {json.dumps(job, indent=1)[:3000]}"
            time.sleep(0.3)

    def wait_log(self, job_id: str, text: str, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until the engine's own copy of the log holds ``text``."""
        deadline = time.monotonic() + timeout_s
        while text not in self.cli("logs", job_id).stdout:
            assert time.monotonic() < deadline, f"{text!r} never came"
            time.sleep(0.3)

    def kill9(self, paths: Any) -> None:
        """``kill -9`` of one process, by its own lock file."""
        pid = lock_owner(paths.lock)
        assert pid is not None
        assert is_locked(paths.lock)
        kill(pid)
        deadline = time.monotonic() + 20
        while is_locked(paths.lock):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def restart(self) -> None:
        """Start again what does not run."""
        trio.run(local_network.up, self.home, print)

    def balances(self, asset: Asset = Asset.USDC) -> Balances:
        return trio.run(
            _balances, self.up, load_keypair(self.home.node.folder / "wallet.json").address, asset
        )


async def _balances(network: local_network.LocalNetwork, node: Wallet, asset: Asset) -> Balances:
    async with EscrowClient(network.chain, SYSTEM_CLOCK) as chain:
        fee_owner = (await chain.config()).fee_owner
        return Balances(
            buyer=await chain.balance(network.buyer, asset),
            buyer_wallet=await chain.wallet_balance(network.buyer, asset),
            node=await chain.balance(node, asset),
            fees=await chain.balance(fee_owner, asset),
        )


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The network, with a logged-in buyer who has deposited both assets."""
    folder = Path(tempfile.mkdtemp(prefix="cyxwiz-e2e-"))
    home = Home(folder)
    try:
        found = Network(home, trio.run(local_network.up, home, print))
        for arguments in (
            ["login", "--keypair", str(found.up.buyer_keypair)],
            ["wallet", "deposit", "50", "--asset", "usdc", "--yes"],
            ["wallet", "deposit", "2", "--asset", "sol", "--yes"],
        ):
            done = found.cli(*arguments)
            assert done.code == 0, done.stderr
        # Small, so that a script which eats all of it harms nothing else on this machine.
        assert found.node_cli("set", "--memory", "1").code == 0
        yield found
    finally:
        trio.run(local_network.down, home, print)
        shutil.rmtree(folder)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Path]:
    """Makes a job's folder from a script and config fields."""

    def make(script: str, **config: object) -> Path:
        folder = tmp_path / "job"
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "numbers.csv").write_text("1,2,3\n")
        (folder / "train.py").write_text(script)
        (folder / "config.json").write_text(json.dumps({"timeout": 120, **config}))
        return folder

    return make
