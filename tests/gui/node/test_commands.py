"""Money and logins: commands of ``cyxwiz-node`` that the window starts, the real ones; the tray; quitting."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui_kit import audit
from gui_kit.connect_wallet import Way
from gui_kit.theme import Mode
from node_gui.command import run_command
from node_gui.settings_page import SettingsPage
from node_gui.standing import OFF
from node_gui.tray import Tray
from node_gui.window import NodeWindow
from node_gui.withdraw_dialog import WithdrawDialog
from p2p.core.errors import CyxWizError
from p2p.core.paths import Home
from p2p.testing.node_answers import STATUS, WALLET
from p2p.testing.scripted_agent import ScriptedAgent

BALANCE = {
    "wallet": WALLET,
    "cluster": "localnet",
    "assets": [
        {"asset": "usdc", "decimals": 6, "escrow_units": 12_500_000, "wallet_units": 0},
        {"asset": "sol", "decimals": 9, "escrow_units": 0, "wallet_units": 7_000_000},
    ],
}
STAND_IN = """#!{python}
import json, os, sys
arguments = sys.argv[3:]
with open({log!r}, "a") as log:
    password = sys.stdin.readline() if "CYXWIZ_PASSWORD_FD" in os.environ else None
    print(json.dumps([arguments, password, os.environ.get("CYXWIZ_PASSWORD_FD")]), file=log)
answer = json.load(open({answers!r})).get(arguments[0])
if answer is None:
    sys.exit("error: The chain is away.\\n  Nothing was moved.\\n  Try again.")
