"""Rows as they lie in the database, column by column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from p2p.core.jobspec import JobSpec
from p2p.core.messages.jobs import Terms
from p2p.core.money import Asset
from p2p.core.signing import Signed
from p2p.core.states import FailureCode, JobState
from p2p.wire.codec import decode


@dataclass(frozen=True, slots=True)
class JobRow:
    """``jobs``."""

    job_id: str
    queue_seq: int
    name: str
    buyer: str
    engine_peer_id: str
    engine_addresses: list[str]
    state: str
    revision: int
    epoch: int
    attempt: int
    created_at_s: float
    updated_at_s: float
    spec: bytes
    terms_payload: bytes
    terms_signer: str
    terms_signature: bytes
    asset: str
    deposit_units: int
    fee_bps: int
    timeout_s: int
    gpu_type: str
    min_vram_bytes: int
    network: str
    disk_bytes: int
    rates: dict[str, Any]
    open_signature: str
    node_peer_id: str | None
    node_wallet: str | None
    slot: str | None
    gpu_class: str | None
    rate_units_per_hour: int | None
    lease_expires_at_s: float | None
    assigned_at_s: float | None
    running_at_s: float | None
    used_seconds: int
    used_units: int
    failure: str | None
    detail: str
    added_s: int

    @property
    def status(self) -> JobState:
        return JobState(self.state)

    @property
    def money(self) -> Asset:
        return Asset(self.asset)

    @property
    def failure_code(self) -> FailureCode | None:
        return None if self.failure is None else FailureCode(self.failure)

    @property
    def job_spec(self) -> JobSpec:
        return decode(JobSpec, self.spec)

    @property
    def terms(self) -> Terms:
        """As they were agreed when the escrow was opened; :attr:`agreed` has what came of them."""
        return decode(Terms, self.terms_payload)

    @property
    def agreed(self) -> Terms:
        """The terms as they stand now, with the time and the deposit that top-ups have added."""
        return replace(self.terms, timeout_s=self.timeout_s, deposit_units=self.deposit_units)

    @property
    def signed_terms(self) -> Signed:
        return Signed(self.terms_payload, self.terms_signer, self.terms_signature)


@dataclass(frozen=True, slots=True)
class ActionRow:
    """``outbox``."""

    action_id: int
    job_id: str
    kind: str
    state: str
    epoch: int
    node_wallet: str | None
    used_units: int | None
    result_hash: bytes | None
    actor: str | None
    message: bytes | None
    signed_bytes: bytes | None
    signature: str
    last_valid_height: int | None
    attempts: int
    next_try_at_s: float
    last_error: str
    created_at_s: float
    updated_at_s: float
    window_ends_at_s: float | None
    alone: bool


@dataclass(frozen=True, slots=True)
class LoginRow:
    """``logins``."""

    peer_id: str
    role: str
    wallet: str
    expires_at_s: float

    def lasts(self, now_s: float) -> bool:
        return now_s < self.expires_at_s


@dataclass(frozen=True, slots=True)
class ChallengeRow:
    """``challenges``."""

    nonce: str
    peer_id: str
    wallet: str
    role: str
    cluster: str
    issued_at_s: int
    expires_at_s: int
    domain: str
