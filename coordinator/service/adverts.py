"""What nodes say of themselves by gossip: counted, never believed. The registry is what registered."""

from __future__ import annotations

import logging
from collections import OrderedDict

from coordinator.service.context import Context
from p2p.core.errors import UserError
from p2p.core.limits import GOSSIP_PEERS_TRACKED_MAX
from p2p.core.messages.nodes import NodeAdvert
from p2p.core.signing import Domain, Signed, signing_input
from p2p.core.topics import ADVERTS
from p2p.net.identity import verify_peer_signature
from p2p.net.peer import Peer
from p2p.wire.codec import decode

logger = logging.getLogger(__name__)


class AdvertListener:
    """Which peers advertise themselves, and when last; for the operator's log only."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.heard_at_s: OrderedDict[str, float] = OrderedDict()
        self.refused = 0

    async def run(self, peer: Peer) -> None:
        """Until cancelled."""
        async with peer.subscribe(ADVERTS) as messages:
            async for peer_id, data in messages:
                self.take(peer_id, data)

    def take(self, peer_id: str, data: bytes) -> None:
        """Count one advert, if it is one and about its sender."""
        if not _is_own_advert(peer_id, data):
            self.refused += 1
            return
        if peer_id not in self.heard_at_s:
            logger.info("heard of node %s by gossip", peer_id)
        self.heard_at_s[peer_id] = self._context.now_s()
        self.heard_at_s.move_to_end(peer_id)
        while len(self.heard_at_s) > GOSSIP_PEERS_TRACKED_MAX:
            self.heard_at_s.popitem(last=False)


def _is_own_advert(peer_id: str, data: bytes) -> bool:
    """Whether it is a node's advert of itself, signed by it."""
    try:
        signed = decode(Signed, data)
        advert = decode(NodeAdvert, signed.payload)
    except UserError:
        return False
    return advert.peer_id == signed.signer == peer_id and verify_peer_signature(
        peer_id, signing_input(Domain.ADVERT, signed.payload), signed.signature
    )
