"""Nothing is agreed to, accepted or paid that differs in any part from what was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.agreement import cancelled_hash, run_limit_s
from p2p.core.errors import CyxWizError, Refused
from p2p.core.ids import Wallet
from p2p.core.messages.jobs import RateTerm, SettleOffer, Terms
from p2p.core.money import USD_MICROS, Asset, cost_units, usd_to_units
from p2p.core.signing import Domain, Signed, statement_hash
from p2p.core.states import JobState
from p2p.engine.settling import check_cancelled, check_delivered
from p2p.engine.terms import check_charge, check_extended, check_statement, check_terms, rate_of
from p2p.net.identity import PeerIdentity, verify_peer_signature
from p2p.store.engine import EventRow
from p2p.wire.codec import encode

BUYER = Wallet("5txsqJwt8GkBo3njudN1mRg8CJkwE7UQBtnyXp4R5qX4")
NOW_S = 1_800_000_000.0


def check(deal: Any, signed: Signed) -> Terms:
    return check_terms(
        signed,
        job_id=deal.terms.job_id,
        buyer=BUYER,
        spec=deal.spec,
        coordinator_peer_id=deal.coordinator.peer_id,
        now_s=NOW_S,
        verify=verify_peer_signature,
    )


def test_honest_terms_are_taken(deal: Any) -> None:
    assert check(deal, deal.sign_terms()) == deal.terms


BENT_TERMS: dict[str, dict[str, Any]] = {
    "job": {"job_id": "cd" * 16},
    "buyer": {"buyer": "somebody"},
    "asset": {"asset": Asset.SOL},
    "timeout": {"timeout_s": 601},
    "spec": {"spec_hash": b"x" * 32},
    "fee": {"fee_bps": 2001},
    "negative fee": {"fee_bps": -1},
    "no rates": {"rates": ()},
    "free rate": {"rates": (RateTerm("cpu", 0, 0),), "deposit_units": 0},
    "above max price": {"rates": (RateTerm("h100", 600_000, 400_000),)},
    "dearer in units than in dollars": {"rates": (RateTerm("cpu", 40_000, 40_001),)},
    "cheaper in units than in dollars": {"rates": (RateTerm("cpu", 40_000, 39_999),)},
    "a USDC of two dollars": {"asset_price_usd_micros": 2 * USD_MICROS},
    "no price": {"asset_price_usd_micros": 0},
    "a negative price": {"asset_price_usd_micros": -1},
    "an absurd price": {"asset_price_usd_micros": 2**62},
    "expired": {"expires_at_s": int(NOW_S)},
    "deposit too high": {"deposit_units": cost_units(400_000, 600) + 1},
    "deposit too low": {"deposit_units": 1},
}


@pytest.mark.parametrize("part", list(BENT_TERMS))
def test_terms_that_differ_in_one_part_are_refused(deal: Any, part: str) -> None:
    with pytest.raises(Refused) as caught:
        check(deal, deal.sign_terms(replace(deal.terms, **BENT_TERMS[part])))
    assert caught.value.code == "bad_terms"
    assert caught.value.meaning == "Nothing was paid."


def in_sol(deal: Any, price_usd_micros: int, units_off: int = 0) -> Terms:
    rates = tuple(
        replace(rate, units_per_hour=usd_to_units(rate.usd_micros_per_hour, Asset.SOL, price_usd_micros))
        for rate in deal.terms.rates
    )
    rates = (rates[0], replace(rates[1], units_per_hour=rates[1].units_per_hour + units_off))
    deal.spec = replace(deal.spec, asset=Asset.SOL)
    return replace(
        deal.terms,
        asset=Asset.SOL,
        rates=rates,
        deposit_units=cost_units(rates[1].units_per_hour, 600),
        spec_hash=statement_hash(Domain.SPEC, encode(deal.spec)),
        asset_price_usd_micros=price_usd_micros,
    )


@pytest.mark.parametrize("price_usd_micros", [1_000, 76_106_591, 10**12])
def test_the_price_of_a_sol_is_in_the_terms_and_its_units_follow_from_it(
    deal: Any, price_usd_micros: int
) -> None:
    terms = in_sol(deal, price_usd_micros)
    assert check(deal, deal.sign_terms(terms)) == terms
    for off in (-1, 1):
        with pytest.raises(Refused) as caught:
            check(deal, deal.sign_terms(in_sol(deal, price_usd_micros, off)))
        assert "does not follow from its dollars" in caught.value.what


def test_terms_for_a_class_that_was_not_asked_for_are_refused(deal: Any) -> None:
    config = replace(deal.spec.config, gpu_type="cpu")
    deal.spec = replace(deal.spec, config=config)
    with pytest.raises(Refused):
        check(deal, deal.sign_terms())


def test_terms_must_be_signed_by_the_coordinator_and_as_terms(deal: Any) -> None:
    with pytest.raises(Refused):
        check(deal, deal.sign_terms(by=PeerIdentity.ephemeral()))
    honest = deal.sign_terms()
    with pytest.raises(Refused):
        check(deal, replace(honest, signer=PeerIdentity.ephemeral().peer_id))
    forged = bytearray(honest.signature)
    forged[0] ^= 1
    with pytest.raises(Refused):
        check(deal, replace(honest, signature=bytes(forged)))
    with pytest.raises(Refused):  # signed for another purpose
        check(deal, replace(deal.sign_statement(by=deal.coordinator)))


@given(st.binary(max_size=200))
def test_garbage_that_is_properly_signed_is_refused_in_our_own_words(payload: bytes) -> None:
    coordinator = PeerIdentity.ephemeral()
    signature = coordinator.sign(Domain.TERMS.value.encode() + b"\0" + payload)
    signed = Signed(payload, coordinator.peer_id, signature)
    with pytest.raises(CyxWizError):
        check_terms(
            signed,
            job_id="ab" * 16,
            buyer=BUYER,
            spec=None,  # type: ignore[arg-type]
            coordinator_peer_id=coordinator.peer_id,
            now_s=NOW_S,
            verify=verify_peer_signature,
        )


def test_an_honest_statement_is_taken(deal: Any) -> None:
    found = check_statement(deal.sign_statement(), deal.view, deal.spec, verify_peer_signature)
    assert found == deal.statement


BENT_STATEMENTS: dict[str, dict[str, Any]] = {
    "job": {"job_id": "cd" * 16},
    "older attempt": {"epoch": 1},
    "other inputs": {"input_root": b"x" * 32},
    "exit code": {"exit_code": 1},
    "too much output": {"output_bytes": 11 * 1024**3},
    "negative output": {"output_bytes": -1},
    "time that is none": {"run_seconds": float("nan")},
    "endless": {"run_seconds": float("inf")},
    "negative time": {"run_seconds": -1.0},
}


@pytest.mark.parametrize("part", list(BENT_STATEMENTS))
def test_statements_that_do_not_fit_are_refused(deal: Any, part: str) -> None:
    bent = deal.sign_statement(replace(deal.statement, **BENT_STATEMENTS[part]))
    with pytest.raises(Refused) as caught:
        check_statement(bent, deal.view, deal.spec, verify_peer_signature)
    assert caught.value.code == "bad_statement"


def test_only_the_jobs_own_node_may_sign_its_result(deal: Any) -> None:
    for signed in (deal.sign_statement(by=deal.coordinator), deal.sign_terms(by=deal.node)):
        with pytest.raises(Refused):
            check_statement(signed, deal.view, deal.spec, verify_peer_signature)


def offer(deal: Any, used_units: int, result_hash: bytes) -> SettleOffer:
    return SettleOffer(b"message", used_units, result_hash, deal.view)


def test_the_charge_is_at_most_the_rate_for_what_the_node_swears_to(deal: Any) -> None:
    signed = deal.sign_statement()
    right = statement_hash(Domain.RESULT, signed.payload)
    most = cost_units(40_000, 30)  # 29.5 s, begun seconds count
    check_delivered(offer(deal, most, right), deal.terms, signed, deal.statement)
    check_delivered(offer(deal, 0, right), deal.terms, signed, deal.statement)
    for used, result in ((most + 1, right), (-1, right), (most, b"x" * 32)):
        with pytest.raises(Refused) as caught:
            check_delivered(offer(deal, used, result), deal.terms, signed, deal.statement)
        assert caught.value.code == "not_agreed"


def test_a_class_that_is_not_in_the_terms_cannot_be_charged(deal: Any) -> None:
    with pytest.raises(Refused):
        rate_of(deal.terms, "h100")
    deal.view = replace(deal.view, gpu_class="h100")
    with pytest.raises(Refused):
        check_charge(1, deal.terms, deal.view, 30)


@given(seconds=st.floats(0, 1e7), extra=st.integers(1, 10**6))
def test_no_time_makes_more_than_the_deposit_due(seconds: float, extra: int) -> None:
    rates = (RateTerm("cpu", 40_000, 40_000),)
    terms = Terms("ab" * 16, BUYER, Asset.USDC, rates, 600, cost_units(40_000, 600), 1000, b"", "c", 0, 1)

    class View:
        gpu_class = "cpu"

    with pytest.raises(Refused):
        check_charge(terms.deposit_units + extra, terms, View(), seconds)  # type: ignore[arg-type]


def test_a_cancelled_job_pays_for_the_time_between_start_and_cancelling(deal: Any) -> None:
    events = [
        EventRow(NOW_S, "running", "", 3),
        EventRow(NOW_S + 9.5, "cancelled", "", 4),
        EventRow(NOW_S + 9999, "cancelled", "", None),  # our own words carry no weight
    ]
    right = cancelled_hash(deal.terms.job_id)
    most = cost_units(40_000, 11)
    check_cancelled(offer(deal, most, right), deal.terms, events)
    for used, result in ((most + 1, right), (most, b"x" * 32)):
        with pytest.raises(Refused):
            check_cancelled(offer(deal, used, result), deal.terms, events)


def test_a_lost_attempt_is_not_charged_when_cancelled(deal: Any) -> None:
    events = [
        EventRow(NOW_S, "running", "", 3),
        EventRow(NOW_S + 500, "queued", "", 4),
        EventRow(NOW_S + 510, "running", "attempt 2", 5),
        EventRow(NOW_S + 515, "cancelled", "", 6),
    ]
    right = cancelled_hash(deal.terms.job_id)
    with pytest.raises(Refused):
        check_cancelled(offer(deal, cost_units(40_000, 60), right), deal.terms, events)


def test_the_deadline_on_chain_leaves_room_for_every_attempt_within_what_is_allowed() -> None:
    assert run_limit_s(600, 10**9) >= 3 * 600 + 7200
    assert run_limit_s(86400, 100_000) == 100_000


def test_settled_is_no_state_to_be_paid_again() -> None:
    assert JobState.SETTLED.is_final


def test_more_time_is_agreed_to_on_the_same_terms_alone(deal: Any) -> None:
    rate = max(rate.units_per_hour for rate in deal.terms.rates)
    timeout_s = deal.terms.timeout_s + 1800
    longer = replace(
        deal.terms,
        timeout_s=timeout_s,
        deposit_units=cost_units(rate, timeout_s),
        expires_at_s=deal.terms.expires_at_s + 5,
    )

    def extend(signed: Signed, seconds: int = 1800) -> Terms:
        coordinator = deal.coordinator.peer_id
        return check_extended(signed, deal.terms, seconds, coordinator, verify_peer_signature)

    assert extend(deal.sign_terms(longer)) == longer
    with pytest.raises(Refused, match="signature"):
        extend(deal.sign_terms(longer, by=deal.node))
    with pytest.raises(Refused, match="more differs"):
        extend(deal.sign_terms(longer), seconds=1799)
    for name, value in (
        ("fee_bps", 1),
        ("buyer", "x"),
        ("deposit_units", 1),
        ("spec_hash", b""),
        ("rates", ()),
    ):
        with pytest.raises(Refused, match="more differs"):
            extend(deal.sign_terms(replace(longer, **{name: value})))
