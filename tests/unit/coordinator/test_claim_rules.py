"""When finished work is claimed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.claims import claim_due_s
from p2p.core.agreement import run_limit_s
from p2p.core.limits import CLAIM_AFTER_S, CLAIM_MARGIN_S

LONGEST_S = 14 * 24 * 3600
times = st.floats(0, 1e9)


def test_ordinarily_after_the_patience() -> None:
    assert claim_due_s(1000.0, 900.0, 3600, LONGEST_S) == 1000.0 + CLAIM_AFTER_S
    assert claim_due_s(1000.0, 900.0, 3600, LONGEST_S, 5.0) == 1005.0


def test_sooner_when_the_deadline_is_near() -> None:
    deadline_s = 900.0 + run_limit_s(3600, LONGEST_S)
    assert claim_due_s(deadline_s - 2000, 900.0, 3600, LONGEST_S) == deadline_s - CLAIM_MARGIN_S
    assert claim_due_s(deadline_s - 60, 900.0, 3600, LONGEST_S) == deadline_s - 60


@given(times, st.floats(0, 1e6), st.integers(10, 86_400))
def test_never_before_it_waits_nor_later_than_the_patience(
    assigned_s: float, took_s: float, timeout_s: int
) -> None:
    waits_s = assigned_s + took_s
    due_s = claim_due_s(waits_s, assigned_s, timeout_s, LONGEST_S)
    assert waits_s <= due_s <= waits_s + CLAIM_AFTER_S
    deadline_s = assigned_s + run_limit_s(timeout_s, LONGEST_S)
    assert due_s <= max(waits_s, deadline_s - CLAIM_MARGIN_S)
