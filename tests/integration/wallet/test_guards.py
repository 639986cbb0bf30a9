"""What the page's server answers to those who are not its page."""

from __future__ import annotations

import os
import pwd
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
import trio

from p2p.chain.browser import SignIn, ask_wallet
from p2p.core.errors import CyxWizError
from p2p.core.ids import Wallet
from p2p.core.limits import PAGE_BODY_MAX_BYTES, PAGE_CONNECTIONS_MAX, PAGE_HEADERS_MAX_BYTES

JSON = "application/json"


class Site:
    """A page that waits, and somebody who speaks HTTP to it."""

    def __init__(self, url: str) -> None:
        self.origin, _, self.token = url.partition("/#")
        self.host = self.origin.removeprefix("http://")
        self.port = int(self.host.partition(":")[2])
        self.web = httpx.AsyncClient(base_url=self.origin, timeout=10)

    def headers(self, **changes: str | None) -> dict[str, str]:
        plain = {"Origin": self.origin, "Content-Type": JSON, "Authorization": f"Bearer {self.token}"}
        given = {name.replace("_", "-"): value for name, value in changes.items()}
        return {name: value for name, value in {**plain, **given}.items() if value is not None}

    async def post(self, name: str, content: str = "{}", **changes: str | None) -> httpx.Response:
        return await self.web.post(f"/api/{name}", content=content, headers=self.headers(**changes))

    async def claim(self) -> str:
        """The key that comes for the token."""
        reply = await self.post("claim")
        assert reply.status_code == 200
        return f"Bearer {reply.json()['key']}"


@asynccontextmanager
async def waiting(timeout_s: float = 60.0) -> AsyncIterator[tuple[Site, list[CyxWizError]]]:
    async def text(_wallet: Wallet, _host: str) -> str:
        return ""

    sender, receiver = trio.open_memory_channel[str](1)
    ends: list[CyxWizError] = []

    async def asking() -> None:
        try:
            await ask_wallet(
                SignIn("localnet", text), lambda url: True, timeout_s, announce=sender.send_nowait
            )
        except CyxWizError as error:
            ends.append(error)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asking)
            site = Site(await receiver.receive())
            async with site.web:
                yield site, ends
                nursery.cancel_scope.cancel()


async def test_only_the_loopback_is_bound() -> None:
    async with waiting() as (site, _):
        assert site.host.startswith("127.0.0.1:")
        others = [
            info[4][0]
            for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
            if not str(info[4][0]).startswith("127.")
        ]
        for address in others:
            with pytest.raises(OSError, match="refused"):
                await trio.open_tcp_stream(str(address), site.port)


async def test_every_reply_has_the_headers() -> None:
    async with waiting() as (site, _):
        for path in ("/", "/main.js", "/page.css", "/icon.svg", "/nothing"):
            reply = await site.web.get(path)
            assert reply.headers["cache-control"] == "no-store"
            policy = reply.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert reply.headers["referrer-policy"] == "no-referrer"
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "host", ["localhost:{port}", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example"]
)
async def test_another_name_for_this_machine_is_refused(host: str) -> None:
    async with waiting() as (site, _):
        changed = host.format(port=site.port)
        assert (await site.web.get("/", headers={"Host": changed})).status_code == 421
        assert (await site.post("claim", Host=changed)).status_code == 421
        await site.claim()  # the token was not used up


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "https://127.0.0.1", "http://localhost"]
)
async def test_another_page_is_refused(origin: str | None) -> None:
    async with waiting() as (site, _):
        assert (await site.post("claim", Origin=origin)).status_code == 403
        preflight = await site.web.options("/api/claim", headers={"Origin": str(origin)})
        assert preflight.status_code == 405
        await site.claim()


async def test_forms_and_other_methods_are_refused() -> None:
    async with waiting() as (site, _):
        for kind in ("text/plain", "application/x-www-form-urlencoded", f"{JSON}; charset=utf-8"):
            assert (await site.post("claim", Content_Type=kind)).status_code == 415
        assert (await site.web.get("/api/claim", headers=site.headers())).status_code == 405
        assert (await site.web.post("/", headers=site.headers())).status_code == 405
        for path in ("/../page.py", "/%2e%2e/page.py", "/main.js?x", "/web/main.js"):
            assert (await site.web.get(path)).status_code == 404
        await site.claim()


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer guess", "Basic {token}", "{token}"])
async def test_without_the_token_nothing_is_told(authorization: str | None) -> None:
    async with waiting() as (site, ends):
        given = authorization and authorization.format(token=site.token)
        for name in ("claim", "prepare", "signed", "cancel", "leave"):
            reply = await site.post(name, Authorization=given)
            assert reply.status_code == 403
            assert "request" not in reply.text.replace("Run the command again", "")
        assert not ends
        await site.claim()


