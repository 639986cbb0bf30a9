"""Chain and ledger as one list: what both have, what one has, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.chain.history import HistoryEntry
from p2p.chain.instructions import Tag
from p2p.core.ids import JobId
from p2p.core.limits import LEDGER_PENDING_S
from p2p.core.messages.jobs import Posting
from p2p.core.money import Asset
from p2p.engine.history import KIND_WORDS, Ledger, Line, join
from p2p.engine.wallet_history import usd_of

NOW_S = 1_780_000_000
JOB = JobId("ab" * 16)
LATE_S = NOW_S - int(LEDGER_PENDING_S) - 60


def entry(
    kind: str, units: int = 5, signature: str = "sig", at_s: int | None = NOW_S, job: bool = True
) -> HistoryEntry:
    with_job = kind not in ("deposit", "withdraw", "authorize", "revoke") and job
    return HistoryEntry(kind, units, Asset.USDC, signature, at_s, JOB if with_job else None)


def posting(
    kind: str, units: int = 5, signature: str = "sig", at_s: float = NOW_S, **changes: object
) -> Posting:
    job_id = "" if kind in ("deposit", "withdraw") else JOB
    found = Posting(f"{kind}:{signature}:{job_id}", at_s, kind, job_id, Asset.USDC, units, signature)
    return replace(found, **changes)  # type: ignore[arg-type]


def joined(
    entries: list[HistoryEntry],
    postings: list[Posting] | None,
    *,
    all_entries: bool = True,
    all_postings: bool = True,
) -> list[Line]:
    return join(entries, postings, now_s=NOW_S, all_entries=all_entries, all_postings=all_postings)


@pytest.mark.parametrize(
    ("kind", "posted_as", "sign"),
    [
        ("deposit", "deposit", 1),
        ("withdraw", "withdraw", -1),
        ("open", "open", -1),
        ("top_up", "top_up", -1),
        ("settle", "settle", 1),
        ("resolve", "settle", 1),
        ("finalize", "settle", 1),
        ("cancel", "refund", 1),
        ("refund", "refund", 1),
        ("reclaim", "refund", 1),
    ],
)
def test_what_both_have_is_posted(kind: str, posted_as: str, sign: int) -> None:
    (line,) = joined([entry(kind)], [posting(posted_as, sign * 5)])
    assert (line.kind, line.ledger, line.ledger_units) == (kind, Ledger.POSTED, sign * 5)
    assert line.ledger_words == "posted"


def test_a_verdict_is_known_by_its_job_and_a_transfer_by_its_transaction() -> None:
    (line,) = joined([entry("settle", signature="a")], [posting("settle", signature="b")])
    assert line.ledger is Ledger.POSTED
    lines = joined([entry("deposit", signature="a")], [posting("deposit", signature="b", at_s=NOW_S - 1)])
    assert [line.ledger for line in lines] == [Ledger.PENDING, Ledger.LEDGER_ONLY]


def test_two_deposits_of_one_transaction_are_two() -> None:
    entries = [entry("deposit", 7), entry("deposit", 5)]
    lines = joined(entries, [posting("deposit", 5), posting("deposit", 7, "sig:2")])
    assert [(line.units, line.ledger) for line in lines] == [(7, Ledger.POSTED), (5, Ledger.POSTED)]


def test_what_one_side_alone_has_is_said() -> None:
    late = entry("deposit", at_s=LATE_S)
    assert [line.ledger for line in joined([entry("deposit")], [])] == [Ledger.PENDING]
    assert [line.ledger for line in joined([late], [])] == [Ledger.CHAIN_ONLY]
    assert [line.ledger for line in joined([], [posting("refund")])] == [Ledger.LEDGER_ONLY]
    (line,) = joined([entry("deposit", 6)], [posting("deposit", 5)])
    assert line.ledger is Ledger.DIFFERS
    assert line.ledger_words == "the ledger says 0.000005 USDC"


def test_what_moves_nothing_has_nothing_to_be_posted() -> None:
    entries = [entry(kind, 0) for kind in ("authorize", "revoke", "claim", "dispute", "close", "settle")]
    assert {line.ledger for line in joined(entries, [])} == {None}
    assert {line.ledger for line in joined([entry("deposit")], None)} == {Ledger.AWAY}


def test_what_was_not_asked_for_is_not_missing() -> None:
    (line,) = joined([entry("deposit", signature="old", at_s=LATE_S)], [], all_postings=True)
    assert line.ledger is Ledger.CHAIN_ONLY
    lines = joined(
        [entry("withdraw"), entry("deposit", signature="old", at_s=LATE_S)],
        [posting("withdraw", -5)],
        all_postings=False,
    )
    assert [line.ledger for line in lines] == [Ledger.POSTED, Ledger.OLDER]
    old = posting("deposit", signature="older", at_s=LATE_S)
    assert len(joined([entry("withdraw")], [old], all_entries=False)) == 1
    assert len(joined([entry("withdraw")], [old], all_entries=True)) == 2
    posted_late = posting("deposit", signature="older", at_s=NOW_S + 1)
    assert len(joined([entry("withdraw")], [posted_late], all_entries=False)) == 1
    missing = posting("deposit", signature="new", at_s=NOW_S)
    lines = joined([entry("withdraw", at_s=LATE_S)], [missing], all_entries=False)
    assert [line.ledger for line in lines] == [Ledger.LEDGER_ONLY, Ledger.CHAIN_ONLY]


def test_a_posting_that_was_taken_back_counts_for_nothing() -> None:
    wrong = posting("refund", transfer_id="refund:1")
    back = posting("reversal", -5, transfer_id="reversal:refund:1")
    (line,) = joined([entry("settle")], [posting("settle"), back, wrong])
    assert line.ledger is Ledger.POSTED


def test_the_steps_of_a_job_within_a_second_are_in_their_order() -> None:
    mixed = [
        entry(kind, signature=kind)
        for kind in ("open", "settle", "authorize", "claim", "withdraw", "deposit")
    ]
    kinds = [line.kind for line in joined(mixed, [])]
    assert [kind for kind in kinds if kind in ("open", "settle", "claim")] == ["settle", "claim", "open"]
    assert [kind for kind in kinds if kind in ("authorize", "withdraw", "deposit")] == [
        "authorize",
        "withdraw",
        "deposit",
    ]


def test_every_instruction_has_a_word() -> None:
    seen = {"deposit", "withdraw", "authorize", "revoke", "open", "top_up", "assign", "claim", "dispute"}
    seen |= {"settle", "resolve", "finalize", "cancel", "refund", "reclaim", "close"}
    assert seen <= {tag.name.lower() for tag in Tag}
    assert seen <= set(KIND_WORDS)
    assert len(set(KIND_WORDS.values())) == len(KIND_WORDS)


kinds = st.sampled_from(["deposit", "withdraw", "open", "settle", "refund", "claim", "authorize"])
times = st.integers(NOW_S - 100, NOW_S)


@given(
    st.lists(st.tuples(kinds, st.integers(0, 3), st.sampled_from("abc"), times), max_size=12),
    st.lists(
        st.tuples(
            st.sampled_from(["deposit", "withdraw", "open", "settle", "refund"]),
            st.integers(1, 3),
            st.sampled_from("abc"),
            times,
        ),
        max_size=12,
    ),
)
def test_nothing_is_lost_and_the_newest_is_first(
    on_chain: list[tuple[str, int, str, int]], in_ledger: list[tuple[str, int, str, int]]
) -> None:
    entries = sorted((entry(*each) for each in on_chain), key=lambda each: each.time_s or 0, reverse=True)
    postings = [posting(*each, transfer_id=str(number)) for number, each in enumerate(in_ledger)]
    lines = joined(entries, postings)
    times_s = [line.at_s or 0 for line in lines]
    assert times_s == sorted(times_s, reverse=True)
    alone = [line for line in lines if line.ledger is Ledger.LEDGER_ONLY]
    both = [line for line in lines if line.ledger in (Ledger.POSTED, Ledger.DIFFERS)]
    assert len(lines) - len(alone) == len(entries)
    assert len(alone) + len(both) == len(postings)
    assert sorted(line.units for line in lines if line not in alone) == sorted(each.units for each in entries)


def test_dollars_are_never_a_guess() -> None:
    assert usd_of(2_500_000, Asset.USDC, None) == 2_500_000
    assert usd_of(1_500_000_000, Asset.SOL, 150_000_000) == 225_000_000
    assert usd_of(1_500_000_000, Asset.SOL, None) is None
    assert usd_of(1, Asset.SOL, 150_000_000) == 0
