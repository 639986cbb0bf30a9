"""The node's side of its coordinator: login, registration, heartbeats; reconnects for ever.

A coordinator that is away changes nothing for the jobs that run: they are named again in the first
heartbeat or registration that gets through.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import trio

from p2p.core.clock import Clock
from p2p.core.config import NetworkConfig
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused, UserError
from p2p.core.ids import Wallet
from p2p.core.limits import (
    COORDINATOR_CALL_TIMEOUT_S,
    HEARTBEAT_S,
    LEASE_S,
    LEAVE_TIMEOUT_S,
    LOGIN_SOON_S,
    RECONNECT_FIRST_S,
    RECONNECT_MAX_S,
)
from p2p.core.messages.auth import Ack, LoginReply
from p2p.core.messages.nodes import (
    Heartbeat,
    HeartbeatReply,
    HeldJob,
    LeaseGrant,
    LeaveRequest,
    NodeAdvert,
    RegisterReply,
    RegisterRequest,
    StopOrder,
)
from p2p.net.peer import Peer
from p2p.node.login import Login, login_ended
from p2p.node.payout import Payout
from p2p.wire.codec import decode, encode

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

_LOGIN_AGAIN = ("not_logged_in", "wrong_advert")
"""Refusals after which a login may help; the second: another wallet was logged in meanwhile."""
_HEARTBEAT_MIN_S = 0.2
_BEATS_PER_LEASE = 3


class NodeState(Protocol):
    """What the link tells the coordinator, and what it does with the answers."""

    def advert(self) -> NodeAdvert: ...

    def heartbeat(self) -> Heartbeat: ...

    async def orders(
        self, sent: tuple[HeldJob, ...], leases: tuple[LeaseGrant, ...], stop: tuple[StopOrder, ...]
    ) -> None:
        """``sent`` are the jobs that the request named, which ``leases`` and ``stop`` answer."""


@dataclass(slots=True)
class LinkStatus:
    """How it stands, for people. Times are Unix seconds."""

    registered: bool = False
    last_contact_s: float | None = None
    problem: CyxWizError | None = None
    login: LoginReply | None = None


class CoordinatorLink:
    """Keeps the node registered while :meth:`run` runs; :meth:`call` may be used beside it."""

    def __init__(
        self, peer: Peer, network: NetworkConfig, payout: Payout, state: NodeState, clock: Clock
    ) -> None:
        self._peer = peer
        self.coordinator = network.coordinator_peer_id
        self._addresses = (network.coordinator_address,)
        self._payout = payout
        self.logins = Login(self._call, peer.peer_id, network.chain)
        self._state = state
        self._clock = clock
        self._nudge = trio.Event()
        self._register_again = False
        self._login_lock = trio.Lock()
        self._online = trio.Event()
        self.status = LinkStatus()
        peer.on_disconnect(self._on_disconnect)

    async def run(self) -> None:
        """Log in, register, beat; after any trouble wait and begin again. Runs until cancelled."""
        wait_s = RECONNECT_FIRST_S
        while True:
            try:
                heartbeat_s = await self._register()
                wait_s = RECONNECT_FIRST_S
                await self._beat(heartbeat_s)
            except EnvironmentFailure as error:
                self._lost(error)
            except UserError as error:
                # What it refuses now it refuses in half a second too.
                self._lost(error)
                wait_s = RECONNECT_MAX_S
            with trio.move_on_after(wait_s):
                await self._nudge.wait()
            wait_s = min(2 * wait_s, RECONNECT_MAX_S)

    def announce(self) -> None:
        """The advert has changed: register again now."""
        self._register_again = True
        self._nudge.set()

    async def until_registered(self) -> None:
        """Wait until the node is registered (which it may be already)."""
        await self._online.wait()

    async def call(self, method: str, request: object, kind: type[T]) -> T:
        """One call to the coordinator; logs in first when it asks for that.

        :raises CyxWizError: as :meth:`p2p.net.peer.Peer.call`.
        """
        payload = encode(request)
        try:
            return decode(kind, await self._call(method, payload))
        except Refused as error:
            if error.code not in _LOGIN_AGAIN:
                raise
        await self.login()
        return decode(kind, await self._call(method, payload))

    async def login(self) -> LoginReply:
        """Sign the coordinator's challenge with the payout wallet.

        :raises CyxWizError: as :meth:`call` and :class:`Login`; ``not_logged_in``: only a person can.
        """
        async with self._login_lock:
            if self._payout.signer is None:
                raise login_ended(self._payout)
            self.status.login = await self.logins.with_key(self._payout.signer)
            return self.status.login

    async def hand_in(
        self, wallet: Wallet, text: str, signature: bytes, accept: Callable[[LoginReply], Awaitable[Payout]]
    ) -> LoginReply:
        """A login that was signed elsewhere. ``accept`` keeps the wallet, and gives it as the one to pay.

        :raises CyxWizError: as :meth:`Login.answer`, and what ``accept`` raises: the old one is paid then.
        """
        try:
            async with self._login_lock:
                self.status.login = None
                reply = await self.logins.answer(wallet, text, signature)
                self._payout = await accept(reply)
                self.status.login = reply
        finally:
            self.announce()
        return reply

    async def leave(self, reason: str) -> None:
        """Say goodbye, if the coordinator listens."""
        with trio.move_on_after(LEAVE_TIMEOUT_S):
            try:
                await self.call("node.leave", LeaveRequest(reason), Ack)
            except CyxWizError as error:
                _LOG.info("could not say goodbye: %s", error.what)

    async def _call(self, method: str, payload: bytes) -> bytes:
        try:
            return await self._peer.call(
                self.coordinator, method, payload, addrs=self._addresses, timeout_s=COORDINATOR_CALL_TIMEOUT_S
            )
        except EnvironmentFailure as error:
            if error.code == "peer_timeout":
                # A connection that died without a word is noticed by its own pings only after the leases are
                # lost; a new one shows at once whether the coordinator is there.
                await self._peer.disconnect(self.coordinator)
            raise

    async def _register(self) -> float:
        """Register with what is held; how often to beat, in seconds."""
        if self.status.login is None and self._payout.signer is not None:
            await self.login()
        self._register_again = False
        self._nudge = trio.Event()
        held = self._state.heartbeat().held
        reply = await self.call("node.register", RegisterRequest(self._state.advert(), held), RegisterReply)
        self._reached()
        await self._state.orders(held, reply.leases, reply.stop)
        slowest_s = max(_HEARTBEAT_MIN_S, min(reply.lease_s or LEASE_S, LEASE_S) / _BEATS_PER_LEASE)
        return min(max(_HEARTBEAT_MIN_S, reply.heartbeat_s or HEARTBEAT_S), slowest_s)

    async def _beat(self, heartbeat_s: float) -> None:
        """Beat until told to register again."""
        while True:
            with trio.move_on_after(heartbeat_s):
                await self._nudge.wait()
            if self._register_again:
                heartbeat_s = await self._register()
                continue
            if self._login_ends_soon():
                await self.login()
            self._nudge = trio.Event()
            beat = self._state.heartbeat()
            reply = await self.call("node.heartbeat", beat, HeartbeatReply)
            self._reached()
            await self._state.orders(beat.held, reply.leases, reply.stop)
            if reply.register_again:
                heartbeat_s = await self._register()

    def _login_ends_soon(self) -> bool:
        """Whether to log in again before that, which only a key at hand can."""
        login = self.status.login
        if login is None or self._payout.signer is None:
            return False
        return login.expires_at_s < self._clock.now_s() + LOGIN_SOON_S

    def _reached(self) -> None:
        if not self.status.registered:
            _LOG.info("registered with the coordinator")
        self.status.registered = True
        self.status.problem = None
        self.status.last_contact_s = self._clock.now_s()
        self._online.set()

    def _lost(self, error: CyxWizError) -> None:
        if self.status.problem is None or self.status.problem.code != error.code:
            _LOG.warning("no coordinator: %s", error.what)
        self.status.registered = False
        self.status.problem = error
        if self._online.is_set():  # else somebody may be waiting for this very event
            self._online = trio.Event()

    def _on_disconnect(self, peer_id: str) -> None:
        if peer_id == self.coordinator:
            self._register_again = True  # it may have been restarted and know nothing
            self._nudge.set()
