"""The engine's side of its coordinator: typed calls, and logging in.

Calls are made when they are needed and dial again when the connection is gone; the network's configuration
is read anew when its file changes, so that a network that was started again is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio

from p2p.chain.config import ChainConfig
from p2p.core.clock import Clock
from p2p.core.config import NetworkConfig
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused
from p2p.core.ids import Wallet
from p2p.core.limits import CALL_TIMEOUT_S, REACH_TIMEOUT_S
from p2p.core.login import DOMAIN, check_challenge, check_domain
from p2p.core.messages.auth import Challenge, ChallengeRequest, LoginReply, LoginRequest, Role
from p2p.core.paths import Home
from p2p.core.wallet_choice import WalletKind
from p2p.engine.wallets import Account, Wallets, login_ended
from p2p.local.home import load_network_config
from p2p.net.errors import timed_out
from p2p.net.peer import Peer
from p2p.wire.codec import decode, encode

T = TypeVar("T")

_AWAY = ("peer_unreachable", "peer_timeout", "wrong_peer")


class Reach:
    """Whether the coordinator answers, and since when that is as it is; None while it was never asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.answers: bool | None = None
        self.since_s: float | None = None
        self.last_reply_at_s: float | None = None

    def note(self, answers: bool) -> None:
        """It answered, or did not."""
        now_s = self._clock.now_s()
        if answers:
            self.last_reply_at_s = now_s
        if answers is not self.answers:
            self.answers, self.since_s = answers, now_s


class CoordinatorLink:
    """Calls to the coordinator named in ``config.toml``."""

    def __init__(self, home: Home, peer: Peer, wallets: Wallets) -> None:
        self._home = home
        self._peer = peer
        self._wallets = wallets
        self._login_lock = trio.Lock()
        self.reach = Reach(peer.clock)

    def network(self) -> NetworkConfig:
        """The network that this home belongs to.

        :raises UserError: ``config.toml`` is missing or wrong.
        """
        return load_network_config(self._home)

    def chain_config(self) -> ChainConfig:
        """The chain that this home belongs to. Errors as :meth:`network`."""
        return ChainConfig.from_table(self.network().chain)

    async def look(self) -> None:
        """See whether the coordinator is there.

        :raises EnvironmentFailure: ``coordinator_unreachable``.
        """
        network = self.network()
        with self._reaching(network):
            try:
                with trio.fail_after(REACH_TIMEOUT_S):
                    await self._peer.connect(network.coordinator_peer_id, (network.coordinator_address,))
            except trio.TooSlowError:
                raise timed_out(network.coordinator_peer_id, "connect", REACH_TIMEOUT_S) from None

    async def call(
        self, method: str, request: object, kind: type[T], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> T:
        """One call; logs in again by itself when the coordinator asks for that and the key is in a file.

        :raises EnvironmentFailure: ``coordinator_unreachable``.
        :raises Refused: ``not_logged_in``: only the person can log in again.
        :raises CyxWizError: what the coordinator answered.
        """
        payload = encode(request)
        try:
            return decode(kind, await self._call(method, payload, timeout_s))
        except Refused as error:
            if error.code != "not_logged_in":
                raise
        account = await self._wallets.account()
        if account.kind is not WalletKind.KEYPAIR:
            raise login_ended(account)
        await self._login(account)
        return decode(kind, await self._call(method, payload, timeout_s))

    async def login_account(self, account: Account) -> LoginReply:
        """Log in with the account's keypair file, and remember the account.

        :raises UserError: as :meth:`challenge`, and :meth:`Account.signer`.
        :raises Refused: as :meth:`finish_login`.
        """
        reply = await self._login(account)
        await self._wallets.remember(account)
        return reply

    async def challenge(self, wallet: Wallet, domain: str = DOMAIN) -> str:
        """The text to sign that binds the wallet to this engine's peer id at the coordinator.

        :raises UserError: ``strange_challenge``: it asked for something else than a login to be signed;
            ``bad_domain``.
        """
        ask = ChallengeRequest(wallet, Role.ENGINE, check_domain(domain))
        challenge = decode(Challenge, await self._call("auth.challenge", encode(ask), CALL_TIMEOUT_S))
        check_challenge(challenge.text, wallet, self._peer.peer_id, Role.ENGINE, ask.domain)
        return challenge.text

    async def finish_login(self, account: Account, text: str, signature: bytes) -> LoginReply:
        """Answer a challenge that was signed elsewhere, and remember the account.

        :raises Refused: ``login_refused``; ``other_chain``: the coordinator settles on another chain or
            program than configured here.
        """
        reply = await self._answer(account.wallet, text, signature)
        await self._wallets.remember(account)
        return reply

    async def login_ends_at_s(self, account: Account) -> float | None:
        """When the last login at this coordinator ends; None if there was none."""
        return await self._wallets.login_ends_at_s(account.wallet, self.network().coordinator_peer_id)

    async def _login(self, account: Account) -> LoginReply:
        async with self._login_lock:
            signer = account.signer()
            text = await self.challenge(signer.address)
            return await self._answer(signer.address, text, signer.sign(text.encode()))

    async def _answer(self, wallet: Wallet, text: str, signature: bytes) -> LoginReply:
        login = LoginRequest(wallet, Role.ENGINE, text, signature)
        reply = decode(LoginReply, await self._call("auth.login", encode(login), CALL_TIMEOUT_S))
        self._check_chain(reply)
        await self._wallets.remember_login(wallet, self.network().coordinator_peer_id, reply.expires_at_s)
        return reply

    def _check_chain(self, reply: LoginReply) -> None:
        ours = self.chain_config()
        theirs = (reply.cluster, reply.program_id, reply.usdc_mint)
        if theirs != (ours.cluster, ours.program_id, ours.usdc_mint):
            raise Refused(
                "other_chain",
                "The coordinator settles on another chain or program than config.toml names.",
                "Nothing was paid.",
                "Compare [chain] in config.toml with what the coordinator's operator publishes.",
            )

    async def _call(self, method: str, payload: bytes, timeout_s: float) -> bytes:
        network = self.network()
        with self._reaching(network):
            return await self._peer.call(
                network.coordinator_peer_id,
                method,
                payload,
                addrs=(network.coordinator_address,),
                timeout_s=timeout_s,
            )

    @contextmanager
    def _reaching(self, network: NetworkConfig) -> Iterator[None]:
        """What is asked in the block shows whether the coordinator is there.

        :raises EnvironmentFailure: ``coordinator_unreachable``.
        """
        try:
            yield
        except CyxWizError as error:
            away = isinstance(error, EnvironmentFailure) and error.code in _AWAY
            self.reach.note(not away)
            if not away:
                raise
            why = error.what.rstrip(".")
            raise EnvironmentFailure(
                "coordinator_unreachable",
                f"The coordinator at {network.coordinator_address} does not answer ({why}).",
                "Jobs that run go on, and their money is safe; new ones cannot be sent now.",
                "Check the network, or `cyxwiz local status` if it runs on this machine; then try again.",
            ) from None
        self.reach.note(True)
