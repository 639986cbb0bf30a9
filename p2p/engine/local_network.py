"""A whole network on one machine: chain, coordinator and node as processes of their own.

``cyxwiz local up | status | down``. Everything lies under one home; each process holds its own lock file,
so that whether it runs is asked of the kernel and never of a stale process id.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import trio

from p2p.chain.config import ChainConfig
from p2p.chain.deploy import bootstrap
from p2p.chain.faucet import faucet
from p2p.chain.keys import create_keypair, load_keypair
from p2p.core.errors import CyxWizError, EnvironmentFailure
from p2p.core.ids import Wallet
from p2p.core.money import Asset
from p2p.core.paths import AgentPaths, Home
from p2p.local.client import LocalClient
from p2p.local.home import HOME_VARIABLE, make_private
from p2p.local.platform import ask_to_stop, is_locked, kill, lock_owner, start_detached
from p2p.net.identity import PeerIdentity

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 45.0
BUYER_SOL_UNITS = 10 * 10**9
BUYER_USDC_UNITS = 100 * 10**6

_CLEANERS = {
    "node": [("p2p.node.cli", ["clean"])],  # containers, mounts, networks, firewall rules
    "coordinator": [("coordinator.cli", ["postgres", "stop"])],  # outlives a killed coordinator
}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process of the network and whether it runs."""

    name: str
    pid: int | None
    log: Path


@dataclass(frozen=True, slots=True)
class LocalNetwork:
    """A network that is up."""

    home: Home
    chain: ChainConfig
    coordinator_address: str
    buyer_keypair: Path
    buyer: Wallet

    @property
    def rpc_url(self) -> str:
        return self.chain.rpc_urls[0]


async def up(home: Home, say: Say) -> LocalNetwork:
    """Start what does not run yet, and wait until a job could be sent.

    :raises EnvironmentFailure: a process did not come up; its log is named.
    """
    for paths in (home.localnet, home.coordinator, home.node, home.engine):
        make_private(paths.folder)
    rpc_url = await _chain_up(home, say)
    chain = await bootstrap(rpc_url, home.localnet.folder)
    _copy_private(home.localnet.folder / "coordinator.json", home.coordinator.folder / "coordinator.json")
    address = await _coordinator_up(home, chain, say)
    await _node_up(home, say)
    keypair = home.root / "buyer.json"
    buyer = await _fund_buyer(keypair, rpc_url)
    return LocalNetwork(home, chain, address, keypair, buyer)


def status(home: Home) -> list[ProcessStatus]:
    """Which of the network's processes run."""
    return [_status(name, paths) for name, paths in _processes(home)]


async def down(home: Home, say: Say) -> None:
    """Stop every process in order, and clear what killed ones and jobs left behind.

    :raises EnvironmentFailure: leftovers could not be removed.
    """
    for name, paths in _processes(home):
        if is_locked(paths.lock):
            say(f"stopping the {name}")
            await _stop(paths)
        for program, arguments in _CLEANERS.get(name, ()):
            await _clean(home, program, arguments)


def _processes(home: Home) -> list[tuple[str, AgentPaths]]:
    """In the order in which they are stopped: whoever depends on others first."""
    return [
        ("engine agent", home.engine),
        ("node", home.node),
        ("coordinator", home.coordinator),
        ("chain", home.localnet),
    ]


def _status(name: str, paths: AgentPaths) -> ProcessStatus:
    return ProcessStatus(name, lock_owner(paths.lock) if is_locked(paths.lock) else None, paths.log)


async def _chain_up(home: Home, say: Say) -> str:
    port = _port(home.localnet.folder / "port")
    url = f"http://127.0.0.1:{port}"
    if not is_locked(home.localnet.lock):
        say("starting the chain (the Solana runtime behind JSON-RPC)")
        _start(home, home.localnet, ["-m", "p2p.engine.localnet_process", str(port)])

    async def healthy() -> bool:
        request = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
        try:
            async with httpx.AsyncClient(timeout=2) as client:
                return bool((await client.post(url, json=request)).json().get("result") == "ok")
        except (httpx.HTTPError, ValueError):
            return False

    await _until(healthy, "chain", home.localnet)
    return url


