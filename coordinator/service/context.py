"""What every part of the running coordinator shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from coordinator.domain.settings import Settings
from coordinator.service.effects import Effect, no_effect
from coordinator.service.keyring import Keyring
from coordinator.service.signals import Board, Signal
from coordinator.store.database import Database, Tx
from p2p.chain.accounts import OnChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer
from p2p.core.clock import Clock
from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import PeerId
from p2p.core.limits import CALL_TIMEOUT_S, CLAIM_AFTER_S
from p2p.core.manifest import ChunkRef
from p2p.core.money import Asset
from p2p.net.calls import Handler
from p2p.net.identity import PeerIdentity

T = TypeVar("T")


class Network(Protocol):
    """What the coordinator needs of :class:`p2p.net.peer.Peer`."""

    def serve(self, method: str, handler: Handler) -> None: ...

    async def call(
        self,
        peer_id: str,
        method: str,
        payload: bytes,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> bytes: ...

    def connected_peers(self) -> frozenset[PeerId]: ...


PullChunk = Callable[[str, str, ChunkRef], Awaitable[None]]
"""Pulls a chunk from a peer by its grant, compares its hash, and drops it."""


async def no_chunks(peer_id: str, grant: str, ref: ChunkRef) -> None:
    """The :data:`PullChunk` of a network without bulk transfer.

    :raises EnvironmentFailure: always.
    """
    raise EnvironmentFailure("peer_unreachable", "Chunks cannot be pulled over this network.")


@dataclass
class Context:
    """One coordinator process.

    ``on_chain`` is the program's configuration, ``stopped`` the assets that it does not take, and ``signer``
    the key that pays for transactions: that of the present coordinator. :mod:`coordinator.service.office`
    keeps all three as they are on chain. What a job's own coordinator has to sign is signed by
    ``keyring.signer(...)``. ``moved`` is set when an action of ours is final: there is something to post.
    """

    db: Database
    clock: Clock
    identity: PeerIdentity
    signer: Signer
    chain: EscrowClient
    on_chain: OnChainConfig
    network: Network
    effect: Effect = no_effect
    pull: PullChunk = no_chunks
    dispatch: Signal = field(default_factory=Signal)
    settle: Signal = field(default_factory=Signal)
    moved: Signal = field(default_factory=Signal)
    events: Board = field(default_factory=Board)
    claim_after_s: float = CLAIM_AFTER_S
    settings: Settings = field(default_factory=Settings)
    keyring: Keyring = field(default_factory=Keyring)
    stopped: frozenset[Asset] = frozenset()

    def __post_init__(self) -> None:
        self.keyring.add(self.signer)

    async def run(self, work: Callable[[Tx], T]) -> T:
        """One transaction in one thread hop."""
        return await self.db.run(work)

    def now_s(self) -> float:
        return self.clock.now_s()
