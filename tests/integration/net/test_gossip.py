"""Gossip between real peers: everybody hears the honest, nobody hears the rest."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

import base58
import pytest
import trio
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import PUBSUB_SIGNING_PREFIX

from p2p.core.errors import UserError
from p2p.core.limits import GOSSIP_BURST_PER_PEER_MESSAGES, GOSSIP_MESSAGE_MAX_BYTES
from p2p.net.gossip_rules import Verdict
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer

OpenPeer = Callable[..., Awaitable[Peer]]
Eventually = Callable[[Callable[[], bool]], Awaitable[None]]

TOPIC = "adverts"


async def meshed(open_peer: OpenPeer, eventually: Eventually, count: int) -> list[Peer]:
    """Peers in a line, each knowing only its neighbours, that have found each other for gossip."""
    peers = [await open_peer(topics=[TOPIC]) for _ in range(count)]
    for left, right in pairwise(peers):
        await left.connect(right.peer_id, right.addresses)
    for index, peer in enumerate(peers):
        neighbours = (index > 0) + (index < count - 1)
        mesh = gossip(peer)._router.mesh
        await eventually(lambda mesh=mesh, neighbours=neighbours: len(mesh[TOPIC]) == neighbours)  # type: ignore[misc]
    return peers


def gossip(peer: Peer):  # type: ignore[no-untyped-def]
    assert peer._gossip is not None
    return peer._gossip


def signed(
    identity: PeerIdentity, data: bytes, *, seqno: int | None = None, topic: str = TOPIC
) -> rpc_pb2.Message:
    """A message as an honest peer signs it."""
    number = int(time.time() * 1000) if seqno is None else seqno
    message = rpc_pb2.Message(
        data=data,
        topicIDs=[topic],
        from_id=base58.b58decode(identity.peer_id),
        seqno=number.to_bytes(8, "big"),
    )
    message.signature = identity.sign(PUBSUB_SIGNING_PREFIX.encode() + message.SerializeToString())
    return message


async def inject(attacker: Peer, victim: Peer, message: rpc_pb2.Message) -> None:
    """Send a message as it is, past our own checks."""
    rpc = rpc_pb2.RPC(publish=[message])
    (stream,) = gossip(attacker)._pubsub.peers.values()
    await gossip(attacker)._pubsub.write_msg(stream, rpc)


async def test_everybody_hears_an_announcement_once_and_from_whom(
    open_peer: OpenPeer, eventually: Eventually
) -> None:
    peers = await meshed(open_peer, eventually, 4)
    async with peers[3].subscribe(TOPIC) as messages, peers[1].subscribe(TOPIC) as others:
        for number in range(5):
            await peers[0].publish(TOPIC, b"%d" % number)
        with trio.fail_after(10):
            heard = [await anext(aiter(messages)) for _ in range(5)]
            assert [await anext(aiter(others)) for _ in range(5)] == heard
    assert heard == [(peers[0].peer_id, b"%d" % number) for number in range(5)]


async def test_what_breaks_the_rules_is_not_heard(open_peer: OpenPeer, eventually: Eventually) -> None:
    attacker, victim = await meshed(open_peer, eventually, 2)
    honest, other = PeerIdentity.ephemeral(), PeerIdentity.ephemeral()
    good = signed(honest, b"good")
    forged = signed(honest, b"forged")
    forged.data = b"changed"
    pretended = signed(other, b"pretended")
    pretended.from_id = good.from_id
    unsigned = signed(honest, b"unsigned")
    unsigned.signature = b""
    junk_key = signed(honest, b"junk key")
    junk_key.from_id = b"\x12\x20" + bytes(32)
    junk_key.key = b"\xff\xff"
    old = signed(honest, b"old", seqno=int(time.time() * 1000) - 10 * 60 * 1000)
    large = signed(honest, bytes(GOSSIP_MESSAGE_MAX_BYTES))
    async with victim.subscribe(TOPIC) as messages:
        for message in (forged, pretended, unsigned, junk_key, old, large, good, good):
            await inject(attacker, victim, message)
        await inject(attacker, victim, signed(other, b"last"))
        with trio.fail_after(10):
            heard = [await anext(aiter(messages)) for _ in range(2)]
    assert sorted(heard, key=lambda message: message[1]) == [
        (honest.peer_id, b"good"),
        (other.peer_id, b"last"),
    ]
    assert gossip(victim).refused[Verdict.STALE] == 1
    assert gossip(victim).refused[Verdict.INVALID] == 2  # too large, key not its own


async def test_a_flood_is_cut_to_the_rate_and_harms_nobody(
    open_peer: OpenPeer, eventually: Eventually
) -> None:
    attacker, victim, honest = await meshed(open_peer, eventually, 3)
    flooder = PeerIdentity.ephemeral()
    heard: list[bytes] = []
    async with victim.subscribe(TOPIC) as messages:
        start = int(time.time() * 1000)
        for number in range(150):
            await inject(attacker, victim, signed(flooder, b"%d" % number, seqno=start + number))
        await eventually(lambda: gossip(victim).refused[Verdict.TOO_FAST] > 10)
        await honest.publish(TOPIC, b"honest")
        with trio.fail_after(10):
            async for signer, data in messages:
                if signer == honest.peer_id:
                    break
                heard.append(data)
    assert GOSSIP_BURST_PER_PEER_MESSAGES <= len(heard) < 2 * GOSSIP_BURST_PER_PEER_MESSAGES
    # Who passes on such a flood is not listened to for a while, even with something good.
    assert gossip(victim)._router.scorer.score(attacker.host.get_id(), [TOPIC]) < -10


async def test_malformed_gossip_ends_only_its_stream(open_peer: OpenPeer, eventually: Eventually) -> None:
    attacker, victim = await meshed(open_peer, eventually, 2)
    friend = await open_peer(topics=[TOPIC])
    await friend.connect(victim.peer_id, victim.addresses)
    await eventually(lambda: len(gossip(victim)._router.mesh[TOPIC]) == 2)
    (stream,) = gossip(attacker)._pubsub.peers.values()
    await stream.write(b"\x05\xff\xff\xff\xff\xff")  # a length, then no protobuf
    await stream.write(b"\xff\xff\xff\xff\x7f")  # 32 GiB to come
    async with victim.subscribe(TOPIC) as messages:
        with trio.fail_after(10):
            await friend.publish(TOPIC, b"still there")
            assert await anext(aiter(messages)) == (friend.peer_id, b"still there")


async def test_gossip_that_breaks_is_started_again_and_the_peer_stays_up(
    open_peer: OpenPeer,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("p2p.net.gossip.GOSSIP_RESTART_S", 0.01)
    left, right = await meshed(open_peer, eventually, 2)
    broken = gossip(right)._router

    def fail() -> None:
        raise KeyError("a bug of the library")

    monkeypatch.setattr(broken, "mesh_heartbeat", fail)
    await eventually(lambda: gossip(right)._router is not broken)
    assert "a bug of the library" in caplog.text
    await eventually(lambda: not left.connected_peers())
    await left.connect(right.peer_id)
    async with left.subscribe(TOPIC) as at_left, right.subscribe(TOPIC) as at_right:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for peer in (left, right):
                    nursery.start_soon(speak, peer)
                assert (await anext(aiter(at_left)))[0] == right.peer_id
                assert (await anext(aiter(at_right)))[0] == left.peer_id
                nursery.cancel_scope.cancel()


async def speak(peer: Peer) -> None:
    """Announce something now and then, as peers do."""
    while True:
        await peer.publish(TOPIC, b"hello")
        await trio.sleep(0.3)


async def test_a_slow_listener_loses_the_oldest(
    open_peer: OpenPeer, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2p.net.gossip.GOSSIP_QUEUE_MAX_MESSAGES", 3)
    speaker, listener = await meshed(open_peer, eventually, 2)
    async with listener.subscribe(TOPIC) as slow, listener.subscribe(TOPIC) as quick:
        for number in range(6):
            await speaker.publish(TOPIC, b"%d" % number)
            with trio.fail_after(10):
                await anext(aiter(quick))
        assert [(await anext(aiter(slow)))[1] for _ in range(3)] == [b"3", b"4", b"5"]


async def test_only_agreed_topics_and_sizes(open_peer: OpenPeer) -> None:
    peer, silent = await open_peer(topics=[TOPIC]), await open_peer()
    with pytest.raises(UserError, match="else"):
        await peer.publish("else", b"")
    with pytest.raises(UserError, match="else"):
        async with peer.subscribe("else"):
            pass
    with pytest.raises(UserError):
        await silent.publish(TOPIC, b"")
    with pytest.raises(UserError, match="limit"):
        await peer.publish(TOPIC, bytes(GOSSIP_MESSAGE_MAX_BYTES))