async def test_the_token_is_good_once_and_for_nothing_else() -> None:
    async with waiting() as (site, ends):
        key = await site.claim()
        assert (await site.post("claim")).status_code == 403
        assert (await site.post("claim", Authorization=key)).status_code == 403
        assert (await site.post("cancel")).status_code == 403  # still with the token
        assert not ends
        assert (await site.post("cancel", Authorization=key)).status_code == 200
        with trio.fail_after(10):
            while not ends:
                await trio.sleep(0.01)
        assert ends[0].code == "wallet_declined"
        with pytest.raises(httpx.ConnectError):
            await site.post("claim")


@pytest.mark.parametrize("content", ["", "[]", "1", "{", "\xff", '"x"', "[" * 50_000, "{" * 1000])
async def test_nonsense_is_refused(content: str) -> None:
    async with waiting() as (site, _):
        assert (await site.post("claim", content)).status_code == 400
        await site.claim()


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("prepare", "{}", "bad_answer"),
        ("prepare", '{"address": 5}', "bad_answer"),
        ("prepare", '{"address": "not an address"}', "bad_wallet"),
        ("signed", '{"address": "x", "message": "!", "signature": "!"}', "bad_answer"),
    ],
)
async def test_nonsense_of_the_page_itself_ends_nothing(name: str, body: str, code: str) -> None:
    async with waiting() as (site, ends):
        reply = await site.post(name, body, Authorization=await site.claim())
        assert (reply.status_code, reply.json()["error"]["code"]) == (422, code)
        assert not ends


async def test_calls_without_end_end_the_page() -> None:
    async with waiting() as (site, ends):
        key = await site.claim()
        for _ in range(101):
            reply = await site.post("prepare", Authorization=key)
        assert reply.json()["error"]["code"] == "wallet_attempts"
        with trio.fail_after(10):
            while not ends:
                await trio.sleep(0.01)


async def test_bodies_and_headers_have_a_limit() -> None:
    async with waiting() as (site, _):
        assert (await site.post("claim", " " * (PAGE_BODY_MAX_BYTES + 1))).status_code == 413
        large = {"X-Large": "x" * (PAGE_HEADERS_MAX_BYTES * 2)}
        with suppress(httpx.TransportError):  # closed while it was still being sent to
            assert (await site.web.get("/", headers=large)).status_code == 400
        twice = [("Host", site.host), ("Authorization", "Bearer a"), ("Authorization", "Bearer b")]
        assert (await site.web.get("/", headers=twice)).status_code == 400
        await site.claim()


async def test_peers_that_vanish_or_speak_nonsense_end_nothing() -> None:
    async with waiting() as (site, ends):
        for said in (
            b"",
            b"GET / HT",
            b"\x16\x03\x01\x02\x00",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\n" * 99,
        ) * 5:
            rude = socket.socket()
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            rude.connect(("127.0.0.1", site.port))
            rude.sendall(said)
            rude.close()  # with a reset
        await site.claim()
        assert not ends


async def test_connections_have_a_limit_and_leave_again() -> None:
    async with waiting() as (site, _):
        held = [await trio.open_tcp_stream("127.0.0.1", site.port) for _ in range(PAGE_CONNECTIONS_MAX)]
        with pytest.raises(httpx.TransportError):
            await site.web.get("/")
        for stream in held:
            await stream.aclose()
        with trio.fail_after(10):
            while True:
                try:
                    assert (await site.web.get("/")).status_code == 200
                    break
                except httpx.TransportError:
                    await trio.sleep(0.01)


async def test_token_and_key_are_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    async with waiting(timeout_s=1.0) as (site, ends):
        key = await site.claim()
        await site.post("prepare", '{"address": 5}', Authorization=key)
        with trio.fail_after(30):
            while not ends:
                await trio.sleep(0.01)
        said = caplog.text + repr(ends[0]) + "".join(ends[0].lines())
        assert ends[0].code == "bad_answer"
        assert site.token not in said
        assert key.removeprefix("Bearer ") not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_user_of_this_machine_is_not_served_even_with_the_token() -> None:
    script = (
        "import os, sys, socket\n"
        "os.setuid(int(sys.argv[1]))\n"
        "web = socket.socket()\n"
        "web.settimeout(10)\n"
        "web.connect((b'127.0.0.1', int(sys.argv[2])))\n"
        "try:\n"
        "    web.sendall(b'GET / HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n\\r\\n' % int(sys.argv[2]))\n"
        "    print(web.recv(15)[9:12].decode() or 'closed')\n"
        "except OSError:\n"
        "    print('closed')\n"
    )
    async with waiting() as (site, _):
        nobody = pwd.getpwnam("nobody").pw_uid
        seen = {}
        for uid in (0, nobody):
            command = [sys.executable, "-I", "-c", script, str(uid), str(site.port)]
            done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.STDOUT)
            seen[uid] = done.stdout.decode().strip()
        assert seen == {0: "200", nobody: "closed"}
