"""An operator with a home, keys in files, and a real localnet."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from coordinator.cli import main
from p2p.chain.config import ChainConfig
from p2p.chain.deploy import Operator, bootstrap
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.keys import Signer, create_keypair, load_keypair
from p2p.chain.localnet import LocalnetServer, open_localnet
from p2p.chain.localnet_chain import LocalChain
from p2p.core.ids import Wallet
from p2p.core.money import Asset
from p2p.core.paths import Home
from p2p.local.home import HOME_VARIABLE

SOL = 10**9


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
class Station:
    """A localnet, and an operator at it. Keys lie in ``folder``."""

    server: LocalnetServer
    chain: LocalChain
    folder: Path
    home: Home
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    @property
    def keys(self) -> Operator:
        return Operator.in_folder(self.folder)

    def key(self, name: str) -> tuple[str, ...]:
        """The options that name a key's file."""
        return ("--keypair", str(self.folder / f"{name}.json"))

    def fresh(self, name: str, lamports: int = SOL) -> Signer:
        """A new key in a file, with some SOL."""
        signer = create_keypair(self.folder / f"{name}.json")
        self.fund(signer.address, lamports)
        return signer

    def fund(self, wallet: Wallet, lamports: int = SOL) -> None:
        trio.run(faucet, self.server.url, wallet, Asset.SOL, lamports)

    def write_config(self, program_id: str) -> None:
        """A ``config.toml`` as an operator writes it."""
        self.home.config.write_text(
            f'[chain]\ncluster = "localnet"\nrpc_url = ["{self.server.url}"]\n'
            f'program_id = "{program_id}"\nusdc_mint = "{self.chain.usdc_mint}"\n'
        )

    def wallet(self, name: str) -> str:
        return load_keypair(self.folder / f"{name}.json").address

    def __call__(self, *arguments: str) -> Done:
        """Run ``cyxwiz-coordinator escrow …`` in this process."""
        self.patch.setattr(sys, "argv", ["cyxwiz-coordinator", "escrow", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = self.capture.readouterr()
        return Done(int(ended.value.code or 0), shown.out, shown.err)

    def next_block(self) -> None:
        """Until a transaction that says the same as the last one is another transaction."""

        async def passed(chain: EscrowClient) -> None:
            before = (await chain.recent()).blockhash
            while (await chain.recent()).blockhash == before:
                await trio.sleep(0.02)

        self.ask(passed)

    def ask(self, work: Callable[[EscrowClient], Any]) -> Any:
        """One question to the chain."""

        async def asking() -> Any:
            async with EscrowClient(ChainConfig.load(self.home.config)) as chain:
                return await work(chain)

        return trio.run(asking)


def serving(folder: Path) -> Iterator[tuple[LocalnetServer, LocalChain]]:
    server, chain = open_localnet(folder / "net", 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server, chain
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        with server.lock:
            chain.close()


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a localnet on which the program is deployed."""
    folder = tmp_path_factory.mktemp("deployed")
    for server, _ in serving(folder):
        trio.run(bootstrap, server.url, folder)
    return folder


@pytest.fixture
def station(
    deployed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Station]:
    """A copy of it, running."""
    shutil.copytree(deployed, tmp_path / "localnet")
    yield from _stations(tmp_path, capsys, monkeypatch, configured=True)


@pytest.fixture
def empty_station(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Station]:
    """A localnet on which nothing is deployed."""
    (tmp_path / "localnet").mkdir()
    yield from _stations(tmp_path, capsys, monkeypatch, configured=False)


def _stations(
    root: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch, *, configured: bool
) -> Iterator[Station]:
    home = Home(root / "home")
    home.root.mkdir()
    patch.setenv(HOME_VARIABLE, str(home.root))
    patch.setenv("COLUMNS", "200")
    for server, chain in serving(root / "localnet"):
        station = Station(server, chain, root / "localnet", home, capture, patch)
        if configured:
            trio.run(bootstrap, server.url, station.folder).save(home.config)
        yield station
