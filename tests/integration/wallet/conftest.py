"""The person in front of the wallet page, their browser and a real localnet."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from p2p.chain.browser import SignIn, SignTransactions, WalletAnswer, WalletRequest, ask_wallet_all
from p2p.chain.config import ChainConfig
from p2p.chain.deploy import bootstrap
from p2p.chain.escrow import EscrowClient
from p2p.chain.localnet import open_localnet
from p2p.core.errors import CyxWizError
from p2p.testing.browser import Tab, chromium, open_tab

WALLET_SCRIPT = (Path(__file__).parent / "testwallet.js").read_text()
TEST_S = 60.0
Drive = Callable[[], Awaitable[object]]


@pytest.fixture(scope="session")
def debugger() -> Iterator[str]:
    with chromium() as address:
        yield address


@pytest.fixture(scope="session")
def chain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the keys of its operators."""
    return tmp_path_factory.mktemp("localnet")


@pytest.fixture(scope="session")
def chain_config(chain_folder: Path) -> Iterator[ChainConfig]:
    """A localnet with the escrow program on it."""
    server, chain = open_localnet(chain_folder, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield trio.run(bootstrap, server.url, chain_folder)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        with server.lock:
            chain.close()


@pytest.fixture
async def chain(chain_config: ChainConfig) -> AsyncIterator[EscrowClient]:
    async with EscrowClient(chain_config) as client:
        yield client


class Person(Tab):
    """In front of a page."""

    async def install(self, **wallet: Any) -> None:
        """Put a test wallet into the browser; see ``testwallet.js`` for how it can misbehave."""
        await self.inject(f"(() => {{ const options = {json.dumps(wallet)};\n{WALLET_SCRIPT}\n}})();")

    async def pick(self, name: str = "Test Wallet") -> None:
        await self.click(name)

    async def agree(self, name: str = "Test Wallet") -> None:
        await self.click(f"Sign with {name}")

    async def calls(self) -> str:
        """What the wallet was asked, in order."""
        return str(await self.evaluate("testWallet['Test Wallet'].calls.join()"))

    async def answer(
        self, requests: WalletRequest | Sequence[WalletRequest], drive: Drive, timeout_s: float = TEST_S
    ) -> list[WalletAnswer]:
        """Be asked, and meanwhile do what ``drive`` does."""
        listed = [requests] if isinstance(requests, SignIn | SignTransactions) else list(requests)

        def open_browser(url: str) -> bool:
            return trio.from_thread.run(self.open, url)

        found: list[list[WalletAnswer] | CyxWizError] = []

        async def asking() -> None:
            try:
                found.append(await ask_wallet_all(listed, open_browser, timeout_s))
            except* CyxWizError as group:
                found.append(cast(CyxWizError, group.exceptions[0]))

        with trio.fail_after(TEST_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(asking)
                await drive()
        if isinstance(found[0], CyxWizError):
            raise found[0]
        return found[0]

    async def refuses(self, request: WalletRequest, drive: Drive, code: str) -> CyxWizError:
        """As :meth:`answer`, which must fail with this code."""
        with pytest.raises(CyxWizError) as caught:
            await self.answer(request, drive)
        assert caught.value.code == code
        return caught.value


@pytest.fixture
async def tab(debugger: str) -> AsyncIterator[Person]:
    async with open_tab(debugger, Person) as person:
        yield person
