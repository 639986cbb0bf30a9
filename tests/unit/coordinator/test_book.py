"""From calls on chain to transfers, whatever the order in which they are heard of."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from coordinator.domain import ledger as rules
from coordinator.domain.book import Book, Known, Pot, Reading
from coordinator.domain.ledger import Cause, Escrow, Kind, Payees
from p2p.chain.instructions import Tag
from p2p.chain.movements import Landing, Movement
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset

BUYER, NODE, OWNER, LATER = (Wallet(name * 40) for name in "BNOL")
JOB = JobId("0" * 32)
USDC = Asset.USDC
ESCROW = Escrow(BUYER, JOB, USDC)


def known(**traits: Any) -> Known:
    return Known(**{"pots": {}, "units": {}, "posted": set(), "fees": [], "live": {}} | traits)


def landing(name: str, *movements: Movement, slot: int = 1) -> Landing:
    return Landing(name, slot, 50, movements)


def deposit(units: int, who: Wallet = BUYER) -> Movement:
    return Movement(Tag.DEPOSIT, USDC, who, units)


def opening(units: int, fee_bps: int | None = 1000) -> Movement:
    return Movement(Tag.OPEN, USDC, BUYER, units, "addr", JOB, fee_bps=fee_bps)


def payment(tag: Tag, units: int = 0, fee_owner: Wallet = OWNER) -> Movement:
    return Movement(tag, USDC, BUYER, units, "addr", None, NODE, fee_owner)


TOP_UP = Movement(Tag.TOP_UP, USDC, BUYER, 30, "addr")
CLAIM = Movement(Tag.CLAIM, units=50, job="addr")


def read(*landings: Landing, **traits: Any) -> Reading:
    return Book(known(**traits), 60.0).read(landings)


def holdings(reading: Reading) -> dict[str, int]:
    sums: dict[str, int] = {}
    for transfer in reading.transfers:
        for line in transfer.lines:
            sums[line.account] = sums.get(line.account, 0) + line.units
    return {account: units for account, units in sums.items() if units}


def test_a_verdict_divides_what_the_escrow_holds() -> None:
    """A deposit that the owner topped up: the rest goes back, not only that of the first amount."""
    reading = read(
        landing("a", deposit(100), opening(60)),
        landing("b", TOP_UP),
        landing("c", payment(Tag.SETTLE, 50)),
    )
    assert holdings(reading) == {
        "chain": -100,
        rules.user(BUYER): 50,
        rules.user(NODE): 45,
        rules.user(OWNER): 5,
    }


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_the_order_in_which_things_are_heard_of_does_not_matter(order: tuple[int, ...]) -> None:
    history = [
        landing("a", deposit(100)),
        landing("b", opening(60)),
        landing("c", TOP_UP),
        landing("d", CLAIM),
        landing("e", payment(Tag.FINALIZE)),
    ]
    reading = read(*(history[number] for number in order))
    assert reading.unexplained == {}
    assert holdings(reading) == {
        "chain": -100,
        rules.user(BUYER): 50,
        rules.user(NODE): 45,
        rules.user(OWNER): 5,
    }


def test_several_verdicts_in_one_transaction_are_posted_one_by_one() -> None:
    ids = [JobId(f"{number:032x}") for number in range(3)]
    pots = {
        f"addr{number}": Pot(f"addr{number}", Escrow(BUYER, job_id, USDC), 0)
        for number, job_id in enumerate(ids)
    }
    units = {(pot.escrow.account, USDC): 10 for pot in pots.values()}
    movements = [
        Movement(Tag.SETTLE, USDC, BUYER, 4, f"addr{number}", None, NODE, OWNER) for number in range(3)
    ]
    reading = read(landing("s", *movements), pots=pots, units=units)
    assert [transfer.transfer_id for transfer in reading.transfers] == [
        "settle:s",
        "settle:s:2",
        "settle:s:3",
    ]
    assert {transfer.signature for transfer in reading.transfers} == {"s"}
    assert holdings(reading)[rules.user(NODE)] == 12


def test_a_job_pays_the_fee_and_the_owner_of_its_opening() -> None:
    reading = read(
        landing("f", Movement(Tag.INIT_CONFIG, fee_bps=1000), slot=1),
        landing("a", deposit(100), opening(100, fee_bps=None), slot=2),
        landing("g", Movement(Tag.SET_CONFIG, fee_bps=2000), slot=3),
        landing("c", payment(Tag.SETTLE, 100, fee_owner=LATER), slot=4),
    )
    assert holdings(reading) == {"chain": -100, rules.user(NODE): 90, rules.user(LATER): 10}


@pytest.mark.parametrize("tag", [Tag.CANCEL, Tag.REFUND, Tag.RECLAIM])
def test_whoever_gives_it_back_everything_goes_back(tag: Tag) -> None:
    back = Movement(tag, USDC, BUYER, 0, "addr")
    reading = read(landing("a", deposit(100), opening(60)), landing("b", TOP_UP), landing("c", back))
    assert holdings(reading) == {"chain": -100, rules.user(BUYER): 100}
    assert [transfer.kind for transfer in reading.transfers][-1] is Kind.REFUND


def test_top_ups_that_are_heard_of_after_the_verdict_go_back_one_by_one() -> None:
    """The verdict divided what was known of; whatever else was in the escrow was nobody's but the buyer's."""
    known_of = read(landing("a", deposit(100), opening(40)), landing("c", payment(Tag.SETTLE, 40)))
    verdict = known_of.transfers[-1]
    traits: dict[str, Any] = {"pots": known_of.pots, "units": {(rules.user(BUYER), USDC): 60}}
    first = read(landing("d", TOP_UP), **traits, live={(ESCROW.account, True): verdict})
    assert [(t.kind, t.version) for t in first.transfers] == [(Kind.TOP_UP, 0), (Kind.REFUND, 1)]
    again = read(landing("e", TOP_UP), **traits, live={(ESCROW.account, True): first.transfers[-1]})
    assert [(t.kind, t.version) for t in again.transfers] == [(Kind.TOP_UP, 0), (Kind.REFUND, 2)]
    assert holdings(first) == holdings(again) == {}


def test_what_is_posted_already_is_not_posted_again() -> None:
    first = landing("a", deposit(100), opening(60))
    posted = {transfer.transfer_id for transfer in read(first).transfers}
    pot = Pot("addr", ESCROW, 1000)
    units = {(ESCROW.account, USDC): 60, (rules.user(BUYER), USDC): 40}
    again = read(first, first, landing("c", payment(Tag.SETTLE, 60)), posted=posted, units=units)
    assert [transfer.kind for transfer in again.transfers] == [Kind.SETTLE]
    assert again.pots == {"addr": pot}


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (landing("x", payment(Tag.SETTLE, 5)), "opening is not known"),
        (landing("x", CLAIM), "opening is not known"),
        (landing("x", TOP_UP), "opening is not known"),
        (landing("x", Movement(Tag.WITHDRAW, USDC, BUYER, 5)), "more left user:"),
        (landing("x", deposit(10), opening(10), payment(Tag.FINALIZE)), "claim"),
        (landing("x", deposit(10), opening(10), payment(Tag.SETTLE, 11)), "holds 10"),
        (landing("x", deposit(10), opening(10, None), payment(Tag.SETTLE, 1)), "fee is not known"),
    ],
    ids=["settle", "claim", "top-up", "withdraw", "finalize", "used-too-much", "fee"],
)
def test_what_cannot_be_explained_is_left_out_whole_and_holds_up_nothing(last: Landing, words: str) -> None:
    reading = read(last, landing("a", deposit(7, NODE)))
    assert holdings(reading) == {"chain": -7, rules.user(NODE): 7}
    assert words in reading.unexplained["x"]
    assert reading.pots == {}


def test_a_posting_that_the_chain_does_not_bear_out_is_taken_back_first() -> None:
    """An opening and a verdict that an older ledger posted without knowing the transactions."""
    cause = Cause("", None, 1)
    old = [rules.open_job(ESCROW, 60, cause), rules.settle(ESCROW, 60, 50, Payees(NODE, OWNER, 0), cause)]
    live = {(ESCROW.account, False): old[0], (ESCROW.account, True): old[1]}
    units = {(rules.user(BUYER), USDC): 50, (rules.user(NODE), USDC): 50}
    reading = read(landing("a", opening(60)), landing("b", payment(Tag.SETTLE, 50)), live=live, units=units)
    assert [(t.kind, t.version) for t in reading.transfers] == [
        (Kind.REVERSAL, 0),
        (Kind.OPEN, 1),
        (Kind.REVERSAL, 0),
        (Kind.SETTLE, 1),
    ]
    assert holdings(reading) == {rules.user(NODE): -5, rules.user(OWNER): 5}


def test_another_token_is_none_of_the_ledgers_business() -> None:
    assert read(landing("a", Movement(Tag.DEPOSIT, None, BUYER, 5))).transfers == []
