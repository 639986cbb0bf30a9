"""Fetches the one file that a job names by URL, without becoming the buyer's door into the seller's network.

Every host name is resolved here, every address it resolves to has to be public, and the connection goes to
the very address that was checked, so that a second answer of the name server cannot lead elsewhere. The
same holds for each redirect. Nothing is unpacked.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import trio

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.jobspec import check_data_url
from p2p.core.limits import (
    DISK_RESERVE_BYTES,
    GIB,
    MIB,
    URL_CONNECT_TIMEOUT_S,
    URL_DATA_MAX_BYTES,
    URL_FETCH_MAX_S,
    URL_READ_TIMEOUT_S,
    URL_REDIRECTS_MAX,
)
from p2p.core.manifest import check_path
from p2p.core.text import clean_name

FALLBACK_NAME = "download"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHOWN_MAX_CHARS = 200
_ROOM_CHECK_BYTES = 64 * MIB
_BROKEN = re.compile(r"[^A-Za-z0-9._-]+")

Progress = Callable[[int, int | None], None]
"""Told the bytes so far and, when the server said it, the size."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How much, how long, and whether addresses of private networks may be asked (networks of one's own)."""

    size_max_bytes: int = URL_DATA_MAX_BYTES
    total_s: float = URL_FETCH_MAX_S
    private_addresses: bool = False
    disk_reserve_bytes: int = DISK_RESERVE_BYTES  # stay free on the disk, however large the file is


def file_name(url: str) -> str:
    """The name under which the file of ``url`` lies in the job's data folder."""
    name = _BROKEN.sub("_", unquote(urlsplit(url).path).rpartition("/")[2])[:100]
    try:
        return check_path(name)
    except UserError:
        return FALLBACK_NAME


async def fetch_url(
    url: str, target: Path, expected_sha256: bytes, limits: FetchLimits, progress: Progress | None = None
) -> int:
    """Fetch ``url`` into ``target``, which appears only when it is whole and right; returns its bytes.

    ``progress`` is called in a worker thread.

    :raises UserError: ``data_url_refused``, ``data_url_answer``, ``data_too_large``, ``data_hash_mismatch``.
    :raises EnvironmentFailure: ``data_url_unreachable``; ``disk_full``.
    """
    partial = target.with_name(target.name + ".partial")
    fetch = _Fetch(url, partial, limits, progress)
    # In a thread, because leaving httpx's asynchronous streams early leaves their generators unfinished.
    try:
        with trio.fail_after(limits.total_s):
            size, digest = await trio.to_thread.run_sync(fetch.run, abandon_on_cancel=True)
    except trio.TooSlowError:
        raise _unreachable(url, f"it took longer than {limits.total_s:.0f} s") from None
    finally:
        fetch.abandoned.set()
    if expected_sha256 and digest != expected_sha256:
        partial.unlink()
        raise UserError(
            "data_hash_mismatch",
            f"{_shown(url)} has SHA-256 {digest.hex()}, but the job says {expected_sha256.hex()}.",
            "It is not the data that the job was made for, so the script was not started.",
            "Check the URL and the hash, and submit the job again.",
        )
    partial.replace(target)
    return size


