"""Data by URL, from a real server on the loopback."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from p2p.core.errors import CyxWizError, EnvironmentFailure, UserError
from p2p.node.url_fetch import FALLBACK_NAME, FetchLimits, fetch_url, file_name, is_public

DATA = os.urandom(300_000)
LOCAL = FetchLimits(size_max_bytes=1_000_000, total_s=30, private_addresses=True)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class Server(BaseHTTPRequestHandler):
    """A few files, and a few ways to be difficult."""

    protocol_version = "HTTP/1.1"
    heard: list[dict[str, str]]

    def do_GET(self) -> None:
        type(self).heard.append({"path": self.path, **dict(self.headers)})
        answer = getattr(self, f"_{self.path.split('/')[1]}", None)
        if answer is None:
            self.send_error(404)
        else:
            answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _send(self, data: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def _data(self) -> None:
        self._send(DATA)

    def _huge(self) -> None:
        self._send(b"", 10**12)

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while True:
                self.wfile.write(DATA)
        except OSError:
            self.close_connection = True

    def _cut(self) -> None:
        self._send(DATA[:1000], len(DATA))
        self.close_connection = True

    def _redirect(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.path.partition("/redirect/")[2])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _loop(self) -> None:
        self.send_response(301)
        self.send_header("Location", "/loop")
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def server() -> Iterator[str]:
    handler = type("Handler", (Server,), {"heard": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://localhost:{running.server_address[1]}"
        running.shutdown()
        thread.join()


async def refused(url: str, target: Path, limits: FetchLimits = LOCAL, expected: bytes = b"") -> CyxWizError:
    with pytest.raises(CyxWizError) as caught:
        await fetch_url(url, target, expected, limits)
    assert not target.exists()
    assert all(caught.value.lines())
    return caught.value


async def test_a_file_arrives_whole_and_is_compared_with_its_hash(server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "data"
    size = await fetch_url(
        f"{server}/data/x", target, sha256(DATA).digest(), LOCAL, lambda done, of: seen.append((done, of))
    )
    assert size == len(DATA)
    assert target.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert list(tmp_path.iterdir()) == [target]


async def test_another_hash_is_refused_and_the_file_removed(server: str, tmp_path: Path) -> None:
    error = await refused(f"{server}/data", tmp_path / "data", expected=bytes(32))
    assert error.code == "data_hash_mismatch"
    assert sha256(DATA).hexdigest() in error.what
    assert not list(tmp_path.iterdir())


async def test_private_addresses_are_refused_without_asking_them(server: str, tmp_path: Path) -> None:
    port = server.rpartition(":")[2]
    for host in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "169.254.169.254", "2130706433"):
        error = await refused(f"http://{host}:{port}/data", tmp_path / "data", FetchLimits())
        assert error.code == "data_url_refused", host


async def test_a_redirect_is_checked_like_the_first_address(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fetch_url(f"{server}/redirect//data", tmp_path / "data", b"", LOCAL)
    # Only the server's own address counts as public: a redirect to another private one is refused.
    monkeypatch.setattr("p2p.node.url_fetch.is_public", lambda address: address in ("127.0.0.1", "::1"))
    strict = FetchLimits(size_max_bytes=1_000_000, total_s=30)
    await fetch_url(f"{server}/redirect//data", tmp_path / "again", b"", strict)
    for target in ("http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "file:///etc/passwd"):
        error = await refused(f"{server}/redirect/{target}", tmp_path / "evil", strict)
        assert error.code == "data_url_refused", target


async def test_too_much_is_refused_whether_announced_or_not(server: str, tmp_path: Path) -> None:
    for path in ("huge", "endless"):
        error = await refused(f"{server}/{path}", tmp_path / "data")
        assert error.code == "data_too_large", path
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= LOCAL.size_max_bytes


@pytest.mark.parametrize(
    ("path", "family", "code"),
    [
        ("missing", UserError, "data_url_answer"),
        ("loop", UserError, "data_url_answer"),
        ("cut", EnvironmentFailure, "data_url_unreachable"),
    ],
)
async def test_a_server_that_does_not_deliver(
    server: str, tmp_path: Path, path: str, family: type[CyxWizError], code: str
) -> None:
    error = await refused(f"{server}/{path}", tmp_path / "data")
    assert (type(error), error.code) == (family, code)


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    assert (await refused("http://127.0.0.1:1/x", tmp_path / "data")).code == "data_url_unreachable"
    assert (await refused("http://no-such-host.invalid/x", tmp_path / "data")).code == "data_url_unreachable"


async def test_secrets_in_the_query_are_not_repeated(server: str, tmp_path: Path) -> None:
    error = await refused(f"{server}/missing?token=hunter2", tmp_path / "data")
    assert "hunter2" not in " ".join(error.lines())


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/sets/digits.csv?x=1", "digits.csv"),
        ("https://example.org/", FALLBACK_NAME),
        ("https://example.org", FALLBACK_NAME),
        ("https://example.org/a/%2e%2e", FALLBACK_NAME),
        ("https://example.org/..%2f..%2fetc%2fpasswd", "passwd"),
        ("https://example.org/con", FALLBACK_NAME),
        ("https://example.org/a%00b%1b[2J", "a_b_2J"),
    ],
)
def test_the_name_of_the_file(url: str, name: str) -> None:
    assert file_name(url) == name


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_the_reserve_of_the_disk_is_not_touched(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path).free
    target = tmp_path / "data"
    error = await refused(f"{server}/data/x", target, replace(LOCAL, disk_reserve_bytes=2 * free))
    assert (error.code, isinstance(error, EnvironmentFailure)) == ("disk_full", True)

    def shrinking(_: Path) -> Usage:  # as another job, or this file without an announced size, fills it
        return Usage(0, 0, next(left))

    left = iter((10**12, 10**12, 0))
    monkeypatch.setattr("p2p.node.url_fetch.shutil.disk_usage", shrinking)
    monkeypatch.setattr("p2p.node.url_fetch._ROOM_CHECK_BYTES", 100_000)
    unbounded = replace(LOCAL, size_max_bytes=10**15)
    error = await refused(f"{server}/endless", target, unbounded)
    assert error.code == "disk_full"
    assert next(left, None) is None


async def test_a_name_that_answers_differently_the_second_time_leads_nowhere_else(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the connection goes to the address that was checked, and no name is resolved again."""
    port = int(server.rpartition(":")[2])
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **options: Any) -> Any:
        if host in ("127.0.0.1", b"127.0.0.1"):
            return real(host, *rest, **options)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    target = tmp_path / "data"
    assert await fetch_url(f"http://rebinding.example:{port}/data/x", target, b"", LOCAL) == len(DATA)
    assert asked == ["rebinding.example"]


async def test_a_name_with_one_private_address_among_public_ones_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 80)) for a in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    public_only = replace(LOCAL, private_addresses=False)
    assert (await refused("http://mixed.example/x", tmp_path / "x", public_only)).code == "data_url_refused"
