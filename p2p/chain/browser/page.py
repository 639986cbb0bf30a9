"""Opens the page in the system's browser and waits for the wallet's answer."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources

import trio

from p2p.chain.browser.http import LOOPBACK, Reply, Request, serve_loopback
from p2p.chain.browser.request import WalletAnswer, WalletRequest
from p2p.chain.browser.session import PageSession
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import PAGE_TIMEOUT_S

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
        for name in ("main", "server", "view", "wallets")
    },
}
_API = "/api/"

OpenBrowser = Callable[[str], bool]


async def ask_wallet(
    request: WalletRequest,
    open_browser: OpenBrowser = webbrowser.open,
    timeout_s: float = PAGE_TIMEOUT_S,
    *,
    announce: Callable[[str], None] | None = None,
) -> WalletAnswer:
    """Have one thing signed by a wallet in the person's own browser. See :func:`ask_wallet_all`."""
    answers = await ask_wallet_all([request], open_browser, timeout_s, announce=announce)
    return answers[0]


async def ask_wallet_all(
    requests: Sequence[WalletRequest],
    open_browser: OpenBrowser = webbrowser.open,
    timeout_s: float = PAGE_TIMEOUT_S,
    *,
    announce: Callable[[str], None] | None = None,
) -> list[WalletAnswer]:
    """Have several things signed by one account, on one page, one after another.

    ``open_browser`` runs in a thread; False from it means that there is none. ``announce`` is told the
    address, for somebody who wants to open it by hand: show it on a terminal, never write it to a log.

    :raises Refused: ``wallet_declined``: cancelled or closed; or the last refusal that the page showed.
    :raises EnvironmentFailure: ``wallet_timeout``, ``no_browser``, or what ``send`` raised.
    """
    ended = trio.Event()
    async with trio.open_nursery() as nursery:
        site = _Site()
        port: int = await nursery.start(serve_loopback, site.answer, ended.set)
        host = f"{LOOPBACK}:{port}"
        session = site.open(host, requests)
        address = f"http://{host}/#{session.token}"
        if announce is not None:
            announce(address)
        nursery.start_soon(_open, open_browser, address, announce is not None, session, ended)
        with trio.move_on_after(timeout_s):
            await ended.wait()
        if not ended.is_set():
            await session.expire()
        nursery.cancel_scope.cancel()
    if session.failure is not None:
        raise session.failure
    return session.answers


async def _open(
    open_browser: OpenBrowser, address: str, announced: bool, session: PageSession, ended: trio.Event
) -> None:
    try:
        opened = await trio.to_thread.run_sync(open_browser, address, abandon_on_cancel=True)
    except (webbrowser.Error, OSError):
        opened = False
    if not opened and not announced and not session.over:
        session.failure = EnvironmentFailure(
            "no_browser",
            "No web browser could be opened on this machine.",
            "Nothing was signed.",
            "Run it in a terminal, which shows the page's address; or use --keystore or --keypair FILE.",
            retryable=False,
        )
        session.over = True
        ended.set()


class _Site:
    """HTTP on one side, the conversation on the other."""

    def __init__(self) -> None:
        self._host = ""
        self._session: PageSession | None = None

    def open(self, host: str, requests: Sequence[WalletRequest]) -> PageSession:
        self._host = host
        self._session = PageSession(requests, host)
        return self._session

    async def answer(self, request: Request) -> Reply:
        """The Host check keeps pages out that rebind their name to the loopback, the Origin check every
        other page, and the key everything that is not the page that we opened.
        """
        if request.headers.get("host") != self._host or self._session is None:
            return Reply(421)
        if request.path.startswith(_API):
            return await self._call(self._session, request)
        if request.method != "GET":
            return Reply(405)
        if request.path not in _FILES:
            return Reply(404)
        name, content_type = _FILES[request.path]
        return Reply(200, _file(name), content_type)

    async def _call(self, session: PageSession, request: Request) -> Reply:
        if request.method != "POST":
            return Reply(405)
        if request.headers.get("origin") != f"http://{self._host}":
            return Reply(403)
        if request.headers.get("content-type") != "application/json":
            return Reply(415)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            return Reply(403)
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            return Reply(400)
        if not isinstance(body, dict):
            return Reply(400)
        said = await session.say(request.path.removeprefix(_API), key, body)
        return Reply(said.status, json.dumps(said.body).encode(), "application/json", said.last)


@cache
def _file(name: str) -> bytes:
    return (resources.files(__package__) / "web" / name).read_bytes()