async def _coordinator_up(home: Home, chain: ChainConfig, say: Say) -> str:
    port = _port(home.coordinator.folder / "port")
    listen = f"/ip4/127.0.0.1/tcp/{port}"
    peer_id = PeerIdentity.load_or_create(home.coordinator.peer_key).peer_id
    address = f"{listen}/p2p/{peer_id}"
    home.config.write_text(f'[coordinator]\naddress = "{address}"\n\n{chain.to_toml()}', encoding="utf-8")
    if not is_locked(home.coordinator.lock):
        say("starting the coordinator (with an embedded PostgreSQL)")
        (home.coordinator.folder / "address").unlink(missing_ok=True)
        _start(home, home.coordinator, ["-m", "coordinator.cli", "serve", "--listen", listen])

    async def ready() -> bool:
        return is_locked(home.coordinator.lock) and (home.coordinator.folder / "address").exists()

    await _until(ready, "coordinator", home.coordinator)
    return address


async def _node_up(home: Home, say: Say) -> None:
    if not is_locked(home.node.lock):
        say("starting the node agent (its jobs run in Docker)")
        _start(home, home.node, ["-m", "p2p.node.cli", "run"])
    client = LocalClient(home.node.socket)

    async def registered() -> bool:
        try:
            return bool((await client.call("status", timeout_s=5))["registered"])
        except CyxWizError:
            return False

    await _until(registered, "node", home.node)


async def _fund_buyer(keypair: Path, rpc_url: str) -> Wallet:
    if keypair.exists():
        return load_keypair(keypair).address
    buyer = create_keypair(keypair).address
    await faucet(rpc_url, buyer, Asset.SOL, BUYER_SOL_UNITS)
    await faucet(rpc_url, buyer, Asset.USDC, BUYER_USDC_UNITS)
    return buyer


def _start(home: Home, paths: AgentPaths, arguments: list[str]) -> None:
    environment = {**os.environ, HOME_VARIABLE: str(home.root)}
    start_detached([sys.executable, *arguments], paths.log, environment)


async def _until(check: Callable[[], Awaitable[bool]], name: str, paths: AgentPaths) -> None:
    with trio.move_on_after(START_TIMEOUT_S):
        while not await check():
            await trio.sleep(0.1)
        return
    raise EnvironmentFailure(
        "start_failed",
        f"The {name} did not come up within {START_TIMEOUT_S:.0f} s.",
        "The network is not complete; nothing was paid.",
        f"Its log is {paths.log}; its last words: {_last_line(paths.log)}",
    )


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace")[-4000:].strip().splitlines()
    except OSError:
        return "none"
    return lines[-1] if lines else "none"


async def _stop(paths: AgentPaths) -> None:
    pid = lock_owner(paths.lock)
    if pid is None:
        return
    ask_to_stop(pid)
    with trio.move_on_after(STOP_TIMEOUT_S):
        while is_locked(paths.lock):
            await trio.sleep(0.05)
        return
    kill(pid)


async def _clean(home: Home, program: str, arguments: list[str]) -> None:
    """Run the command that knows what its own program may have left behind after ``kill -9``."""
    command = [sys.executable, "-m", program, *arguments]
    environment = {**os.environ, HOME_VARIABLE: str(home.root)}
    try:
        with trio.fail_after(STOP_TIMEOUT_S):
            done = await trio.run_process(
                command, env=environment, check=False, capture_stdout=True, stderr=subprocess.STDOUT
            )
    except trio.TooSlowError:
        raise _not_clean(f"{' '.join(command[2:])} took longer than {STOP_TIMEOUT_S:.0f} s") from None
    if done.returncode != 0:
        raise _not_clean(done.stdout.decode(errors="replace").strip()[-500:])


def _not_clean(why: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "not_clean",
        f"Not all leftovers could be removed: {why}.",
        "A database server, containers, mounts or firewall rules may still be there.",
        "Start Docker and run `cyxwiz local down` again.",
    )


def _port(file: Path) -> int:
    """A port of its own, kept, so that addresses written down stay true over restarts."""
    if file.exists():
        return int(file.read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    file.write_text(str(port))
    return port


def _copy_private(source: Path, target: Path) -> None:
    if target.exists():
        return
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, source.open("rb") as original:
        shutil.copyfileobj(original, file)