print(json.dumps(answer))
"""


class StandIn:
    """A program in the place of Python, which notes how it was called: what a wallet signs is tested where
    the commands are, here only what the window hands to them."""

    def __init__(self, folder: Path) -> None:
        self.log, self._answers = folder / "called", folder / "answers.json"
        self.program = folder / "stand-in"
        self.program.write_text(
            STAND_IN.format(python=sys.executable, log=str(self.log), answers=str(self._answers))
        )
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)

    def answer(self, **answers: object) -> None:
        self._answers.write_text(json.dumps(answers))

    def calls(self) -> list[list[object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """What :class:`gui_kit.child.Child` starts."""
    made = StandIn(tmp_path)
    monkeypatch.setattr("gui_kit.child.sys.executable", str(made.program))
    return made


def dialog_of(window: NodeWindow, home: Home, status: dict[str, object], qtbot: QtBot) -> WithdrawDialog:
    dialog = WithdrawDialog(window, home, status)
    dialog.open()
    qtbot.waitExposed(dialog)
    return dialog


def test_a_real_command_answers_and_its_error_is_understood(home: Home, qtbot: QtBot) -> None:
    failed: list[CyxWizError] = []
    receiver = QObject()
    run_command(receiver, home, ("balance",), lambda answer: None, failed.append)
    qtbot.waitUntil(lambda: bool(failed), timeout=60_000)
    assert failed[0].what.startswith("[chain] rpc_url")


def test_withdrawing_says_what_it_does_and_then_does_it(
    window: NodeWindow, home: Home, commands: StandIn, mode: Mode, qtbot: QtBot
) -> None:
    moved = {"asset": "usdc", "units": 2_500_000, "signature": "5VERv8NMvzbJMEkV8xnrLkEa"}
    commands.answer(balance=BALANCE, withdraw={"withdrawn": [moved], **BALANCE})
    dialog = dialog_of(window, home, STATUS, qtbot)
    qtbot.waitUntil(lambda: dialog.yes.isEnabled(), timeout=20_000)
    assert audit.problems(dialog) == []
    dialog.amount.line.setText("20")
    dialog.withdraw()
    assert dialog.amount.problem == "There is less in escrow: 12.500000 USDC."
    assert audit.problems(dialog) == []
    dialog.everything.click()
    assert dialog.amount.text() == "12.500000"
    dialog.amount.line.setText("2.5")
    assert dialog.amount.validate()
    with qtbot.waitSignal(dialog.done_with, timeout=20_000) as told:
        dialog.withdraw()
    assert told.args == ["2.500000 USDC withdrawn, transaction 5VERv8NMvzbJMEkV…."]
    assert commands.calls()[-1] == [
        ["withdraw", "2.500000", "--asset", "usdc", "--yes", "--json"],
        None,
        None,
    ]


def test_a_password_goes_through_the_input_and_nowhere_else(
    window: NodeWindow, home: Home, commands: StandIn, qtbot: QtBot
) -> None:
    commands.answer(balance=BALANCE)
    payout = STATUS["payout"] | {"kind": "keystore", "file": "/k", "own": False}
    dialog = dialog_of(window, home, STATUS | {"payout": payout}, qtbot)
    qtbot.waitUntil(lambda: dialog.yes.isEnabled(), timeout=20_000)
    dialog.amount.line.setText("1")
    dialog.withdraw()
    assert dialog.password.problem
    dialog.password.line.setText(" a secret with ä ")
    dialog.withdraw()
    assert dialog.password.text() == ""
    qtbot.waitUntil(lambda: dialog.problem.isVisible(), timeout=20_000)
    assert dialog.problem.text() == "The chain is away.\nNothing was moved.\nTry again."
    arguments, password, descriptor = commands.calls()[-1]
    assert (password, descriptor) == (" a secret with ä \n", "0")
    assert "secret" not in json.dumps(arguments)
    assert not any("secret" in value for value in os.environ.values())


def test_another_wallet_is_logged_in(
    window: NodeWindow, home: Home, commands: StandIn, mode: Mode, qtbot: QtBot
) -> None:
    commands.answer(login={"wallet": WALLET})
    (home.node.folder / "wallet.json").touch()
    window.go_to("Settings")
    page = window.page()
    assert isinstance(page, SettingsPage)
    qtbot.waitUntil(lambda: page.is_ready and page.wallet.own.isVisible())
    panel = page.wallet
    panel.another.click()
    assert audit.problems(window) == []
    panel.connect_wallet.choose(Way.KEYPAIR)
    panel.connect_wallet.file.set_text("/w/key.json")
    with qtbot.waitSignal(panel.logged_in, timeout=20_000):
        panel.connect_wallet.submit()
    assert not panel.connect_wallet.isVisible()
    dialog = panel.pay_to_own()
    qtbot.waitExposed(dialog)
    assert audit.problems(dialog) == []
    with qtbot.waitSignal(panel.logged_in, timeout=20_000):
        dialog.yes.click()
    own = str(home.node.folder / "wallet.json")
    assert [arguments for arguments, _, _ in commands.calls()] == [
        ["login", "--keypair", "/w/key.json", "--json"],
        ["login", "--keypair", own, "--json"],
    ]


# -- the tray, and quitting


def test_the_tray_says_how_it_stands_and_does_what_one_wants(
    window: NodeWindow, node_agent: ScriptedAgent, qtbot: QtBot
) -> None:
    tray: Tray = window.tray
    assert not tray.is_shown, "the offscreen platform has no tray, and the window does without"
    qtbot.waitUntil(lambda: tray.state.text() == "Working")
    tray.pause.trigger()
    qtbot.waitUntil(lambda: ("pause", {"for_s": 3600}) in node_agent.asked)
    tray.finish.trigger()
    qtbot.waitUntil(lambda: ("switch", {"to": "finishing"}) in node_agent.asked)
    paused = STATUS["availability"] | {"reason": "paused", "takes": False, "paused_until_s": 2e9}
    node_agent.answers["status"] = STATUS | {"availability": paused, "jobs": []}
    qtbot.waitUntil(lambda: tray.state.text() == "Paused")
    assert tray.resume.isVisible()
    assert not tray.pause.isVisible()
    node_agent.stop()
    qtbot.waitUntil(lambda: tray.state.text() == "Not connected to the agent", timeout=20_000)
    assert not tray.resume.isEnabled()


def test_quitting_with_a_job_asks_what_shall_become_of_it(
    window: NodeWindow, node_agent: ScriptedAgent, mode: Mode, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    quits: list[str] = []
    monkeypatch.setattr(QApplication, "quit", lambda: quits.append("quit"))
    qtbot.waitUntil(lambda: bool(window.link.status.get("jobs")))
    question = window.tray.ask_to_quit()
    assert question is not None
    qtbot.waitExposed(question)
    assert audit.problems(question) == []
    question.no.click()
    assert quits == []
    question = window.tray.ask_to_quit()
    assert question is not None
    question.ways[OFF].setChecked(True)
    question.yes.click()
    qtbot.waitUntil(lambda: ("switch", {"to": "off"}) in node_agent.asked and quits == ["quit"])
    node_agent.answers["status"] = STATUS | {"jobs": []}
    qtbot.waitUntil(lambda: not window.link.status["jobs"])
    assert window.tray.ask_to_quit() is None
    assert quits == ["quit", "quit"]
