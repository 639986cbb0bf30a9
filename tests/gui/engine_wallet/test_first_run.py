"""The first steps without a window."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from engine_gui.choices import free_folder
from engine_gui.first_run import Facts, FirstRun, Step, StepState, facts, sample_asset
from p2p.core.money import Asset
from tests.gui.engine_wallet.answers import balance, job

NOTHING = Facts()
ALL = Facts(True, True, True, True)


def test_facts_are_read_from_what_there_is() -> None:
    assert facts(False, None, []) == NOTHING
    assert facts(True, balance(0), []) == Facts(True, True, False, False)
    assert facts(True, balance(), [job(stage="quoted")]) == Facts(True, True, True, False)
    assert facts(True, balance(0), [job()]) == Facts(True, True, True, True), "what a job holds was deposited"


def test_one_step_comes_after_the_other() -> None:
    run = FirstRun()
    order = []
    known = NOTHING
    for known in (NOTHING, Facts(True), Facts(True, True), Facts(True, True, True), ALL):
        order.append(run.current(known))
    assert order == [Step.NETWORK, Step.WALLET, Step.DEPOSIT, Step.SAMPLE, None]
    assert not run.wants_to_be_shown(known)


def test_what_needs_another_step_says_which() -> None:
    run = FirstRun()
    assert [run.state(step, NOTHING) for step in Step] == [
        StepState.OPEN, StepState.LOCKED, StepState.LOCKED, StepState.LOCKED,
    ]  # fmt: skip
    assert run.missing(Step.SAMPLE, Facts(True, True)) is Step.DEPOSIT
    assert run.missing(Step.SAMPLE, ALL) is None


def test_steps_are_skipped_and_taken_up_again() -> None:
    run = FirstRun().skip(Step.NETWORK).skip(Step.WALLET)
    assert run.current(NOTHING) is Step.DEPOSIT
    again = run.go_to(Step.WALLET)
    assert again.current(NOTHING) is Step.WALLET
    assert again.state(Step.WALLET, Facts(True)) is StepState.OPEN
    assert again.go_on().current(Facts(True, True)) is Step.DEPOSIT


def test_who_leaves_is_left_alone_until_they_ask() -> None:
    run = FirstRun().leave()
    assert not run.wants_to_be_shown(NOTHING)
    assert run.resume().wants_to_be_shown(NOTHING)


@pytest.mark.parametrize("chosen", list(product((False, True), repeat=len(Step))))
@pytest.mark.parametrize("left", [False, True])
def test_what_is_kept_comes_back(chosen: tuple[bool, ...], left: bool) -> None:
    run = FirstRun()
    for step, skipped in zip(Step, chosen, strict=True):
        run = run.skip(step) if skipped else run
    run = run.leave() if left else run
    assert FirstRun.load(run.dump()) == run


def test_nonsense_that_was_kept_is_nothing() -> None:
    assert FirstRun.load("\x00 wallets {}") == FirstRun()


def test_the_sample_is_paid_with_what_there_is() -> None:
    assert sample_asset(Asset.USDC, None) is Asset.USDC
    assert sample_asset(Asset.USDC, balance()) is Asset.USDC
    assert sample_asset(Asset.USDC, balance(0, 5)) is Asset.SOL
    assert sample_asset(Asset.SOL, balance(5, 0)) is Asset.USDC


def test_results_get_a_folder_of_their_own(tmp_path: Path) -> None:
    assert free_folder(tmp_path, "sample") == tmp_path / "sample"
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample-2").mkdir()
    assert free_folder(tmp_path, "sample") == tmp_path / "sample-3"
