"""Nodes: advert, registration, heartbeat, leases."""

from __future__ import annotations

from dataclasses import dataclass

from p2p.core.jobspec import JobSpec, NetworkMode
from p2p.core.signing import Signed
from p2p.core.states import FailureCode, JobState

PAID_UNFETCHED = "paid_unfetched"
"""Reason of a stop order: the job was paid after its review window, and its buyer has not fetched it yet."""


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """One GPU: NVML uuid, product name, class slug such as ``rtx4090``, memory."""

    uuid: str
    name: str
    gpu_class: str
    vram_bytes: int


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a node has to offer."""

    gpus: tuple[GpuInfo, ...]
    cpu_count: int
    memory_bytes: int
    disk_free_bytes: int


@dataclass(frozen=True, slots=True)
class NodeAdvert:
    """What a node says of itself, to the coordinator and by gossip."""

    peer_id: str
    wallet: str
    addresses: tuple[str, ...]
    hardware: Hardware
    min_price_usd_micros_per_hour: int
    available: bool
    networks: tuple[NetworkMode, ...]
    image_digest: str
    version: str


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that a node holds under an epoch, as it stands there."""

    job_id: str
    epoch: int
    state: JobState
    run_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StopOrder:
    """The coordinator wants a job ended on the node: cancelled, or no longer the node's."""

    job_id: str
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeaseGrant:
    """The node keeps the job for that much longer.

    ``timeout_s``: how long it may run by now, which only ever grows; None: an older coordinator does not say.
    """

    job_id: str
    epoch: int
    expires_in_s: float
    timeout_s: int | None = None


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """``node.register``: join, or join again with the jobs that are still held."""

    advert: NodeAdvert
    held: tuple[HeldJob, ...]


@dataclass(frozen=True, slots=True)
class RegisterReply:
    """How often to beat, how long a lease lasts, and what to end."""

    heartbeat_s: float
    lease_s: float
    leases: tuple[LeaseGrant, ...]
    stop: tuple[StopOrder, ...]


@dataclass(frozen=True, slots=True)
class ResourceReading:
    """Load of the node now: CPU 0–100 per core summed, memory, and per GPU in the advert's order."""

    cpu_percent: float
    memory_used_bytes: int
    gpu_percent: tuple[float, ...] = ()
    gpu_memory_used_bytes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """``node.heartbeat``: still here, with these jobs."""

    available: bool
    held: tuple[HeldJob, ...]
    reading: ResourceReading
    disk_free_bytes: int


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """Renewed leases and what to end; ``register_again`` when the coordinator doesn't know the node."""

    leases: tuple[LeaseGrant, ...]
    stop: tuple[StopOrder, ...]
    register_again: bool = False


@dataclass(frozen=True, slots=True)
class LeaveRequest:
    """``node.leave``: no more jobs, please."""

    reason: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """``job.assign`` (coordinator to node): run this under ``epoch``; fetch inputs from the engine.

    ``fee_bps``: of the signed terms; None: an older coordinator does not say. ``timeout_s``: how long it may
    run, where that is longer than the specification says.
    """

    job_id: str
    epoch: int
    spec: JobSpec
    engine_peer_id: str
    engine_addresses: tuple[str, ...]
    lease_s: float
    gpu_class: str
    rate_units_per_hour: int
    fee_bps: int | None = None
    timeout_s: int | None = None

    @property
    def limit_s(self) -> int:
        """How long it may run, as far as was known when it was assigned."""
        return self.timeout_s or self.spec.config.timeout_s


@dataclass(frozen=True, slots=True)
class AssignReply:
    """Whether the node took the job; if not, why not."""

    accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StateReport:
    """``job.report`` (node to coordinator): a job moved on, under an epoch.

    ``state`` is staging, running, delivering (with the signed result statement) or failed (with a
    failure code). Repeating a report is harmless.
    """

    job_id: str
    epoch: int
    state: JobState
    run_seconds: float
    failure: FailureCode | None = None
    detail: str = ""
    statement: Signed | None = None


@dataclass(frozen=True, slots=True)
class EarningsRequest:
    """``node.earnings``: what this node's wallet earned, the newest job first; only what has changed since
    ``since_s``.

    ``before_seq``: for the next page, the ``seq`` of the last one that came; 0 begins.
    """

    limit: int
    since_s: float = 0.0
    before_seq: int = 0


@dataclass(frozen=True, slots=True)
class Earning:
    """One job's pay, net of the platform's fee, in base units of ``asset``.

    ``at_s``: when it was paid, or last moved on. ``review_ends_at_s``: it was claimed, and the buyer may sign
    or dispute until then. ``disputed``: the arbiter has still to decide.
    """

    job_id: str
    at_s: float
    asset: str
    net_units: int
    fee_units: int
    state: JobState
    signature: str
    name: str = ""
    used_seconds: int = 0
    review_ends_at_s: float | None = None
    seq: int = 0
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class EarningsReply:
    earnings: tuple[Earning, ...]
