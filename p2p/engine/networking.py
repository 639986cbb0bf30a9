"""How this engine is connected: to its coordinator, to the nodes of its jobs, and how fast files go now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from p2p.core.errors import CyxWizError
from p2p.core.ids import PeerId
from p2p.core.limits import JOBS_LISTED_MAX
from p2p.engine.context import Engine, spec_of, view_of
from p2p.engine.views import state_word
from p2p.local.protocol import error_to_json
from p2p.net.traffic import PeerTraffic
from p2p.store.engine import JobRow

Json = dict[str, Any]

_NOTHING = PeerTraffic(0, 0, 0.0, 0.0, None)


async def network(engine: Engine) -> Json:
    """``network``: after a look whether the coordinator is there."""
    problem: CyxWizError | None = None
    coordinator: str | None = None
    try:
        config = engine.link.network()
        coordinator = config.coordinator_peer_id
        await engine.link.look()
    except CyxWizError as error:
        problem = error
    peer, now_s = engine.peer, engine.clock.now_s()
    traffic = peer.traffic.now()
    jobs = await engine.tables.unfinished()
    nodes = {view.node_peer_id for job in jobs if (view := view_of(job)) is not None}
    return {
        "peer_id": peer.peer_id,
        "addresses": list(peer.addresses),
        "started_at_s": peer.opened_at_s,
        "uptime_s": max(0.0, now_s - peer.opened_at_s),
        "coordinator": {
            "peer_id": coordinator,
            "address": config.coordinator_address if coordinator else None,
            "reachable": problem is None,
            "since_s": engine.link.reach.since_s,
            "last_reply_at_s": engine.link.reach.last_reply_at_s,
            "problem": None if problem is None else error_to_json(problem),
        },
        "peers": [
            {
                "peer_id": other,
                "role": "coordinator" if other == coordinator else "node" if other in nodes else "other",
                "host": peer.remote_host(other),
            }
            for other in sorted(peer.connected_peers())
        ],
        "jobs": [_job(engine, job, traffic) for job in jobs[:JOBS_LISTED_MAX]],
        "up_bytes": sum(each.up_bytes for each in traffic.values()),
        "down_bytes": sum(each.down_bytes for each in traffic.values()),
        "up_bytes_per_s": sum(each.up_bytes_per_s for each in traffic.values()),
        "down_bytes_per_s": sum(each.down_bytes_per_s for each in traffic.values()),
    }


def _job(engine: Engine, job: JobRow, traffic: dict[PeerId, PeerTraffic]) -> Json:
    view = view_of(job)
    node = view.node_peer_id if view is not None else ""
    known = PeerId(node)
    return {
        "job_id": job.job_id,
        "name": spec_of(job).name,
        "state": state_word(job, view),
        "node_peer_id": node,
        "connected": known in engine.peer.connected_peers(),
        "host": engine.peer.remote_host(node) if node else None,
        **asdict(traffic.get(known, _NOTHING)),
    }
