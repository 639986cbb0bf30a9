"""The registry's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.domain.matching import NodeFacts, Slot, slots_of
from coordinator.store.database import Tx
from p2p.core.jobspec import NetworkMode
from p2p.core.limits import NODE_SILENT_S, NODES_MATCHED_MAX
from p2p.core.messages.nodes import NodeAdvert
from p2p.wire.codec import encode


@dataclass(frozen=True, slots=True)
class Beat:
    """A node's last heartbeat, held in memory until it is flushed."""

    peer_id: str
    seen_at_s: float
    available: bool
    disk_free_bytes: int
    cpu_percent: float
    memory_used_bytes: int


def register(tx: Tx, advert: NodeAdvert, now_s: float) -> None:
    """A node joins, or tells anew what it has."""
    tx.execute(
        "nodes.upsert",
        peer_id=advert.peer_id,
        wallet=advert.wallet,
        advert=encode(advert),
        min_price=advert.min_price_usd_micros_per_hour,
        available=advert.available,
        networks=sorted(mode.value for mode in advert.networks),
        image_digest=advert.image_digest,
        addresses=list(advert.addresses),
        disk_free_bytes=advert.hardware.disk_free_bytes,
        now_s=now_s,
    )
    tx.execute("nodes.delete_slots", peer_id=advert.peer_id)
    names = {gpu.uuid: gpu.name for gpu in advert.hardware.gpus}
    tx.execute_many(
        "nodes.insert_slot",
        [
            {
                "peer_id": advert.peer_id,
                "slot": slot.slot,
                "gpu_class": slot.gpu_class,
                "name": names.get(slot.slot, ""),
                "vram_bytes": slot.vram_bytes,
            }
            for slot in slots_of(advert)
        ],
    )


def flush_beats(tx: Tx, beats: Sequence[Beat]) -> None:
    """Write many heartbeats with one statement, in a fixed order of rows."""
    beats = sorted(beats, key=lambda beat: beat.peer_id)
    tx.execute(
        "nodes.flush_beats",
        peer_ids=[beat.peer_id for beat in beats],
        seen=[beat.seen_at_s for beat in beats],
        available=[beat.available for beat in beats],
        disk=[beat.disk_free_bytes for beat in beats],
        cpu=[beat.cpu_percent for beat in beats],
        memory=[beat.memory_used_bytes for beat in beats],
    )


def online(tx: Tx, now_s: float) -> list[NodeFacts]:
    """Every node heard of lately, as the matching rules see it."""
    found = []
    for row in tx.rows("nodes.online", since_s=now_s - NODE_SILENT_S, limit=NODES_MATCHED_MAX):
        slots = zip(row["slots"], row["classes"], row["vrams"], strict=True)
        found.append(
            NodeFacts(
                peer_id=row["peer_id"],
                wallet=row["wallet"],
                slots=tuple(Slot(slot, gpu_class, vram) for slot, gpu_class, vram in slots),
                min_price_usd_micros_per_hour=row["min_price_usd_micros_per_hour"],
                available=row["available"],
                networks=frozenset(NetworkMode(mode) for mode in row["networks"]),
                image_digest=row["image_digest"],
                disk_free_bytes=row["disk_free_bytes"],
                login_expires_at_s=row["login_expires_at_s"],
                busy=frozenset(row["busy"]),
            )
        )
    return found
