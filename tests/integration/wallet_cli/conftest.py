"""``cyxwiz`` as people use it with each kind of wallet: real processes, a real coordinator, a real chain."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
import trio
from solders.keypair import Keypair

from coordinator.store.embedded import EmbeddedPostgres
from p2p.chain.config import ChainConfig
from p2p.chain.deploy import Operator, bootstrap
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.keys import Signer
from p2p.chain.localnet import open_localnet
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.money import Asset
from p2p.core.paths import Home
from p2p.local.home import HOME_VARIABLE
from p2p.local.platform import is_locked, kill, lock_owner
from p2p.node.settings import NodeSettings, save_settings, settings_path
from p2p.testing.browser import Tab, chromium, open_tab

ROOT = Path(__file__).resolve().parents[3]
WALLET_SCRIPT = (ROOT / "tests/integration/wallet/testwallet.js").read_text()
DEADLINE_S = 60.0
SOL_UNITS, USDC_UNITS = 10**9, 10 * 10**6


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.stderr
        return json.loads(self.stdout)


@dataclass
class Localnet:
    """A chain with the escrow program; its clock can be moved."""

    config: ChainConfig
    folder: Path

    @property
    def keys(self) -> Operator:
        return Operator.in_folder(self.folder)


@pytest.fixture(scope="session")
def localnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    folder = tmp_path_factory.mktemp("localnet")
    server, chain = open_localnet(folder / "net", 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Localnet(trio.run(bootstrap, server.url, folder), folder)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        with server.lock:
            chain.close()


@pytest.fixture
async def chain(localnet: Localnet) -> AsyncIterator[EscrowClient]:
    async with EscrowClient(localnet.config) as client:
        yield client


@dataclass
class Person:
    """A wallet with money, and a home of its own."""

    home: Home
    seed: int
    keypair: Keypair
    config: ChainConfig
    environment: dict[str, str] = field(default_factory=dict)
    program: str = "p2p.engine.cli"

    @property
    def signer(self) -> Signer:
        return Signer(self.keypair)

    @property
    def keypair_file(self) -> Path:
        """The bare key in a file."""
        file = self.home.root.parent / f"{self.home.root.name}-keypair.json"
        if not file.exists():
            file.write_text(json.dumps(list(bytes(self.keypair))))
        return file

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", self.program, *arguments]

    def variables(self) -> dict[str, str]:
        here = {
            HOME_VARIABLE: str(self.home.root),
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }
        kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "BROWSER")}
        return {**kept, **here, **self.environment}

    def __call__(self, *arguments: str, secrets: tuple[str, ...] = ()) -> Done:
        """Run a command without a terminal; ``secrets``: lines for its CYXWIZ_PASSWORD_FD."""
        environment, descriptors = self.variables(), ()
        if secrets:
            reader, writer = os.pipe()
            os.write(writer, "".join(f"{line}\n" for line in secrets).encode())
            os.close(writer)
            environment["CYXWIZ_PASSWORD_FD"], descriptors = str(reader), (reader,)
        try:
            done = subprocess.run(
                self.command(*arguments),
                env=environment,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=DEADLINE_S,
                check=False,
                pass_fds=descriptors,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return Done(done.returncode, done.stdout, done.stderr)

    async def run(self, *arguments: str) -> Done:
        """As a call, while other tasks go on."""
        with trio.fail_after(DEADLINE_S):
            done = await trio.run_process(
                self.command(*arguments),
                env=self.variables(),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    async def at_the_page(self, drive: Callable[[], Awaitable[object]], *arguments: str) -> Done:
        """Run a command, and do on its page what ``drive`` does; how the command ended."""
        ended: list[Done] = []

        async def command() -> None:
            ended.append(await self.run(*arguments))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(command)
            await drive()
        return ended[0]

    def stop_agent(self) -> None:
        if is_locked(self.home.engine.lock):
            pid = lock_owner(self.home.engine.lock)
            if pid is not None:
                kill(pid)


@dataclass
class Terminal:
    """A command at a terminal of its own, and the person who types."""

    process: subprocess.Popen[bytes]
    master: int
    shown: str = ""
    place: int = 0

    def see(self, text: str) -> str:
        """Wait until the terminal shows ``text``; what came since it was looked at last."""
        deadline_s = SYSTEM_CLOCK.monotonic_s() + DEADLINE_S
        while text not in self.shown[self.place :]:
            left_s = deadline_s - SYSTEM_CLOCK.monotonic_s()
            ready = left_s > 0 and select.select([self.master], [], [], left_s)[0]
            assert ready, f"{text!r} was not shown, but {self.shown[self.place :]!r}"
            self.shown += os.read(self.master, 65536).decode(errors="replace")
        end = self.shown.index(text, self.place) + len(text)
        part, self.place = self.shown[self.place : end], end
        return part

    def type(self, line: str) -> None:
        os.write(self.master, f"{line}\n".encode())

    def end(self) -> int:
        """Wait for the command's end; its exit code."""
        deadline_s = SYSTEM_CLOCK.monotonic_s() + DEADLINE_S
        while (code := self.process.poll()) is None or select.select([self.master], [], [], 0)[0]:
            assert SYSTEM_CLOCK.monotonic_s() < deadline_s, self.shown
            if select.select([self.master], [], [], 0.05)[0]:
                self.shown += os.read(self.master, 65536).decode(errors="replace")
        return code


