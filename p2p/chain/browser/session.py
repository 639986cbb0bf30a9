"""The conversation with one page, from its token to its last signature. No network and no HTTP here."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import trio

from p2p.chain.browser import checks
from p2p.chain.browser.request import (
    PreparedTransaction,
    SignedIn,
    SignedTransactions,
    SignIn,
    SignTransactions,
    WalletAnswer,
    WalletRequest,
)
from p2p.chain.browser.siws import SiwsFields
from p2p.chain.browser.views import done_view, error_view, prepared_view, request_view
from p2p.chain.errors import ProgramRefused
from p2p.chain.keys import to_pubkey
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused
from p2p.core.ids import Wallet
from p2p.core.limits import PAGE_ATTEMPTS_MAX, PAGE_STEP_TIMEOUT_S, PAGE_TRANSACTIONS_MAX

T = TypeVar("T")
Json = dict[str, object]

_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Said:
    """An answer to the page. ``last``: the conversation ends with it."""

    status: int
    body: Json
    last: bool = False


@dataclass(frozen=True, slots=True)
class _Offer:
    """What the wallet was last asked to sign."""

    wallet: Wallet
    content: SiwsFields | tuple[PreparedTransaction, ...]


class PageSession:
    """Asks ``requests`` one after another; the account of the first one must answer all."""

    def __init__(self, requests: Sequence[WalletRequest], host: str) -> None:
        self._requests = list(requests)
        self._host = host
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._key = ""  # what the page shows with each call once it has claimed the conversation
        self._attempts = 0
        self._offer: _Offer | None = None
        self._wallet: Wallet | None = None
        self._turn = trio.Lock()
        self._last_error: CyxWizError | None = None
        self._left = False  # the page was closed while a step was under way
        self.answers: list[WalletAnswer] = []
        self.failure: CyxWizError | None = None
        self.over = False

    async def say(self, call: str, key: str, body: Json) -> Said:
        """One call of the page. ``key``: the token for ``claim``, and what it gave for the others."""
        if call == "claim":
            return self._claim(key)
        if not self._key or not secrets.compare_digest(key.encode(), self._key.encode()):
            return Said(403, error_view(_not_this_page()))
        if self.over:
            return Said(410, error_view(_not_this_page()))
        calls: Mapping[str, Callable[[Json], Awaitable[Said]]] = {
            "prepare": self._prepare,
            "signed": self._signed,
            "cancel": self._cancel,
            "leave": self._leave,
        }
        if call not in calls:
            return Said(404, error_view(checks.bad_answer()))
        if self._turn.locked():
            self._left = self._left or call == "leave"
            return Said(409, error_view(_busy()))
        async with self._turn:
            return await self._guarded(calls[call], body)

    async def expire(self) -> None:
        """Time is up: whatever is under way comes to its end, nothing new begins."""
        async with self._turn:
            if not self.over:
                self._end(
                    self._last_error
                    or EnvironmentFailure(
                        "wallet_timeout",
                        "Nobody signed on the wallet page in time.",
                        "Nothing was signed, and no money moved.",
                        "Run the command again.",
                    )
                )

    # -- calls

    def _claim(self, token: str) -> Said:
        """The token opens the page once: whoever reads it later, in a history or process list, is late."""
        if self._key or self.over or not secrets.compare_digest(token.encode(), self.token.encode()):
            return Said(403, error_view(_not_this_page()))
        self._key = secrets.token_urlsafe(_TOKEN_BYTES)
        return Said(200, {"key": self._key, "request": self._view()})

    async def _guarded(self, call: Callable[[Json], Awaitable[Said]], body: Json) -> Said:
        """Refusals are shown on the page, where another try may mend them."""
        self._attempts += 1
        try:
            if self._attempts > PAGE_ATTEMPTS_MAX:
                self._end(_too_many())
                raise _too_many()
            said = await call(body)
        except CyxWizError as error:
            self._last_error = error
            said = Said(422, error_view(error, final=self.over))
        if self._left and not self.over:
            await self._leave({})
        return Said(said.status, said.body, last=self.over)

    async def _prepare(self, body: Json) -> Said:
        """Make what the chosen account is to sign."""
        request, wallet = self._requests[0], _wallet(body)
        self._offer = None
        checks.check_account(self._wallet or request.wallet, wallet)
        content: SiwsFields | tuple[PreparedTransaction, ...]
        if isinstance(request, SignIn):
            text = await _in_time(request.text(wallet, self._host))
            content = checks.parse_sign_in(text, wallet, self._host, request.cluster)
        else:
            content = tuple(await _in_time(request.build(wallet)))
            checks.check_prepared(content, wallet)
            if not 0 < len(content) <= PAGE_TRANSACTIONS_MAX:
                raise ValueError(f"{len(content)} transactions at once")
        self._offer = _Offer(wallet, content)
        return Said(200, prepared_view(content))

    async def _signed(self, body: Json) -> Said:
        """Verify what the wallet gave, act on it, and go on to the next request."""
        request, offer = self._requests[0], self._offer
        if offer is None:
            raise checks.bad_answer()
        self._offer = None  # a signature is taken once
        answer: WalletAnswer
        if isinstance(request, SignIn):
            answer = await self._signed_in(request, offer, body)
            if request.then is not None:
                self._requests[1:1] = await _in_time(request.then(answer.wallet))
        else:
            answer = await self._signed_transactions(request, offer, body)
        self.answers.append(answer)
        self._wallet = answer.wallet
        self._last_error = None
        del self._requests[0]
        self.over = not self._requests
        return Said(200, {"done": done_view(request, answer), "next": None if self.over else self._view()})

    async def _signed_in(self, request: SignIn, offer: _Offer, body: Json) -> SignedIn:
        assert isinstance(offer.content, SiwsFields)
        message, signature = (checks.decode_base64(body.get(name)) for name in ("message", "signature"))
        answer = checks.check_sign_in(offer.content, str(body.get("address")), message, signature)
        if request.accept is not None:
            await _in_time(request.accept(answer))
        return answer

    async def _signed_transactions(
        self, request: SignTransactions, offer: _Offer, body: Json
    ) -> SignedTransactions:
        assert isinstance(offer.content, tuple)
        checks.check_account(offer.wallet, str(body.get("address")))
        given = body.get("transactions")
        if not isinstance(given, list) or len(given) != len(offer.content):
            raise checks.bad_answer()
        signed = tuple(
            checks.check_signed(prepared, offer.wallet, checks.decode_base64(raw))
            for prepared, raw in zip(offer.content, given, strict=True)
        )
        if request.send is not None:
            for place, transaction in enumerate(signed):
                try:
                    await _in_time(request.send(transaction))
                except CyxWizError as error:
                    if place > 0 or not _nothing_landed(error):
                        self._end(error)
                    raise
        return SignedTransactions(offer.wallet, signed)

    async def _cancel(self, _body: Json) -> Said:
        self._end(self._last_error or self._declined("You cancelled on the wallet page."))
        return Said(200, {})

    async def _leave(self, _body: Json) -> Said:
        self._end(self._last_error or self._declined("The wallet page was closed too early."))
        return Said(200, {})

    # --

    def _declined(self, what: str) -> Refused:
        done = "What was confirmed before stands; nothing more was signed."
        meaning = done if self.answers else "Nothing was signed, and no money moved."
        return Refused("wallet_declined", what, meaning, "Run the command again when you are ready.")

    def _end(self, failure: CyxWizError) -> None:
        self.failure, self.over = failure, True

    def _view(self) -> Json:
        return request_view(self._requests[0], self._wallet or self._requests[0].wallet)


def _wallet(body: Json) -> Wallet:
    address = body.get("address")
    if not isinstance(address, str):
        raise checks.bad_answer()
    to_pubkey(Wallet(address))
    return Wallet(address)


async def _in_time(work: Awaitable[T]) -> T:
    with trio.move_on_after(PAGE_STEP_TIMEOUT_S):
        return await work
    raise EnvironmentFailure(
        "wallet_step_timeout",
        f"The chain or the coordinator did not answer within {PAGE_STEP_TIMEOUT_S:.0f} s.",
        "What was sent may still arrive; `cyxwiz wallet history` will show it.",
        "Wait a minute before you try again.",
    )


def _nothing_landed(error: CyxWizError) -> bool:
    """Whether a first transaction that failed so can safely be made anew."""
    return isinstance(error, ProgramRefused) or error.code == "transaction_expired"


def _busy() -> Refused:
    return Refused("wallet_busy", "The last step is still under way.", hint="Wait until it has ended.")


def _too_many() -> Refused:
    return Refused(
        "wallet_attempts", "There were too many attempts on this page.", hint="Run the command again."
    )


def _not_this_page() -> Refused:
    return Refused(
        "wallet_page_used",
        "This page was opened before, or it has expired.",
        "Nothing can be signed here any more.",
        "Run the command again: it opens a new page.",
    )
