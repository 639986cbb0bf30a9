"""Jobs between a buyer's engine and the coordinator, and the statements that are signed about them."""

from __future__ import annotations

from dataclasses import dataclass

from p2p.core.jobspec import JobSpec
from p2p.core.messages.disputes import ReviewView
from p2p.core.money import Asset
from p2p.core.signing import Signed
from p2p.core.states import FailureCode, JobState


@dataclass(frozen=True, slots=True)
class RateTerm:
    """What an hour on a GPU class costs, in dollars and locked in base units of the terms' asset."""

    gpu_class: str
    usd_micros_per_hour: int
    units_per_hour: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What the buyer agrees to by opening the escrow with its hash. Signed by the coordinator.

    ``rates`` has every class that the job may land on; ``deposit_units`` is the dearest of them for the
    whole timeout and the most the job can ever cost. ``asset_price_usd_micros`` is what a whole asset was
    taken for: each rate's units follow from its dollars by it.
    """

    job_id: str
    buyer: str
    asset: Asset
    rates: tuple[RateTerm, ...]
    timeout_s: int
    deposit_units: int
    fee_bps: int
    spec_hash: bytes
    coordinator_wallet: str
    expires_at_s: int
    asset_price_usd_micros: int


@dataclass(frozen=True, slots=True)
class ResultStatement:
    """What the node swears to about one attempt; signed by its peer key. Times are Unix seconds."""

    job_id: str
    epoch: int
    input_root: bytes
    image_digest: str
    output_root: bytes
    output_bytes: int
    output_files: int
    log_sha256: bytes
    log_bytes: int
    exit_code: int
    started_at_s: float
    finished_at_s: float
    run_seconds: float
    cpu_seconds: float
    memory_peak_bytes: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the buyer's engine swears to after it verified every chunk; signed by its peer key."""

    job_id: str
    epoch: int
    statement_hash: bytes


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many of the online nodes fail a matching rule, in words a buyer understands."""

    rule: str
    nodes: int
    words: str


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """``job.quote``: what would this job cost, and who could run it now?"""

    job_id: str
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class Quote:
    """Signed terms, how many nodes match now, why the others don't, and how many jobs wait before it."""

    terms: Signed
    nodes_online: int
    nodes_matching: int
    misfits: tuple[RuleCount, ...]
    jobs_ahead: int


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """``job.submit``: the escrow is open; queue the job. Idempotent by the job id in the terms."""

    spec: JobSpec
    terms: Signed
    open_signature: str
    engine_addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobRef:
    """A job by its id: ``job.show``, ``job.cancel``."""

    job_id: str


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """One chain action about a job: its name, transaction signature, and how far it is."""

    action: str
    signature: str
    status: str
    at_s: float


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as the coordinator knows it."""

    job_id: str
    name: str
    buyer: str
    state: JobState
    revision: int
    epoch: int
    attempt: int
    created_at_s: float
    updated_at_s: float
    asset: Asset
    deposit_units: int
    fee_bps: int
    timeout_s: int
    gpu_type: str
    gpu_class: str = ""
    rate_units_per_hour: int = 0
    node_peer_id: str = ""
    node_addresses: tuple[str, ...] = ()
    node_wallet: str = ""
    used_seconds: int = 0
    used_units: int = 0
    failure: FailureCode | None = None
    detail: str = ""
    statement: Signed | None = None
    receipt: Signed | None = None
    chain: tuple[ChainEntry, ...] = ()
    misfits: tuple[RuleCount, ...] = ()
    nodes_online: int = 0
    review: ReviewView | None = None


@dataclass(frozen=True, slots=True)
class ListJobsRequest:
    """``job.list``: the buyer's own jobs, newest first."""

    limit: int


@dataclass(frozen=True, slots=True)
class JobList:
    jobs: tuple[JobView, ...]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One transition of a job. ``seq`` grows over all jobs, so that a watcher can resume."""

    seq: int
    job_id: str
    at_s: float
    old: JobState | None
    new: JobState
    attempt: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class EventsRequest:
    """``job.events``: the buyer's events after ``after_seq``, of one job or (empty id) of all.

    Waits up to ``wait_s`` for the first one.
    """

    job_id: str
    after_seq: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class EventList:
    events: tuple[JobEvent, ...]


@dataclass(frozen=True, slots=True)
class ReceiptRequest:
    """``job.receipt``: the results are verified. Also asks for the settlement of a cancelled job
    (without a receipt)."""

    job_id: str
    receipt: Signed | None
    signer: str


@dataclass(frozen=True, slots=True)
class SettleOffer:
    """The Settle transaction for ``signer`` to countersign; ``message`` is empty when none is needed.

    ``signer`` is the wallet or session key named in the request.
    """

    message: bytes
    used_units: int
    result_hash: bytes
    view: JobView


@dataclass(frozen=True, slots=True)
class CountersignRequest:
    """``job.countersign``: the buyer's signature over the Settle message offered."""

    job_id: str
    message: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """What is on offer now for a GPU class."""

    gpu_class: str
    nodes_online: int
    nodes_free: int
    vram_max_bytes: int
    usd_micros_per_hour: int


@dataclass(frozen=True, slots=True)
class OffersRequest:
    """``offers.list``."""


@dataclass(frozen=True, slots=True)
class OfferList:
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """``account.show``: the buyer's ledger."""

    limit: int


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of the coordinator's ledger that concerns the asking wallet."""

    transfer_id: str
    at_s: float
    kind: str
    job_id: str
    asset: Asset
    units: int
    signature: str


@dataclass(frozen=True, slots=True)
class PostingList:
    postings: tuple[Posting, ...]
