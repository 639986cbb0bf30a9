"""Gossip: small signed announcements to everybody, at a few messages a second. Never an authority.

The library's gossipsub with every parameter set, and with checks of our own between the wire and it: topic,
size, signer, freshness and rate are judged before a message is passed on or heard.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import trio
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.pubsub_notifee import PubsubNotifee
from libp2p.pubsub.score import ScoreParams, TopicScoreParams
from libp2p.tools.anyio_service import background_trio_service

from p2p.core.clock import Clock
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.ids import PeerId
from p2p.core.limits import (
    CONNECTIONS_MAX,
    GOSSIP_FORWARDED_PER_PEER_PER_S,
    GOSSIP_MESSAGE_MAX_BYTES,
    GOSSIP_QUEUE_MAX_MESSAGES,
    GOSSIP_REPLAY_WINDOW_S,
    GOSSIP_RESTART_S,
    HANDSHAKE_TIMEOUT_S,
)
from p2p.net.gossip_rules import GossipRules, Verdict
from p2p.net.host import Host, close_connections

logger = logging.getLogger(__name__)

# A version without the extensions of later ones, which we do not use.
_GOSSIP_PROTOCOL = TProtocol("/meshsub/1.1.0")
_HEARTBEAT_S = 1
_DEGREE, _DEGREE_LOW, _DEGREE_HIGH = 6, 4, 12
_RPC_MAX_BYTES = 4 * GOSSIP_MESSAGE_MAX_BYTES  # several messages and control in one
_SIGNATURE_AND_ENVELOPE_BYTES = 512

# Invalid messages cost a point each, forgotten by half in 7 heartbeats: a peer that keeps sending them is
# soon below the thresholds and ignored; first deliveries give back a little. No penalty for sharing an
# address: many home peers are behind one, and tests and demos run on one machine.
_SCORES = ScoreParams(
    p1_time_in_mesh=TopicScoreParams(weight=0.01, cap=10.0, decay=0.999),
    p2_first_message_deliveries=TopicScoreParams(weight=0.1, cap=50.0, decay=0.99),
    p3_mesh_message_deliveries=TopicScoreParams(weight=0.0, cap=0.0, decay=1.0),
    p4_invalid_messages=TopicScoreParams(weight=1.0, cap=100.0, decay=0.9),
    p5_behavior_penalty_weight=1.0,
    p5_behavior_penalty_decay=0.9,
    p5_behavior_penalty_threshold=1.0,
    p6_appl_slack_weight=0.0,
    p6_appl_slack_decay=1.0,
    p7_ip_colocation_weight=0.0,
    p7_ip_colocation_threshold=CONNECTIONS_MAX,
    publish_threshold=-20.0,
    gossip_threshold=-10.0,
    graylist_threshold=-40.0,
    accept_px_threshold=1e9,
)


class _Pubsub(Pubsub):
    """The library's pubsub, which must not end when one message is bad, and delivers to several listeners."""

    def __init__(
        self, host: Host, router: GossipSub, topics: frozenset[str], gossip: Gossip, clock: Clock
    ) -> None:
        super().__init__(
            host,
            router,
            seen_ttl=int(3 * GOSSIP_REPLAY_WINDOW_S),
            strict_signing=True,
            max_inbound_rpc_size=_RPC_MAX_BYTES,
            max_subscriptions_per_rpc=4 * len(topics),
            max_subscriptions_per_peer=len(topics),
            allowed_topics=topics,
        )
        self._gossip = gossip
        self._clock = clock
        self._last_seqno = 0

    def _next_seqno(self) -> bytes:
        """Milliseconds of wall time, always rising: how a receiver judges freshness, also after a restart of
        ours."""
        self._last_seqno = max(self._last_seqno + 1, int(self._clock.now_s() * 1000))
        return self._last_seqno.to_bytes(8, "big")

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        if msg_forwarder != self.my_id:
            verdict = self._gossip.rules.judge_envelope(msg_forwarder.to_base58(), msg)
            if verdict is not Verdict.ACCEPT:
                self._gossip.count_refused(verdict)
                if verdict is Verdict.INVALID:
                    self._gossip.penalise(msg_forwarder)
                return
        try:
            await super().push_msg(msg_forwarder, msg)
        except Exception as error:
            # The library raises many things on malformed keys and ids; here it would end all gossip.
            logger.info("gossip message from %s: %r", msg_forwarder, error)

    def notify_subscriptions(self, publish_message: rpc_pb2.Message) -> None:
        if publish_message.from_id != self.my_id.to_bytes():
            self._gossip.deliver(publish_message)


