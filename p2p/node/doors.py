"""How a login reaches the coordinator: through the agent that runs or, while none runs, with the node's key.

A login belongs to the peer that asks for it, so it has to come from the node's own identity.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from p2p.chain.browser import SignedIn, SignIn
from p2p.chain.config import ChainConfig
from p2p.chain.owners import owner_for
from p2p.core.ids import Wallet
from p2p.core.limits import COORDINATOR_CALL_TIMEOUT_S
from p2p.core.paths import Home
from p2p.core.wallet_choice import WalletChoice
from p2p.local.cli import say
from p2p.local.client import LocalClient
from p2p.local.home import load_network_config, make_private
from p2p.local.platform import ProcessLock, is_locked
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.node.login import Login
from p2p.node.payout import load_payout, logged_in
from p2p.node.settings import load_settings, save_settings, settings_path
from p2p.node.views import login_json


class Door(Protocol):
    """Each may raise what the coordinator answers, or that it is away."""

    async def challenge(self, wallet: Wallet, domain: str) -> str:
        """The text to sign."""

    async def finish(self, choice: WalletChoice, answer: SignedIn) -> dict[str, Any]:
        """Hand it in signed: the wallet is paid from now on. See :func:`login_json`."""


@asynccontextmanager
async def open_door(home: Home) -> AsyncIterator[Door]:
    """Whichever there is.

    :raises CyxWizError: there is no configuration, or a file of the node cannot be used.
    """
    if is_locked(home.node.lock):
        yield AgentDoor(LocalClient(home.node.socket))
        return
    network = load_network_config(home)
    make_private(home.node.folder)
    with ProcessLock(home.node.lock):
        async with Peer.open(PeerIdentity.load_or_create(home.node.peer_key), ()) as peer:

            async def call(method: str, payload: bytes) -> bytes:
                return await peer.call(
                    network.coordinator_peer_id,
                    method,
                    payload,
                    addrs=(network.coordinator_address,),
                    timeout_s=COORDINATOR_CALL_TIMEOUT_S,
                )

            yield OwnDoor(home, Login(call, peer.peer_id, network.chain))


class AgentDoor:
    """Through the agent, which takes the wallet up at once."""

    def __init__(self, client: LocalClient) -> None:
        self._client = client

    async def challenge(self, wallet: Wallet, domain: str) -> str:
        found = await self._client.call("login_challenge", {"wallet": wallet, "domain": domain})
        return str(found["text"])

    async def finish(self, choice: WalletChoice, answer: SignedIn) -> dict[str, Any]:
        params = {
            "wallet": answer.wallet,
            "kind": choice.kind.value,
            "file": None if choice.file is None else str(choice.file),
            "text": answer.text,
            "signature": b64encode(answer.signature).decode(),
        }
        found: dict[str, Any] = await self._client.call("login_finish", params)
        return found


class OwnDoor:
    """By this process itself; the agent finds the wallet in the settings."""

    def __init__(self, home: Home, login: Login) -> None:
        self._folder = home.node.folder
        self._login = login

    async def challenge(self, wallet: Wallet, domain: str) -> str:
        return await self._login.challenge(wallet, domain)

    async def finish(self, choice: WalletChoice, answer: SignedIn) -> dict[str, Any]:
        path = settings_path(self._folder)
        settings = load_settings(path)
        before = load_payout(self._folder, settings)
        reply = await self._login.answer(answer.wallet, answer.text, answer.signature)
        changed = logged_in(settings, choice, answer.wallet, reply.expires_at_s)
        save_settings(path, changed)
        return login_json(before, load_payout(self._folder, changed), reply)


async def log_in(home: Home, choice: WalletChoice) -> dict[str, Any]:
    """Have the wallet sign a login of this node; see :func:`login_json`.

    :raises CyxWizError: the person said no, the coordinator did, or something is away.
    """
    owner = owner_for(choice, say)
    config = ChainConfig.from_table(load_network_config(home).chain)
    found: dict[str, Any] = {}
    async with open_door(home) as door:

        async def accept(answer: SignedIn) -> None:
            found.update(await door.finish(choice, answer))

        request = SignIn(
            config.cluster,
            door.challenge,
            accept,
            wallet=owner.wallet,
            title="Log in to CyxWiz as a seller",
            done="The node is paid to this wallet",
        )
        await owner.answer([request])
    return found
