"""Checking what the other sides sign: terms before money is locked, a result before it is paid.

Pure: bytes in, a checked message out, or a refusal that says which part differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.jobspec import ANY_GPU, JobSpec
from p2p.core.limits import FEE_BPS_MAX, OUTPUT_MAX_BYTES, PRICE_MAX_USD_MICROS
from p2p.core.messages.jobs import JobView, ResultStatement, Terms
from p2p.core.money import USD_MICROS, Asset, cost_units, usd_to_units
from p2p.core.signing import Domain, Signed, signing_input, statement_hash
from p2p.wire.codec import decode, encode

Verify = Callable[[str, bytes, bytes], bool]
"""``verify_peer_signature`` of :mod:`p2p.net.identity`: peer id, message, signature."""


def check_terms(
    signed: Signed,
    *,
    job_id: str,
    buyer: Wallet,
    spec: JobSpec,
    coordinator_peer_id: str,
    now_s: float,
    verify: Verify,
) -> Terms:
    """The terms, once every part is what was asked for.

    :raises Refused: ``bad_terms``, naming the part.
    """
    if signed.signer != coordinator_peer_id or not verify(
        signed.signer, signing_input(Domain.TERMS, signed.payload), signed.signature
    ):
        raise _bad_terms("the coordinator's signature is wrong")
    terms = decode(Terms, signed.payload)
    asked = spec.config.max_price_usd_micros_per_hour
    parts = {
        "they are for another job": terms.job_id != job_id or terms.buyer != buyer,
        "the asset differs": terms.asset is not spec.asset,
        "the timeout differs": terms.timeout_s != spec.config.timeout_s,
        "the specification differs": terms.spec_hash != statement_hash(Domain.SPEC, encode(spec)),
        "the platform's fee is too high": not 0 <= terms.fee_bps <= FEE_BPS_MAX,
        "there is no rate": not terms.rates or any(rate.units_per_hour <= 0 for rate in terms.rates),
        "a rate is above the maximum price": asked is not None
        and any(rate.usd_micros_per_hour > asked for rate in terms.rates),
        "a rate is for another GPU class": spec.config.gpu_type != ANY_GPU
        and any(rate.gpu_class != spec.config.gpu_type for rate in terms.rates),
        "a USDC is not taken as a dollar": terms.asset is Asset.USDC
        and terms.asset_price_usd_micros != USD_MICROS,
        "a rate does not follow from its dollars": not _rates_follow(terms),
        "they have expired": terms.expires_at_s <= now_s,
    }
    for problem, holds in parts.items():
        if holds:
            raise _bad_terms(problem)
    dearest = max(rate.units_per_hour for rate in terms.rates)
    if terms.deposit_units != cost_units(dearest, terms.timeout_s):
        raise _bad_terms("the deposit is not the dearest rate for the whole timeout")
    return terms


def check_extended(
    signed: Signed, agreed: Terms, seconds: int, coordinator_peer_id: str, verify: Verify
) -> Terms:
    """The terms for ``seconds`` more, once nothing in them differs but the limit and what that takes.

    :raises Refused: ``bad_terms``.
    """
    if signed.signer != coordinator_peer_id or not verify(
        signed.signer, signing_input(Domain.TERMS, signed.payload), signed.signature
    ):
        raise _bad_terms("the coordinator's signature is wrong")
    terms, timeout_s = decode(Terms, signed.payload), agreed.timeout_s + seconds
    dearest = max(rate.units_per_hour for rate in agreed.rates)
    deposit_units = cost_units(dearest, timeout_s)
    wanted = replace(
        agreed, timeout_s=timeout_s, deposit_units=deposit_units, expires_at_s=terms.expires_at_s
    )
    if terms != wanted:
        raise _bad_terms("more differs from what was agreed than the time and its deposit")
    return terms


def _rates_follow(terms: Terms) -> bool:
    """Whether every rate is its own dollars at the price of the asset that the terms name."""
    price = terms.asset_price_usd_micros
    return 0 < price <= PRICE_MAX_USD_MICROS and all(
        rate.units_per_hour == usd_to_units(rate.usd_micros_per_hour, terms.asset, price)
        for rate in terms.rates
    )


def check_statement(signed: Signed, view: JobView, spec: JobSpec, verify: Verify) -> ResultStatement:
    """The node's result statement, once every part fits the job.

    :raises Refused: ``bad_statement``, naming the part.
    """
    if signed.signer != view.node_peer_id or not verify(
        signed.signer, signing_input(Domain.RESULT, signed.payload), signed.signature
    ):
        raise _bad_statement("the node's signature is wrong")
    statement = decode(ResultStatement, signed.payload)
    parts = {
        "it is for another job": statement.job_id != view.job_id,
        "it is for another attempt": statement.epoch != view.epoch,
        "it is for other inputs": statement.input_root != spec.input_root,
        "the script did not end with 0": statement.exit_code != 0,
        "the outputs are larger than a job may write": not 0 <= statement.output_bytes <= OUTPUT_MAX_BYTES,
        "the times make no sense": not _is_sane_time(statement),
    }
    for problem, holds in parts.items():
        if holds:
            raise _bad_statement(problem)
    return statement


def rate_of(terms: Terms, gpu_class: str) -> int:
    """The agreed rate of a GPU class, in base units per hour.

    :raises Refused: ``not_agreed``: the terms have no such class.
    """
    for rate in terms.rates:
        if rate.gpu_class == gpu_class:
            return rate.units_per_hour
    raise _not_agreed(f"the class {gpu_class!r} has no rate in the agreed terms")


def check_charge(used_units: int, terms: Terms, view: JobView, seconds: float) -> None:
    """Whether a charge is at most the agreed rate for ``seconds``.

    :raises Refused: ``not_agreed``.
    """
    billable_s = min(terms.timeout_s, math.ceil(max(0.0, seconds)))
    most = min(terms.deposit_units, cost_units(rate_of(terms, view.gpu_class), billable_s))
    if not 0 <= used_units <= most:
        raise _not_agreed(f"{used_units} base units are charged where at most {most} are due")


def _is_sane_time(statement: ResultStatement) -> bool:
    times = (statement.started_at_s, statement.finished_at_s, statement.run_seconds)
    return all(math.isfinite(time) and time >= 0 for time in times)


def _bad_terms(problem: str) -> Refused:
    return Refused(
        "bad_terms",
        f"The coordinator's terms are not what was asked for: {problem}.",
        "Nothing was paid.",
        "Ask again; if it goes on, the coordinator in config.toml may be the wrong one.",
    )


def _bad_statement(problem: str) -> Refused:
    return Refused(
        "bad_statement",
        f"The node's result statement is not valid: {problem}.",
        "The results were not accepted and nothing was paid for them.",
        "Report the job to the coordinator's operator.",
    )


def _not_agreed(problem: str) -> Refused:
    return Refused(
        "not_agreed",
        f"The settlement is not what was agreed: {problem}.",
        "It was not signed; the deposit stays in the escrow.",
        "Report the job to the coordinator's operator; after the deadline the deposit can be reclaimed.",
    )
