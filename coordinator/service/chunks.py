"""Chunks that are only looked at: pulled, hashed, dropped."""

from __future__ import annotations

from p2p.core.manifest import ChunkRef
from p2p.net import bulk
from p2p.net.peer import Peer


class _Drop:
    """A :class:`p2p.net.bulk.ChunkSink` that keeps nothing: the hash was compared on the way."""

    def write(self, chunk_hash: bytes, data: memoryview) -> None:
        """Nothing is kept of it."""


async def pull_and_drop(peer: Peer, peer_id: str, grant: str, ref: ChunkRef) -> None:
    """Have a chunk sent, and compare its hash.

    :raises CyxWizError: as :func:`p2p.net.bulk.pull_chunks`; ``chunk_corrupt``: it is another one.
    """
    await bulk.pull_chunks(peer, peer_id, grant, [bulk.ChunkRef(ref.hash, ref.size_bytes)], _Drop())