class Gossip:
    """Gossip of one host. Make it with :meth:`running`."""

    def __init__(self, host: Host, topics: frozenset[str], clock: Clock) -> None:
        self._topics = topics
        self.rules = GossipRules(topics, clock)
        self.refused: dict[Verdict, int] = dict.fromkeys(Verdict, 0)
        self._listeners: dict[str, list[_Listener]] = {topic: [] for topic in topics}
        self._host = host
        self._clock = clock
        self._router, self._pubsub = self._build()

    def _build(self) -> tuple[GossipSub, _Pubsub]:
        router = GossipSub(
            protocols=[_GOSSIP_PROTOCOL],
            degree=_DEGREE,
            degree_low=_DEGREE_LOW,
            degree_high=_DEGREE_HIGH,
            heartbeat_initial_delay=0.1,
            heartbeat_interval=_HEARTBEAT_S,
            gossip_window=3,
            gossip_history=5,
            do_px=False,
            prune_back_off=10,
            unsubscribe_back_off=10,
            score_params=_SCORES,
            adaptive_gossip_enabled=False,  # it slows the heartbeat down to a minute or more
            spam_protection_enabled=True,
            max_messages_per_topic_per_second=GOSSIP_FORWARDED_PER_PEER_PER_S,
            eclipse_protection_enabled=True,
        )
        pubsub = _Pubsub(self._host, router, self._topics, self, self._clock)
        for topic in self._topics:
            pubsub.set_topic_validator(topic, self._judge_content, is_async_validator=False)
        return router, pubsub

    @classmethod
    @asynccontextmanager
    async def running(cls, host: Host, topics: frozenset[str], clock: Clock) -> AsyncIterator[Gossip]:
        """Take part in ``topics`` for the length of the block."""
        gossip = cls(host, topics, clock)
        async with trio.open_nursery() as nursery:
            await nursery.start(gossip._supervise)
            yield gossip
            nursery.cancel_scope.cancel()

    async def _supervise(self, task_status: trio.TaskStatus[None]) -> None:
        """Run the library's services; when one of them breaks, that is no reason for the peer to go down."""
        first = True
        while True:
            try:
                async with background_trio_service(self._router), background_trio_service(self._pubsub):
                    await self._take_part()
                    if first:
                        task_status.started()
                        first = False
                    await trio.sleep_forever()
            except Exception:
                if first:
                    raise
                logger.exception("gossip broke and is started again")
            await self._forget()
            await trio.sleep(GOSSIP_RESTART_S)
            self._router, self._pubsub = self._build()

    async def _take_part(self) -> None:
        with trio.fail_after(HANDSHAKE_TIMEOUT_S):
            await self._pubsub.wait_until_ready()
            for topic in sorted(self._topics):
                await self._pubsub.subscribe(topic)

    async def _forget(self) -> None:
        """Close all connections: nothing less makes neighbours forget our streams. Calls connect again."""
        swarm = self._host.swarm
        for notifee in tuple(swarm.notifees):
            if isinstance(notifee, PubsubNotifee):
                swarm.remove_notifee(notifee)
        await close_connections(self._host)

    async def publish(self, topic: str, data: bytes) -> None:
        """:raises UserError: ``message_too_large`` or ``unknown_topic``."""
        self._check_topic(topic)
        if len(data) > GOSSIP_MESSAGE_MAX_BYTES - _SIGNATURE_AND_ENVELOPE_BYTES:
            raise UserError("message_too_large", f"An announcement of {len(data)} bytes is over the limit.")
        try:
            with trio.fail_after(HANDSHAKE_TIMEOUT_S):
                await self._pubsub.publish(topic, data)
        except trio.TooSlowError:
            raise EnvironmentFailure("gossip_stalled", "An announcement could not be sent in time.") from None

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[AsyncIterator[tuple[PeerId, bytes]]]:
        """:raises UserError: ``unknown_topic``."""
        self._check_topic(topic)
        listener = _Listener()
        self._listeners[topic].append(listener)
        try:
            async with aclosing(listener.messages()) as messages:
                yield messages
        finally:
            self._listeners[topic].remove(listener)

    def _check_topic(self, topic: str) -> None:
        if topic not in self._topics:
            raise UserError("unknown_topic", f"This peer takes no part in the topic {topic!r}.")

    def _judge_content(self, forwarder: ID, msg: rpc_pb2.Message) -> bool:
        """Called by the library once the signature holds."""
        if forwarder == self._pubsub.my_id:
            return True
        verdict = self.rules.judge_origin(msg)
        if verdict is not Verdict.ACCEPT:
            self.count_refused(verdict)
        return verdict is Verdict.ACCEPT

    def count_refused(self, verdict: Verdict) -> None:
        self.refused[verdict] += 1

    def penalise(self, forwarder: ID) -> None:
        """An invalid message costs its forwarder a point in every topic."""
        if self._router.scorer is not None:
            for topic in self._topics:
                self._router.scorer.on_invalid_message(forwarder, topic)

    def deliver(self, msg: rpc_pb2.Message) -> None:
        origin = PeerId(ID(msg.from_id).to_base58())
        for topic in msg.topicIDs:
            for listener in self._listeners.get(topic, ()):
                listener.put((origin, msg.data))


class _Listener:
    """A bounded queue; when it is full the oldest message makes room."""

    def __init__(self) -> None:
        self._queue: deque[tuple[PeerId, bytes]] = deque(maxlen=GOSSIP_QUEUE_MAX_MESSAGES)
        self._arrived = trio.Event()

    def put(self, message: tuple[PeerId, bytes]) -> None:
        self._queue.append(message)
        self._arrived.set()

    async def messages(self) -> AsyncGenerator[tuple[PeerId, bytes], None]:
        while True:
            while not self._queue:
                self._arrived = trio.Event()
                await self._arrived.wait()
            yield self._queue.popleft()
