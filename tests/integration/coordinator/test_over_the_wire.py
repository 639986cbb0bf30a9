"""The coordinator behind a real libp2p host: logins are bound to the peer id of the connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from coordinator.service.adverts import AdvertListener
from coordinator.service.app import Coordinator
from coordinator.service.context import Context
from p2p.core.errors import Refused
from p2p.core.messages.auth import Challenge, ChallengeRequest, LoginReply, LoginRequest
from p2p.core.messages.jobs import JobList, ListJobsRequest
from p2p.core.messages.nodes import RegisterReply, RegisterRequest
from p2p.core.signing import Domain
from p2p.core.topics import ADVERTS
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.wire.codec import decode, encode

LOOPBACK = ["/ip4/127.0.0.1/tcp/0"]


@asynccontextmanager
async def on_the_wire(world: Any) -> AsyncIterator[Peer]:
    """The coordinator of ``world``, served by a real peer."""
    old = world.coordinator.context
    async with Peer.open(old.identity, LOOPBACK, topics=(ADVERTS,)) as peer:
        context = Context(old.db, old.clock, old.identity, old.signer, old.chain, old.on_chain, peer)
        async with trio.open_nursery() as nursery:
            await nursery.start(Coordinator(context).run)
            yield peer
            nursery.cancel_scope.cancel()


async def _login(peer: Peer, to: Peer, person: Any) -> LoginReply:
    async def call(method: str, request: object) -> bytes:
        return await peer.call(to.peer_id, method, encode(request), addrs=to.addresses)

    asked = ChallengeRequest(person.signer.address, person.role)
    text = decode(Challenge, await call("auth.challenge", asked)).text
    signed = person.signer.sign(text.encode())
    answer = LoginRequest(person.signer.address, person.role, text, signed)
    return decode(LoginReply, await call("auth.login", answer))


async def test_a_login_belongs_to_the_peer_that_made_it(still_world: Any) -> None:
    buyer = still_world.stranger()
    with trio.fail_after(60):
        async with (
            on_the_wire(still_world) as server,
            Peer.open(buyer.identity, []) as own,
            Peer.open(PeerIdentity.ephemeral(), []) as other,
        ):
            await _login(own, server, buyer)
            request = encode(ListJobsRequest(5))
            reply = await own.call(server.peer_id, "job.list", request, addrs=server.addresses)
            assert decode(JobList, reply).jobs == ()
            with pytest.raises(Refused) as caught:
                await other.call(server.peer_id, "job.list", request, addrs=server.addresses)
            assert caught.value.code == "not_logged_in"
            assert caught.value.hint


async def test_a_registered_node_is_called_back(still_world: Any) -> None:
    """The coordinator reaches a node that listens nowhere, over the channel that the node opened."""
    node, buyer = still_world.node(), await still_world.buyer()
    with trio.fail_after(60):
        async with on_the_wire(still_world) as server, Peer.open(node.identity, []) as own:

            async def assign(call: Any) -> bytes:
                return await node._assign(call.payload)

            own.serve("job.assign", assign)
            await _login(own, server, node)
            request = encode(RegisterRequest(node.advert(), ()))
            raw = await own.call(server.peer_id, "node.register", request, addrs=server.addresses)
            assert decode(RegisterReply, raw).stop == ()
            view = await buyer.submit()  # by way of the other coordinator on the same database
            assert (await node.next_job()).job_id == view.job_id


async def test_gossip_is_counted_and_not_believed(still_world: Any) -> None:
    node = still_world.node()
    listener = AdvertListener(still_world.coordinator.context)
    advert = encode(node.sign(Domain.ADVERT, encode(node.advert())))
    listener.take(node.identity.peer_id, advert)
    listener.take(PeerIdentity.ephemeral().peer_id, advert)
    listener.take(node.identity.peer_id, encode(node.sign(Domain.RESULT, encode(node.advert()))))
    listener.take(node.identity.peer_id, b"\xff")
    assert list(listener.heard_at_s) == [node.identity.peer_id]
    assert listener.refused == 3
    assert still_world.query("nodes.listing", since_s=0, limit=9) == []
