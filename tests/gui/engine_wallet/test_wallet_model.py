"""What the wallet's pages compute from the agent's answers."""

from __future__ import annotations

import pytest

from engine_gui.wallet_acts import deposit_act, renew_act, revoke_act, withdraw_act
from engine_gui.wallet_model import (
    available_text,
    balances,
    history_rows,
    session_look,
    session_rows,
    unknown_text,
)
from p2p.core.money import Asset
from p2p.engine.cli_wallet import wallet
from tests.gui.engine_wallet.answers import AT_S, balance, entry, history, job, sessions


def test_balances_are_available_held_and_outside() -> None:
    jobs = [job(), job("a" * 32, stage="quoted"), job("b" * 32, final=True), job("c" * 32, asset="sol")]
    usdc, sol = balances(balance(sol=3), jobs)
    assert (usdc.asset, usdc.available_units, usdc.held_units) == (Asset.USDC, 18_500_000, 1_500_000)
    assert (usdc.wallet_units, usdc.spend_units) == (73_250_000, 18_500_000)
    assert usdc.spend_words.startswith("18.500000 USDC until ")
    assert (sol.asset, sol.held_units, sol.spend_words) == (Asset.SOL, 1_500_000, "Nothing yet")


def test_the_status_bar_says_what_can_be_spent() -> None:
    assert available_text(balance()) == "Available: 18.500000 USDC"
    assert available_text(balance(0)) == "Available: 0.000000 USDC"
    assert available_text(balance(1, 2)) == "Available: 0.000001 USDC · 0.000000002 SOL"
    assert unknown_text("not_logged_in") == "No wallet is connected"
    assert unknown_text("rpc_unreachable") == "Balance not known"


def test_history_reads_like_a_statement() -> None:
    rows = history_rows(history())
    assert [row.what for row in rows] == [
        "Job settled, rest back", "Job opened", "Session key allowed", "Deposit",
    ]  # fmt: skip
    assert (rows[0].amount, rows[0].dollars, rows[0].job) == ("1.493333 USDC", "$1.493333", "train.py")
    assert (rows[2].amount, rows[2].dollars, rows[2].ledger) == ("", "", "")


def test_rows_of_one_transaction_are_told_apart_and_links_are_https_only() -> None:
    twice = history_rows([entry(), entry(explorer="javascript:alert(1)"), entry(explorer=None, at_s=None)])
    assert len({row.key for row in twice}) == 3
    assert [bool(row.explorer) for row in twice] == [True, False, False]


def test_session_keys_say_whose_they_are_and_whether_they_ended() -> None:
    here, other = session_rows(sessions(), AT_S + 1)
    assert (here.here, here.ended, session_look(here).word) == (True, False, "May spend")
    assert (other.here, other.ended, session_look(other).word) == (False, True, "Ended")
    (strange,) = session_rows([{**sessions()[0], "asset": None}], AT_S)
    assert (strange.asset, strange.remaining) == ("?", "18500000")


@pytest.mark.parametrize(
    "act",
    [
        deposit_act(2_500_000, Asset.USDC, 1),
        withdraw_act(1, Asset.SOL, 1),
        renew_act(Asset.USDC, None, 30),
        renew_act(Asset.SOL, 5, 7),
        revoke_act("Sess1234", here=True),
    ],
    ids=lambda act: act.arguments[1],
)
def test_every_act_is_a_command_of_the_command_line(act) -> None:  # type: ignore[no-untyped-def]
    program, *arguments = act.arguments
    assert program == "wallet"
    context = wallet.make_context("wallet", list(arguments), resilient_parsing=False)
    group, name, rest = wallet, *arguments[:1], arguments[1:]
    while (command := group.get_command(context, name)) is not None and hasattr(command, "commands"):
        group, name, rest = command, rest[0], rest[1:]  # type: ignore[assignment]
    assert command is not None
    parsed = command.make_context(name, list(rest), parent=context).params
    assert (parsed["yes"], parsed["as_json"]) == (True, True)


def test_amounts_are_said_to_the_last_unit() -> None:
    act = withdraw_act(2_500_000, Asset.USDC, 18_500_001)
    assert act.question == "Withdraw 2.500000 USDC?"
    assert act.arguments[2] == "2.500000"
    assert act.consequences[1] == ("Available for jobs after it", "16.000001 USDC")
