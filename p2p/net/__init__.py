"""The network: one libp2p host behind one wrapper, and nothing else in the project imports libp2p.

The public face (import from the modules named):

``p2p.net.identity``
    ``PeerIdentity.load_or_create(path) -> PeerIdentity`` and ``PeerIdentity.ephemeral()``: an Ed25519 key,
    ``.peer_id: PeerId``, ``.sign(message: bytes) -> bytes``.
    ``verify_peer_signature(peer_id: str, message: bytes, signature: bytes) -> bool``.

``p2p.net.peer``
    ``async with Peer.open(identity, listen_addrs, *, clock=..., topics=(), connections_max=...,
    towards=()) as peer``;
    ``listen_addrs`` are multiaddr strings such as ``/ip4/127.0.0.1/tcp/0``; none listens nowhere.

    * ``peer.peer_id: PeerId``, ``peer.addresses: tuple[str, ...]`` (each ends in ``/p2p/<peer id>``)
    * ``peer.serve(method, handler, *, timeout_s=HANDLER_TIMEOUT_S)``; ``async def handler(call: Call) ->
      bytes`` with ``call.peer_id`` and ``call.payload``
    * ``peer.serve_stream(method, handler)``; ``async def handler(call: Call)`` yields ``bytes``
    * ``await peer.call(peer_id, method, payload, *, addrs=(), timeout_s=CALL_TIMEOUT_S) -> bytes``
    * ``async with peer.stream(peer_id, method, payload, *, addrs=()) as items``, then
      ``async for item in items``
    * ``await peer.connect(peer_id, addrs=())``: make sure that a channel exists; ``await
      peer.disconnect(peer_id)``
    * ``peer.connected_peers() -> frozenset[PeerId]``; ``peer.on_disconnect(callback)``: ``callback(peer_id)``
    * ``await peer.publish(topic, data)``; ``async with peer.subscribe(topic) as messages``, then
      ``async for peer_id, data in messages`` (``topic`` must be one of ``topics``)

    What a call raises: the ``UserError`` / ``Refused`` / ``JobFailed`` / ``EnvironmentFailure`` that the
    remote handler raised, with its code and three parts; ``EnvironmentFailure`` with code
    ``peer_unreachable`` (no connection, or it was lost), ``wrong_peer``, ``peer_timeout``, ``peer_internal``
    (its handler broke), ``peer_busy``, ``handler_timeout``; ``UserError`` with code ``unknown_method`` or
    ``message_too_large``.

``p2p.net.bulk``
    ``ChunkRef(hash: bytes, size: int)``; protocols ``ChunkSource`` and ``ChunkSink`` (blocking methods,
    called in worker threads); ``BulkServer(peer, source)``; ``await pull_chunks(peer, provider_peer_id,
    grant, wanted, sink, *, addrs=(), progress=None) -> TransferStats``.
"""
