"""Login: challenge, answer, and who is logged in."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from coordinator.domain.siws import Ask, login_text
from coordinator.service.context import Context
from coordinator.store import logins
from coordinator.store.records import ChallengeRow, LoginRow
from p2p.chain.keys import to_pubkey, verify
from p2p.core.errors import Refused
from p2p.core.ids import Wallet, parse_wallet
from p2p.core.limits import LOGIN_CHALLENGE_LIFETIME_S, LOGIN_LIFETIME_S, LOGINS_CACHED_MAX
from p2p.core.login import check_domain
from p2p.core.messages.auth import Challenge, ChallengeRequest, LoginReply, LoginRequest, Role
from p2p.net.calls import Call, Handler
from p2p.wire.codec import decode, encode

RequestT = TypeVar("RequestT")

_CLOCK_SLACK_S = 60.0
"""How far the clock may have been set back between challenge and answer."""


class Logins:
    """Who is logged in; kept in the database, remembered here."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cache: OrderedDict[tuple[str, Role], LoginRow] = OrderedDict()

    async def require(self, peer_id: str, role: Role, *, ended: bool = False) -> LoginRow:
        """The login of a peer; with ``ended`` also one whose time is over.

        :raises Refused: ``not_logged_in``.
        """
        login = self._cache.get((peer_id, role))
        if login is None:
            login = await self._context.run(lambda tx: logins.find_login(tx, peer_id, role))
        if login is None or not (ended or login.lasts(self._context.now_s())):
            self._cache.pop((peer_id, role), None)
            raise not_logged_in(role)
        self._remember(login, role)
        return login

    def handler(
        self,
        kind: type[RequestT],
        role: Role,
        work: Callable[[LoginRow, RequestT], Awaitable[object]],
        *,
        ended: bool = False,
    ) -> Handler:
        """A handler that checks the login before it decodes: a stranger's bytes are not even parsed.

        ``ended``: a login whose time is over does as well; ``work`` decides what it is still good for.
        """

        async def handle(call: Call) -> bytes:
            login = await self.require(call.peer_id, role, ended=ended)
            request = decode(kind, call.payload)
            return encode(await work(login, request))

        return handle

    async def challenge(self, call: Call) -> bytes:
        """``auth.challenge``: a text to sign, bound to this peer; replaces its earlier one."""
        request = decode(ChallengeRequest, call.payload)
        to_pubkey(parse_wallet(request.wallet))
        now_s = self._context.now_s()
        row = ChallengeRow(
            nonce=secrets.token_hex(16),
            peer_id=call.peer_id,
            wallet=request.wallet,
            role=request.role.value,
            cluster=self._context.chain.chain.cluster,
            issued_at_s=int(now_s),
            expires_at_s=int(now_s + LOGIN_CHALLENGE_LIFETIME_S),
            domain=check_domain(request.domain),
        )
        await self._context.run(lambda tx: logins.put_challenge(tx, row, now_s))
        return encode(Challenge(_text(row), row.nonce, row.expires_at_s))

    async def login(self, call: Call) -> bytes:
        """``auth.login``: the signed text; whatever comes of it, the nonce is used up."""
        request = decode(LoginRequest, call.payload)
        challenge = await self._context.run(lambda tx: logins.take_challenge(tx, call.peer_id, request.role))
        now_s = self._context.now_s()
        self._check(request, challenge, now_s)
        login = LoginRow(call.peer_id, request.role.value, request.wallet, now_s + LOGIN_LIFETIME_S)
        await self._context.run(lambda tx: logins.put_login(tx, login, now_s))
        self._remember(login, request.role)
        context = self._context
        return encode(
            LoginReply(
                expires_at_s=int(login.expires_at_s),
                cluster=context.chain.chain.cluster,
                program_id=context.chain.chain.program_id,
                usdc_mint=context.chain.chain.usdc_mint,
                coordinator_wallet=context.on_chain.coordinator,
            )
        )

    def _check(self, request: LoginRequest, challenge: ChallengeRow | None, now_s: float) -> None:
        if challenge is None:
            raise _refused("There is no challenge for this peer, or it was answered before.")
        if not challenge.issued_at_s - _CLOCK_SLACK_S <= now_s < challenge.expires_at_s:
            raise _refused("The challenge has expired.")
        if request.wallet != challenge.wallet or request.text != _text(challenge):
            raise _refused("The text signed is not the one that was asked for.")
        if not verify(Wallet(request.wallet), request.text.encode(), request.signature):
            raise _refused("The signature is not the wallet's.")

    def _remember(self, login: LoginRow, role: Role) -> None:
        key = (login.peer_id, role)
        self._cache[key] = login
        self._cache.move_to_end(key)
        while len(self._cache) > LOGINS_CACHED_MAX:
            self._cache.popitem(last=False)


def _text(row: ChallengeRow) -> str:
    ask = Ask(
        row.wallet,
        row.peer_id,
        Role(row.role),
        row.cluster,
        row.nonce,
        row.issued_at_s,
        row.expires_at_s,
        row.domain,
    )
    return login_text(ask)


def not_logged_in(role: Role) -> Refused:
    """Nobody has logged in, or too long ago."""
    return Refused(
        "not_logged_in",
        f"This peer is not logged in as {role.value}.",
        "Nothing was done.",
        "Log in with a wallet; a login lasts 30 days.",
    )


def _refused(what: str) -> Refused:
    return Refused("login_refused", what, "You are not logged in.", "Ask for a new challenge and sign that.")
