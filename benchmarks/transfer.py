"""Verified transfer between two processes on the loopback, beside what it could be and what it would have
been.

    python benchmarks/transfer.py [--mb 1000] [--stock-mb 64] [--rounds 5]

Three ways, in turn, in every round; each with sender and receiver in processes of their own:

``cyxwiz``  ``pull_chunks``: 4 MiB chunks, each verified by SHA-256, negotiated over libp2p, over TLS 1.3
``tls``     the reference: one blocking TLS 1.3 socket; the receiver hashes everything with SHA-256
``stock``   the other reference: one stream of an unmodified py-libp2p host (Noise, yamux), hashed too

No way writes what it receives: the disk is not what is measured. Medians over the rounds, in 10^6 bytes a
second. Exit 1 if ``cyxwiz`` is below 0.7 times ``tls`` or 5 times ``stock``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import multiaddr
import trio
from libp2p import new_host
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import info_from_p2p_addr

from p2p.core.limits import CHUNK_BYTES
from p2p.net.bulk import BulkServer, ChunkRef, pull_chunks
from p2p.net.bulk import Path as TransferPath
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.net.tls import TlsEnd

TLS_TARGET = 0.7
STOCK_TARGET = 5.0
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
STOCK_PROTOCOL = TProtocol("/benchmark/1")
BUFFER_BYTES = 256 * 1024
MB = 10**6


class FileSource:
    """A file's chunks, read when they are asked for."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("rb", buffering=0)
        self.offsets: dict[bytes, tuple[int, int]] = {}
        offset = 0
        while data := self._file.read(CHUNK_BYTES):
            self.offsets[hashlib.sha256(data).digest()] = (offset, len(data))
            offset += len(data)

    def authorise(self, peer_id: str, grant: str) -> None:
        """Everybody may have everything."""

    def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
        offset, size = self.offsets[chunk_hash]
        return os.preadv(self._file.fileno(), [into[:size]], offset)


class CountingSink:
    def __init__(self) -> None:
        self.received_bytes = 0

    def write(self, chunk_hash: bytes, data: memoryview) -> None:
        self.received_bytes += len(data)


def tell(message: object) -> None:
    print(json.dumps(message), flush=True)


# -- cyxwiz


async def serve_cyxwiz(file: Path) -> None:
    source = FileSource(file)
    async with Peer.open(PeerIdentity.ephemeral(), [LOOPBACK]) as peer:
        BulkServer(peer, source)
        refs = [(chunk_hash.hex(), size) for chunk_hash, (_, size) in source.offsets.items()]
        tell({"peer": peer.peer_id, "addrs": peer.addresses, "refs": refs})
        await trio.sleep_forever()


async def pull_cyxwiz(where: dict[str, object]) -> None:
    refs = [ChunkRef(bytes.fromhex(chunk_hash), size) for chunk_hash, size in where["refs"]]  # type: ignore[attr-defined]
    peer_id, addrs = str(where["peer"]), [str(address) for address in where["addrs"]]  # type: ignore[attr-defined]
    sink = CountingSink()
    async with Peer.open(PeerIdentity.ephemeral(), [LOOPBACK]) as peer:
        await peer.connect(peer_id, addrs)
        started_s = time.perf_counter()
        stats = await pull_chunks(peer, peer_id, "benchmark", refs, sink)
        seconds = time.perf_counter() - started_s
    assert stats.path is TransferPath.DIRECT
    tell({"bytes": sink.received_bytes, "seconds": seconds})


# -- one blocking TLS socket


def serve_tls(file: Path) -> None:
    end = TlsEnd()
    end.server.verify_mode = ssl.CERT_NONE
    with socket.create_server(("127.0.0.1", 0)) as listening:
        tell({"port": listening.getsockname()[1]})
        while True:
            raw, _ = listening.accept()
            with (
                end.server.wrap_socket(raw, server_side=True) as connection,
                file.open("rb", buffering=0) as data,
            ):
                connection.recv(1)
                buffer = memoryview(bytearray(BUFFER_BYTES))
                while count := data.readinto(buffer):
                    connection.sendall(buffer[:count])


def pull_tls(where: dict[str, object]) -> None:
    context = TlsEnd().client
    context.verify_mode = ssl.CERT_NONE
    digest = hashlib.sha256()
    received_bytes = 0
    buffer = memoryview(bytearray(BUFFER_BYTES))
    raw = socket.create_connection(("127.0.0.1", int(str(where["port"]))))
    with context.wrap_socket(raw) as connection:
        started_s = time.perf_counter()
        connection.sendall(b"x")
        while count := connection.recv_into(buffer):
            digest.update(buffer[:count])
            received_bytes += count
        seconds = time.perf_counter() - started_s
    tell({"bytes": received_bytes, "seconds": seconds})