@contextmanager
def terminal(person: Person, *arguments: str) -> Iterator[Terminal]:
    """Start a command as the leader of a session whose terminal is ours."""
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    command = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', name, *person.command(*arguments)]
    variables = {**person.variables(), "TERM": "xterm"}
    process = subprocess.Popen(command, env=variables, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        # Our own end stays open: else what the command showed last would be gone with it.
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(slave)
        os.close(master)


_seeds = iter(range(1, 250))  # of wallets: a new one for each person


@dataclass
class Station:
    """A coordinator as a process, and people around it."""

    localnet: Localnet
    address: str
    folder: Path
    people: list[Person] = field(default_factory=list)

    def person(self, *, funded: bool = True, address: str | None = None) -> Person:
        """Somebody with SOL and USDC in their wallet, nothing in escrow, and no login."""
        seed = next(_seeds)
        config, keypair = self.localnet.config, Keypair.from_seed(bytes([seed]) * 32)
        home = Home(self.folder / f"person{seed}")
        home.root.mkdir()
        home.config.write_text(f'[coordinator]\naddress = "{address or self.address}"\n\n{config.to_toml()}')
        person = Person(home, seed, keypair, config)
        self.people.append(person)
        if funded:
            trio.run(self._fund, person.signer.address)
        return person

    async def _fund(self, wallet: Any) -> None:
        url = self.localnet.config.rpc_urls[0]
        await faucet(url, wallet, Asset.SOL, SOL_UNITS)
        await faucet(url, wallet, Asset.USDC, USDC_UNITS)


@pytest.fixture(scope="session")
def _coordinator(localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = Home(tmp_path_factory.mktemp("coordinator") / "home")
    home.coordinator.folder.mkdir(parents=True)
    copyfile(localnet.folder / "coordinator.json", home.coordinator.folder / "coordinator.json")
    placeholder = '[coordinator]\naddress = "/ip4/127.0.0.1/tcp/1/p2p/x"\n\n'
    home.config.write_text(placeholder + localnet.config.to_toml())
    command = [sys.executable, "-m", "coordinator.cli", "serve", "--listen", "/ip4/127.0.0.1/tcp/0"]
    environment = {**os.environ, HOME_VARIABLE: str(home.root), "PYTHONPATH": str(ROOT)}
    with (home.root / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode().strip()
        assert line, (home.root / "log").read_text()
        yield line
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)
        EmbeddedPostgres(home.coordinator.folder / "postgres").stop()


@pytest.fixture
def station(localnet: Localnet, _coordinator: str, tmp_path: Path) -> Iterator[Station]:
    made = Station(localnet, _coordinator, tmp_path)
    try:
        yield made
    finally:
        for person in made.people:
            person.stop_agent()


@pytest.fixture
def person(station: Station) -> Person:
    return station.person()


@pytest.fixture
def seller(station: Station) -> Iterator[Person]:
    """A person whose commands are those of ``cyxwiz-node``."""
    seller = station.person()
    seller.program = "p2p.node.cli"
    seller.home.node.folder.mkdir(mode=0o700)
    settings = NodeSettings(listen=("/ip4/127.0.0.1/tcp/0",))
    save_settings(settings_path(seller.home.node.folder), settings)
    yield seller
    if is_locked(seller.home.node.lock):
        pid = lock_owner(seller.home.node.lock)
        if pid is not None:
            kill(pid)


@pytest.fixture
def at_terminal() -> Callable[..., Any]:
    """``with at_terminal(person, "wallet", "create") as screen``."""
    return terminal


# -- the person's browser


@pytest.fixture(scope="session")
def debugger() -> Iterator[str]:
    with chromium() as address:
        yield address


class Browser(Tab):
    """The tab in which the wallet page opens."""

    page: Path

    async def serve(self, person: Person, seed: int | None = None, **misbehaviour: Any) -> None:
        """Put a wallet into the browser, and make it the system's browser for this person's commands."""
        options = {"seeds": [seed or person.seed], **misbehaviour}
        await self.inject(f"(() => {{ const options = {json.dumps(options)};\n{WALLET_SCRIPT}\n}})();")
        self.page = person.home.root / "page"
        program = person.home.root / "browser"
        program.write_text(f'#!/bin/sh\nprintf %s "$1" > {self.page}.new\nmv {self.page}.new {self.page}\n')
        program.chmod(stat.S_IRWXU)
        person.environment["BROWSER"] = str(program)

    async def arrive(self) -> None:
        """Open the page that the command wants to be opened."""
        with trio.fail_after(DEADLINE_S):
            while not self.page.exists():
                await trio.sleep(0.02)
        url = self.page.read_text()
        self.page.unlink()
        await self.open(url)

    async def sign(self) -> None:
        await self.click("Sign with Test Wallet")


@pytest.fixture
async def browser(debugger: str) -> AsyncIterator[Browser]:
    async with open_tab(debugger, Browser) as tab:
        yield tab