class _Fetch:
    """One fetch, in a worker thread. ``abandoned``: nobody waits for it any more."""

    def __init__(self, url: str, partial: Path, limits: FetchLimits, progress: Progress | None) -> None:
        self._url = url
        self._partial = partial
        self._limits = limits
        self._progress = progress
        self.abandoned = threading.Event()

    def run(self) -> tuple[int, bytes]:
        """Size and SHA-256 of what was saved."""
        timeout = httpx.Timeout(URL_READ_TIMEOUT_S, connect=URL_CONNECT_TIMEOUT_S)
        try:
            with httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client:
                return self._download(client, self._url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(self._url, str(error) or type(error).__name__) from error
        except OSError as error:
            raise _disk(self._partial, error) from error

    def _download(self, client: httpx.Client, url: str) -> tuple[int, bytes]:
        for _ in range(URL_REDIRECTS_MAX + 1):
            response = client.send(self._request(client, url), stream=True)
            try:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    url = str(httpx.URL(url).join(response.headers["location"]))
                    continue
                if response.status_code != httpx.codes.OK:
                    raise _bad_answer(
                        f"{_shown(url)} answered {response.status_code} instead of a file.",
                        "Check that the URL can be opened without logging in.",
                    )
                return self._save(response, url)
            finally:
                response.close()
        raise _bad_answer(
            f"{_shown(url)} redirects more than {URL_REDIRECTS_MAX} times.",
            "Give the URL of the file itself.",
        )

    def _request(self, client: httpx.Client, url: str) -> httpx.Request:
        """A request to the checked address of the URL's host, under the host's own name."""
        try:
            checked = httpx.URL(check_data_url(url))
        except (UserError, httpx.InvalidURL):
            raise _refused(url, "is not a plain http(s) URL") from None
        address = _public_address(checked, url, self._limits.private_addresses)
        headers = {
            "Host": checked.netloc.decode("ascii"),
            "Accept-Encoding": "identity",
            "User-Agent": "cyxwiz-node",
        }
        request = client.build_request("GET", checked.copy_with(host=address), headers=headers)
        request.extensions["sni_hostname"] = checked.host
        return request

    def _save(self, response: httpx.Response, url: str) -> tuple[int, bytes]:
        announced = response.headers.get("content-length", "")
        size_bytes = int(announced) if announced.isdecimal() else None
        if size_bytes is not None and size_bytes > self._limits.size_max_bytes:
            raise _too_large(url, self._limits.size_max_bytes)
        digest, done_bytes, checked_bytes = sha256(), 0, 0
        self._require_room(size_bytes or 0)
        with self._partial.open("wb") as file:
            for piece in response.iter_raw():
                done_bytes += len(piece)
                if done_bytes > self._limits.size_max_bytes:
                    raise _too_large(url, self._limits.size_max_bytes)
                if self.abandoned.is_set():
                    raise _unreachable(url, "nobody waits for it any more")
                if done_bytes - checked_bytes >= _ROOM_CHECK_BYTES:
                    checked_bytes = done_bytes
                    self._require_room(0)
                digest.update(piece)
                file.write(piece)
                if self._progress is not None:
                    self._progress(done_bytes, size_bytes)
            file.flush()
            os.fsync(file.fileno())
        return done_bytes, digest.digest()

    def _require_room(self, size_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self._partial.parent).free
        if free_bytes < size_bytes + self._limits.disk_reserve_bytes:
            raise EnvironmentFailure(
                "disk_full",
                f"The data URL's file does not fit on the node's disk: {free_bytes / GIB:.1f} GiB are free.",
                "The script was not started.",
                "The job can run on another node.",
            )


def _public_address(checked: httpx.URL, url: str, private_allowed: bool) -> str:
    port = checked.port or (443 if checked.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(checked.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _unreachable(url, "its host name is not known") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses:
        raise _unreachable(url, "its host name has no address")
    if not private_allowed and not all(map(is_public, addresses)):
        raise _refused(url, "leads to an address that is not on the public internet")
    # IPv4 first: many sellers have no IPv6, and there is one attempt only.
    return min(addresses, key=lambda address: ":" in address)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also when it hides inside an IPv6 address."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is None and parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _bad_answer(what: str, hint: str) -> UserError:
    return UserError(
        "data_url_answer", what, "The node could not get the job's data, so the script was not started.", hint
    )


def _shown(url: str) -> str:
    return clean_name(url.partition("?")[0], _SHOWN_MAX_CHARS)


def _refused(url: str, problem: str) -> UserError:
    return UserError(
        "data_url_refused",
        f"The data URL {_shown(url)} {problem}.",
        "Nodes fetch data only from public web servers, so the script was not started.",
        "Put the data where anybody can download it, or send it with --data.",
    )


def _too_large(url: str, size_max_bytes: int) -> UserError:
    return UserError(
        "data_too_large",
        f"The file at {_shown(url)} is larger than {size_max_bytes} bytes.",
        "This node takes no larger one, so the script was not started.",
        "Split the data, or keep only what the script reads.",
    )


def _unreachable(url: str, why: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "data_url_unreachable",
        f"{_shown(url)} could not be downloaded: {clean_name(why, _SHOWN_MAX_CHARS)}.",
        "The node could not get the job's data, so the script was not started.",
        "If the URL works elsewhere, another node may reach it.",
    )


def _disk(target: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(
        "disk_full",
        f"The node could not write {target.name}: {error.strerror or error}.",
        "The script was not started.",
        "The job can run on another node.",
    )
