"""Chunks in memory: what a transfer takes from and where it puts them."""

from __future__ import annotations

import os
from collections import Counter
from hashlib import sha256

from p2p.core.errors import Refused
from p2p.net.bulk import ChunkRef

GRANT = "inputs of 42"


class Source:
    """Chunks in memory."""

    def __init__(self, sizes: list[int]) -> None:
        self.chunks: dict[bytes, bytes] = {}
        self.refs: list[ChunkRef] = []
        for size in sizes:
            data = os.urandom(size)
            self.chunks[sha256(data).digest()] = data
            self.refs.append(ChunkRef(sha256(data).digest(), size))
        self.reads: Counter[bytes] = Counter()

    def authorise(self, peer_id: str, grant: str) -> None:
        if grant != GRANT:
            raise Refused("not_granted", "You may not have this.")

    def read_chunk(self, grant: str, chunk_hash: bytes, into: memoryview) -> int:
        self.reads[chunk_hash] += 1
        data = self.chunks[chunk_hash]
        into[: len(data)] = data
        return len(data)


class Sink:
    """Keeps what it is given, and how often."""

    def __init__(self) -> None:
        self.chunks: dict[bytes, bytes] = {}
        self.writes: Counter[bytes] = Counter()

    def write(self, chunk_hash: bytes, data: memoryview) -> None:
        self.chunks[chunk_hash] = bytes(data)
        self.writes[chunk_hash] += 1
