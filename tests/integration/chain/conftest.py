"""A localnet over real HTTP: in a thread of the test, with the program deployed once per session."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from p2p.chain.config import ChainConfig
from p2p.chain.deploy import Operator, bootstrap
from p2p.chain.localnet import LocalnetServer, open_localnet
from p2p.chain.localnet_chain import LocalChain


@dataclass
class Net:
    server: LocalnetServer
    chain: LocalChain
    folder: Path

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def keys(self) -> Operator:
        return Operator.in_folder(self.folder)

    def config(self) -> ChainConfig:
        return ChainConfig.load(self.folder / "chain.toml")


def serve(folder: Path) -> Iterator[Net]:
    server, chain = open_localnet(folder / "net", 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Net(server, chain, folder)
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
    for net in serve(folder):
        trio.run(bootstrap, net.url, folder)
    return folder


@pytest.fixture
def net(deployed: Path, tmp_path: Path) -> Iterator[Net]:
    """A fresh copy of it, running."""
    folder = tmp_path / "chain"
    shutil.copytree(deployed, folder)
    for running in serve(folder):
        config = trio.run(bootstrap, running.url, folder)
        config.save(folder / "chain.toml")
        yield running


@pytest.fixture
def empty_net(tmp_path: Path) -> Iterator[Net]:
    """A localnet on which nothing is deployed."""
    yield from serve(tmp_path / "empty")
