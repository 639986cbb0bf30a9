"""Bulk transfer between peers: content-addressed chunks, verified, resumable.

The control channel arranges it (``bulk.open``); the bytes go over a direct TLS 1.3 connection that the puller
dials, or if it cannot, one that the provider dials back, or if neither can, a libp2p stream. See
``docs/bulk.md``.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import PeerId, parse_peer_id
from p2p.core.limits import (
    BULK_CHUNK_MAX_S,
    BULK_CONNECT_TIMEOUT_S,
    BULK_RETRY_FIRST_S,
    BULK_RETRY_MAX_S,
    CHUNK_RETRIES_MAX,
)
from p2p.net.bulk_messages import (
    DIAL_BACK_METHOD,
    OPEN_METHOD,
    DialBackRequest,
    OpenReply,
    OpenRequest,
)
from p2p.net.bulk_server import BulkServer
from p2p.net.bulk_stream import BULK_PROTOCOL, StreamConnection, pull_over_stream
from p2p.net.bulk_threads import (
    ChunkSink,
    ChunkSource,
    ConnectionLost,
    protocol_failure,
    pull,
    run_in_thread,
    send_all,
)
from p2p.net.chunks import ChunkProtocolViolation, ChunkRef, PullPlan, RecordKind, record
from p2p.net.dialler import open_stream
from p2p.net.peer import Peer

__all__ = ["BulkServer", "ChunkRef", "ChunkSink", "ChunkSource", "Path", "TransferStats", "pull_chunks"]

logger = logging.getLogger(__name__)

# Failures of the connection or of the moment; what a provider says about the chunks themselves is final.
_WORTH_ANOTHER_TRY = frozenset({"peer_unreachable", "peer_timeout", "peer_busy", "bulk_busy"})


class Path(Enum):
    """How the bytes went."""

    DIRECT = "direct"  # the puller dialled the provider
    REVERSE = "reverse"  # the provider dialled the puller
    RELAYED = "relayed"  # a libp2p stream


@dataclass(frozen=True, slots=True)
class TransferStats:
    """What a transfer took. ``resent_bytes`` arrived for nothing: parts of chunks cut off, corrupt chunks."""

    bytes: int
    seconds: float
    path: Path | None  # of the last session; none if nothing was wanted
    resent_bytes: int


async def pull_chunks(
    peer: Peer,
    provider_peer_id: str,
    grant: str,
    wanted: Iterable[ChunkRef],
    sink: ChunkSink,
    *,
    addrs: Iterable[str] = (),
    progress: Callable[[int], None] | None = None,
    paths: Iterable[Path] = Path,
) -> TransferStats:
    """Pull chunks from a provider into ``sink``, each once; a lost connection is made again and goes on.

    To resume an earlier transfer, want only what is lacking. ``progress`` is called in the trio thread with
    the verified bytes so far. ``paths`` are tried in order. Cancelling stops the worker thread at once.
    Retries go on for as long as each brings a chunk more; how long in all is the caller's to bound.

    :raises CyxWizError: what the provider answered (``Refused`` if it does not authorise), or the sink
    raised.
    :raises EnvironmentFailure: ``chunk_corrupt`` naming the chunk, ``transfer_lost``, ``peer_unreachable``,
    ...
    """
    plan = PullPlan(wanted)
    pulling = _Pull(
        peer, parse_peer_id(provider_peer_id), grant, plan, sink, tuple(addrs), progress, list(paths)
    )
    started_s = peer.clock.monotonic_s()
    await pulling.run()
    return TransferStats(
        plan.done_bytes, peer.clock.monotonic_s() - started_s, pulling.path, plan.resent_bytes
    )


class _Pull:
    """One transfer at the puller, over as many sessions as it takes."""

    def __init__(
        self,
        peer: Peer,
        provider: PeerId,
        grant: str,
        plan: PullPlan,
        sink: ChunkSink,
        addrs: tuple[str, ...],
        progress: Callable[[int], None] | None,
        paths: list[Path],
    ) -> None:
        self._peer = peer
        self._provider = provider
        self._grant = grant
        self._plan = plan
        self._sink = sink
        self._addrs = addrs
        self._progress = progress
        self._paths = paths
        self.path: Path | None = None
        self._counted_bytes = plan.done_bytes
        self._patience = trio.CancelScope()

    async def run(self) -> None:
        failures = 0
        while not self._plan.finished:
            before_bytes = self._plan.done_bytes
            try:
                await self._session_that_moves()
            except ChunkProtocolViolation as violation:
                raise protocol_failure(violation) from violation
            except (ConnectionLost, EnvironmentFailure) as problem:
                if isinstance(problem, EnvironmentFailure) and problem.code not in _WORTH_ANOTHER_TRY:
                    raise
                failures = 1 if self._plan.done_bytes > before_bytes else failures + 1
                if failures > CHUNK_RETRIES_MAX:
                    raise self._gave_up(problem) from problem
                logger.info("transfer from %s goes on after: %s", self._provider, problem)
                await trio.sleep(min(BULK_RETRY_FIRST_S * 2**failures, BULK_RETRY_MAX_S))

    def _gave_up(self, problem: Exception) -> EnvironmentFailure:
        if isinstance(problem, EnvironmentFailure):
            return problem
        return EnvironmentFailure(
            "transfer_lost",
            f"The transfer from {self._provider} was cut off {CHUNK_RETRIES_MAX + 1} times: {problem}.",
            "What arrived before is verified and kept.",
            "Try again when the connection is better; only the rest will be sent.",
        )

    async def _session_that_moves(self) -> None:
        """A session in which chunk after chunk arrives: a byte now and then would keep a connection for ever.

        :raises ConnectionLost: no chunk was complete within ``BULK_CHUNK_MAX_S``.
        """
        with trio.CancelScope() as self._patience:
            self._be_patient()
            await self._session()
        if self._patience.cancelled_caught:
            raise ConnectionLost(f"no chunk came within {BULK_CHUNK_MAX_S:.0f} s")

    def _be_patient(self) -> None:
        self._patience.deadline = trio.current_time() + BULK_CHUNK_MAX_S

    async def _session(self) -> None:
        """Open a session by the first path that works, and pull."""
        tls = await self._peer.bulk.tls()
        request = OpenRequest(self._grant, tls.certificate).encode()
        reply = OpenReply.decode(
            await self._peer.call(self._provider, OPEN_METHOD, request, addrs=self._addrs)
        )
        problem: Exception = ConnectionLost("no path to the provider")
        for path in tuple(self._paths):
            try:
                if path is Path.RELAYED:
                    self.path = path
                    await self._pull_over_stream(reply)
                    return
                connection = await (self._dial(reply) if path is Path.DIRECT else self._be_dialled(reply))
            except (ConnectionLost, EnvironmentFailure) as error:
                if path is Path.RELAYED:
                    raise
                logger.info("%s path to %s: %s", path.value, self._provider, error)
                problem = error
                if len(self._paths) > 1:
                    self._paths.remove(path)  # not tried again in this transfer
                continue
            self.path = path
            await self._pull_over_connection(connection, reply)
            return
        raise problem

    async def _dial(self, reply: OpenReply) -> ssl.SSLSocket:
        host = self._peer.remote_host(self._provider)
        if host is None or not reply.port:
            raise ConnectionLost("the provider does not accept direct connections")
        return await self._peer.bulk.dial(host, reply.port, reply.certificate)

    async def _be_dialled(self, reply: OpenReply) -> ssl.SSLSocket:
        endpoint = self._peer.bulk
        port = await endpoint.port()
        if not port:
            raise ConnectionLost("we do not accept direct connections")
        (await endpoint.tls()).trust(reply.certificate)
        with endpoint.expecting(reply.certificate) as (name, arrivals):
            request = DialBackRequest(reply.token, port, name).encode()
            await self._peer.call(self._provider, DIAL_BACK_METHOD, request)
            with trio.move_on_after(2 * BULK_CONNECT_TIMEOUT_S):
                return await arrivals.receive()
        raise ConnectionLost("the provider did not dial back")

    async def _pull_over_connection(self, connection: ssl.SSLSocket, reply: OpenReply) -> None:
        def work() -> None:
            send_all(connection, record(RecordKind.HELLO, reply.token))
            pull(connection, self._plan, self._sink, self._report_from_thread)

        with connection:
            await run_in_thread(connection, self._peer.bulk.transfers, work)

    async def _pull_over_stream(self, reply: OpenReply) -> None:
        stream = await open_stream(self._peer.host, self._provider, BULK_PROTOCOL, self._addrs)
        connection = StreamConnection(stream)
        try:
            await connection.send(record(RecordKind.HELLO, reply.token))
            await pull_over_stream(
                connection, self._plan, self._sink, self._report, self._peer.bulk.transfers
            )
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(1):
                await stream.reset()

    def _report(self, done_bytes: int) -> None:
        self._be_patient()
        relayed, fresh = self.path is Path.RELAYED, done_bytes - self._counted_bytes
        self._peer.traffic.received(self._provider, fresh, relayed=relayed)
        self._counted_bytes = done_bytes
        if self._progress is not None:
            self._progress(done_bytes)

    def _report_from_thread(self, done_bytes: int) -> None:
        trio.from_thread.run_sync(self._report, done_bytes)
