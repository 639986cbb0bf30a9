"""The escrow's accounts as bytes on chain, and as values here.

Layouts are those of ``programs/escrow/src/state.rs``: first byte a tag, second a version.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from solders.pubkey import Pubkey

from p2p.chain.keys import to_wallet
from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import JobId, Wallet

VERSION = 1
CONFIG_TAG, ASSET_TAG, BALANCE_TAG, SESSION_TAG, JOB_TAG, CLOSED_JOB_TAG = 1, 2, 3, 4, 5, 6

_CONFIG = struct.Struct("<BBBBH2x32s32s32s32s32s32s32sqq")
_ASSET = struct.Struct("<BBBBBB2x32s32sQ")
_BALANCE = struct.Struct("<BBB5x32s32sQ")
_SESSION = struct.Struct("<BBB5x32s32s32sQq")
_JOB = struct.Struct("<BBBBH2x32s16s32s32s32s32s32s32s32s32sQQqqqqqq")
_TOKEN_AMOUNT = struct.Struct("<64xQ")

CONFIG_BYTES, ASSET_BYTES, BALANCE_BYTES = _CONFIG.size, _ASSET.size, _BALANCE.size
SESSION_BYTES, JOB_BYTES = _SESSION.size, _JOB.size

RENT_LAMPORTS_PER_BYTE = 6960
RENT_OVERHEAD_BYTES = 128


def rent_lamports(size_bytes: int) -> int:
    """What an account of this size must hold for ever (``Rent`` sysvar, unchanged since genesis)."""
    return (RENT_OVERHEAD_BYTES + size_bytes) * RENT_LAMPORTS_PER_BYTE


class JobStatus(IntEnum):
    """Where a job's money stands."""

    OPEN = 1
    ASSIGNED = 2
    CLAIMED = 3
    DISPUTED = 4
    SETTLED = 5
    FINALIZED = 6
    RESOLVED = 7
    REFUNDED = 8
    CANCELLED = 9
    RECLAIMED = 10

    @property
    def final(self) -> bool:
        """The verdict stands; nothing changes any more."""
        return self >= JobStatus.SETTLED


@dataclass(frozen=True, slots=True)
class OnChainConfig:
    admin: Wallet
    admin_next: Wallet | None
    coordinator: Wallet
    coordinator_next: Wallet | None
    arbiter: Wallet
    arbiter_next: Wallet | None
    fee_owner: Wallet
    fee_bps: int
    review_window_s: int
    longest_job_s: int
    paused: bool


@dataclass(frozen=True, slots=True)
class OnChainAsset:
    """``owed_units``: the sum of all balances and of the deposits of jobs that have not ended."""

    mint: Wallet
    vault: Wallet | None
    enabled: bool
    decimals: int
    owed_units: int


@dataclass(frozen=True, slots=True)
class OnChainBalance:
    mint: Wallet
    owner: Wallet
    available_units: int


@dataclass(frozen=True, slots=True)
class OnChainSession:
    owner: Wallet
    key: Wallet
    mint: Wallet
    remaining_units: int
    expires_at_s: int


@dataclass(frozen=True, slots=True)
class OnChainJob:
    """``used_units`` is what was paid for, or what is claimed while a claim stands."""

    status: JobStatus
    owner: Wallet
    job_id: JobId
    mint: Wallet
    node: Wallet | None
    terms_hash: bytes
    result_hash: bytes
    rent_payer: Wallet
    coordinator: Wallet
    arbiter: Wallet
    fee_owner: Wallet
    fee_bps: int
    deposit_units: int
    used_units: int
    review_window_s: int
    run_s: int
    opened_at_s: int
    deadline_s: int
    review_ends_at_s: int
    ended_at_s: int


def _wallet(raw: bytes) -> Wallet:
    return to_wallet(Pubkey.from_bytes(raw))


def _wallet_or_none(raw: bytes) -> Wallet | None:
    return _wallet(raw) if any(raw) else None


def _unpack(layout: struct.Struct, tag: int, data: bytes, what: str) -> tuple[Any, ...]:
    """The fields after tag and version; the caller knows which are bytes."""
    if len(data) != layout.size or data[0] != tag or data[1] != VERSION:
        raise _unknown(what)
    return layout.unpack(data)[2:]


def _unknown(what: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "chain_unexpected",
        f"The chain's account for {what} is not one that this version knows.",
        hint="Check program_id and cluster in [chain], or update.",
        retryable=False,
    )


def decode_config(data: bytes) -> OnChainConfig:
    """:raises EnvironmentFailure: (all decoders) not such an account."""
    fields = _unpack(_CONFIG, CONFIG_TAG, data, "the configuration")
    _, paused, fee_bps, *keys, review_s, longest_s = fields
    admin, admin_next, coordinator, coordinator_next, arbiter, arbiter_next, fee_owner = keys
    return OnChainConfig(
        _wallet(admin),
        _wallet_or_none(admin_next),
        _wallet(coordinator),
        _wallet_or_none(coordinator_next),
        _wallet(arbiter),
        _wallet_or_none(arbiter_next),
        _wallet(fee_owner),
        fee_bps,
        review_s,
        longest_s,
        bool(paused),
    )


def decode_asset(data: bytes) -> OnChainAsset:
    fields = _unpack(_ASSET, ASSET_TAG, data, "an asset")
    _, _, enabled, decimals, mint, vault, owed = fields
    return OnChainAsset(_wallet(mint), _wallet_or_none(vault), bool(enabled), decimals, owed)


def decode_balance(data: bytes) -> OnChainBalance:
    fields = _unpack(_BALANCE, BALANCE_TAG, data, "a balance")
    _, mint, owner, available = fields
    return OnChainBalance(_wallet(mint), _wallet(owner), available)


def decode_session(data: bytes) -> OnChainSession:
    fields = _unpack(_SESSION, SESSION_TAG, data, "a session key")
    _, owner, key, mint, remaining, expires_at_s = fields
    return OnChainSession(_wallet(owner), _wallet(key), _wallet(mint), remaining, expires_at_s)


def decode_job(data: bytes) -> OnChainJob:
    fields = _unpack(_JOB, JOB_TAG, data, "a job")
    if data[3] not in list(JobStatus):
        raise _unknown("a job")
    _, status, fee_bps, owner, job_id, mint, node, terms, result, payer, *rest = fields
    coordinator, arbiter, fee_owner, deposit, used, review_s, run_s, opened, deadline, review, ended = rest
    return OnChainJob(
        status=JobStatus(status),
        owner=_wallet(owner),
        job_id=JobId(job_id.hex()),
        mint=_wallet(mint),
        node=_wallet_or_none(node),
        terms_hash=terms,
        result_hash=result,
        rent_payer=_wallet(payer),
        coordinator=_wallet(coordinator),
        arbiter=_wallet(arbiter),
        fee_owner=_wallet(fee_owner),
        fee_bps=fee_bps,
        deposit_units=deposit,
        used_units=used,
        review_window_s=review_s,
        run_s=run_s,
        opened_at_s=opened,
        deadline_s=deadline,
        review_ends_at_s=review,
        ended_at_s=ended,
    )


def is_closed_job(data: bytes) -> bool:
    """The two bytes that stay of a closed job."""
    return data == bytes([CLOSED_JOB_TAG, VERSION])


def token_amount(data: bytes) -> int:
    """The amount in a token account's data."""
    return int(_TOKEN_AMOUNT.unpack_from(data)[0])