# -- a stock py-libp2p stream


async def serve_stock(file: Path, limit_bytes: int) -> None:
    data = file.open("rb").read(limit_bytes)

    async def send(stream: INetStream) -> None:
        await stream.read(1)
        for position in range(0, len(data), BUFFER_BYTES):
            await stream.write(data[position : position + BUFFER_BYTES])
        await stream.close()

    host = new_host()
    async with host.run(listen_addrs=[multiaddr.Multiaddr(LOOPBACK)]):
        host.set_stream_handler(STOCK_PROTOCOL, send)
        tell({"addr": str(host.get_addrs()[0]), "bytes": len(data)})
        await trio.sleep_forever()


async def pull_stock(where: dict[str, object]) -> None:
    host = new_host()
    digest = hashlib.sha256()
    received_bytes, expected_bytes = 0, int(str(where["bytes"]))
    async with host.run(listen_addrs=[]):
        info = info_from_p2p_addr(multiaddr.Multiaddr(str(where["addr"])))
        await host.connect(info)
        stream = await host.new_stream(info.peer_id, [STOCK_PROTOCOL])
        started_s = time.perf_counter()
        await stream.write(b"x")
        while received_bytes < expected_bytes:
            data = await stream.read(BUFFER_BYTES)
            digest.update(data)
            received_bytes += len(data)
        tell({"bytes": received_bytes, "seconds": time.perf_counter() - started_s})


# -- the processes


def in_process(role: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, "--role", role, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )


@contextmanager
def server(role: str, *arguments: str) -> Iterator[str]:
    """A sender for the length of the block; what a receiver must know of it."""
    process = in_process(role, *arguments)
    assert process.stdout is not None
    try:
        where = process.stdout.readline()
        if not where:
            raise SystemExit(f"{role} did not start")
        yield where
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def measure(role: str, where: str) -> float:
    """Megabytes a second of one transfer."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(where)
        file.flush()
        output, _ = in_process(role, "--where", file.name).communicate(timeout=600)
    result = json.loads(output)
    return float(result["bytes"] / result["seconds"] / MB)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mb", type=int, default=1000, help="size of a transfer, in 10^6 bytes")
    parser.add_argument("--stock-mb", type=int, default=64, help="size over the stock stream, which is slow")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--where", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        play(options)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "data")
        with file.open("wb") as data:
            for _ in range(options.mb):
                data.write(os.urandom(MB))
        return compare(file, options)


def play(options: argparse.Namespace) -> None:
    """Be one of the processes."""
    where = json.loads(options.where.read_text()) if options.where else {}
    match options.role:
        case "serve-cyxwiz":
            trio.run(serve_cyxwiz, options.file)
        case "pull-cyxwiz":
            trio.run(pull_cyxwiz, where)
        case "serve-tls":
            serve_tls(options.file)
        case "pull-tls":
            pull_tls(where)
        case "serve-stock":
            trio.run(serve_stock, options.file, options.stock_mb * MB)
        case "pull-stock":
            trio.run(pull_stock, where)


def compare(file: Path, options: argparse.Namespace) -> int:
    source = ("--file", str(file), "--stock-mb", str(options.stock_mb))
    rates: dict[str, list[float]] = {"cyxwiz": [], "tls": [], "stock": []}
    with (
        server("serve-cyxwiz", *source) as cyxwiz,
        server("serve-tls", *source) as tls,
        server("serve-stock", *source) as stock,
    ):
        for number in range(options.rounds):
            for name, where in (("tls", tls), ("cyxwiz", cyxwiz), ("stock", stock)):
                rates[name].append(measure(f"pull-{name}", where))
            print(
                f"round {number + 1}: " + ", ".join(f"{name} {rates[name][-1]:.0f}" for name in rates),
                flush=True,
            )
    medians = {name: statistics.median(values) for name, values in rates.items()}
    against_tls, against_stock = (
        statistics.median(ours / theirs for ours, theirs in zip(rates["cyxwiz"], rates[name], strict=True))
        for name in ("tls", "stock")
    )
    print(f"\nmedians of {options.rounds} rounds, MB/s ({options.mb} MB; stock {options.stock_mb} MB)")
    for name, median in medians.items():
        print(f"  {name:8} {median:7.1f}   (from {min(rates[name]):.1f} to {max(rates[name]):.1f})")
    print(f"cyxwiz / tls    {against_tls:5.2f}   target at least {TLS_TARGET}")
    print(f"cyxwiz / stock  {against_stock:5.2f}   target at least {STOCK_TARGET}")
    return 0 if against_tls >= TLS_TARGET and against_stock >= STOCK_TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
