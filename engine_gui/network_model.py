"""What the network's page shows, computed from the agent's answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gui_kit.states import Look
from gui_kit.words import bytes_text, short_id, time_text, tr
from p2p.core.money import format_usd

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OfferRow:
    """What one class of GPUs costs now, and how many there are."""

    key: str
    usd_micros: int
    price: str
    free: int
    online: int
    memory_bytes: int
    memory: str

    @property
    def free_words(self) -> str:
        return f"{self.free} / {self.online}"


def offer_rows(answer: Sequence[Json]) -> list[OfferRow]:
    """From ``offers``."""
    return [
        OfferRow(
            offer["gpu_class"],
            offer["usd_micros_per_hour"],
            f"{format_usd(offer['usd_micros_per_hour'])}/h",
            offer["nodes_free"],
            offer["nodes_online"],
            offer["vram_max_bytes"],
            bytes_text(offer["vram_max_bytes"]) if offer["vram_max_bytes"] else "",
        )
        for offer in answer
    ]


DIRECT = Look("Direct", "swap-horizontal", "success")
RELAYED = Look("Relayed", "transit-connection-variant", "warning")
AWAY = Look("Not connected", "lan-disconnect", "muted")
CONNECTED = Look("Connected", "lan-connect", "success")

REACHABLE = Look("Answers", "circle", "success")
SILENT = Look("Does not answer", "alert-circle-outline", "danger")
ASKING = Look("Asking", "timer-sand", "muted")

_ROLES = {"coordinator": "Coordinator", "node": "Node of a job", "other": "Another peer"}


@dataclass(frozen=True, slots=True)
class WayRow:
    """How this computer is connected to the node of a job, and what goes over it."""

    key: str
    job: str
    node: str
    connected: bool
    relayed: bool | None
    up_bytes: int
    down_bytes: int
    up_bytes_per_s: float
    down_bytes_per_s: float

    @property
    def look(self) -> Look:
        """Direct or relayed; known only once files have gone over it."""
        if self.relayed is not None:
            return said(RELAYED if self.relayed else DIRECT)
        return said(CONNECTED if self.connected else AWAY)

    @property
    def up(self) -> str:
        return flow_text(self.up_bytes, self.up_bytes_per_s)

    @property
    def down(self) -> str:
        return flow_text(self.down_bytes, self.down_bytes_per_s)


@dataclass(frozen=True, slots=True)
class PeerRow:
    """Somebody that this computer is connected to."""

    key: str
    role: str
    host: str


@dataclass(frozen=True, slots=True)
class Connection:
    """The agent's ``network`` as the page shows it. ``problem``: why the coordinator does not answer."""

    coordinator: Look
    since: str
    problem: str
    peer_id: str
    addresses: str
    up: str
    down: str
    ways: tuple[WayRow, ...]
    peers: tuple[PeerRow, ...]


def connection(answer: Json) -> Connection:
    """From ``network``."""
    found = answer["coordinator"]
    since, problem = found["since_s"], found["problem"]
    return Connection(
        coordinator=said(REACHABLE if found["reachable"] else SILENT),
        since=time_text(since) if since else "–",
        problem=" ".join(problem[part] for part in ("what", "meaning", "hint") if problem.get(part))
        if problem
        else "",
        peer_id=answer["peer_id"],
        addresses="\n".join(answer["addresses"]) or tr("Nowhere yet"),
        up=flow_text(answer["up_bytes"], answer["up_bytes_per_s"]),
        down=flow_text(answer["down_bytes"], answer["down_bytes_per_s"]),
        ways=tuple(_way(job) for job in answer["jobs"]),
        peers=tuple(
            PeerRow(peer["peer_id"], tr(_ROLES.get(peer["role"], _ROLES["other"])), peer["host"] or "")
            for peer in answer["peers"]
        ),
    )


def _way(job: Json) -> WayRow:
    return WayRow(
        key=job["job_id"],
        job=job["name"] or short_id(job["job_id"]),
        node=short_id(job["node_peer_id"]) or tr("No node yet"),
        connected=job["connected"],
        relayed=job["relayed"],
        up_bytes=job["up_bytes"],
        down_bytes=job["down_bytes"],
        up_bytes_per_s=job["up_bytes_per_s"],
        down_bytes_per_s=job["down_bytes_per_s"],
    )


def flow_text(count: int, per_s: float) -> str:
    """``4.2 MB, 1.1 MB/s``; the rate only while something moves."""
    return f"{bytes_text(count)}, {bytes_text(per_s)}/s" if per_s >= 1 else bytes_text(count)


def said(look: Look) -> Look:
    """With its word translated."""
    return Look(tr(look.word), look.icon, look.token)
