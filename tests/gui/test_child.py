"""What a wallet signs from a window: the real commands, in a home of their own, before a scripted agent."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PyQt6 import sip
from PyQt6.QtCore import QObject, Qt
from PyQt6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from gui_kit import audit
from gui_kit.child import Child, read_error
from gui_kit.phrase import PhraseDialog
from gui_kit.theme import Mode
from gui_kit.wallet_dialog import Signer, WalletAct, WalletDialog
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused, UserError
from p2p.core.paths import Home
from p2p.core.wallet_choice import WalletKind
from p2p.testing.scripted_agent import ScriptedAgent

CLI = "p2p.engine.cli"
PASSWORD, OTHER = "correct horse battery", "staple pony plum"
LOGIN = WalletAct(
    "Log in?", "This computer may then pay for jobs.", "Log in", ("login", "--keystore", "--json")
)
CONFIG = """
[coordinator]
address = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWExample"
[chain]
cluster = "localnet"
rpc_url = ["http://127.0.0.1:9"]
program_id = "11111111111111111111111111111111"
usdc_mint = "11111111111111111111111111111112"
"""
DEADLINE_MS = 60_000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "engine").mkdir(mode=0o700)
    (tmp_path / "config.toml").write_text(CONFIG)
    return Home(tmp_path)


@pytest.fixture
def engine(home: Home) -> Iterator[ScriptedAgent]:
    agent = ScriptedAgent(home.engine.socket)
    agent.answers |= {"login_challenge": {"text": "x"}, "session_limits": {"days": 30, "allow": {}}}
    agent.start()
    yield agent
    agent.stop()


class Outcome(QObject):
    """How a child ended."""

    def __init__(self, child: Child) -> None:
        super().__init__()
        self.printed: str | None = None
        self.error: CyxWizError | None = None
        self.cancelled = False
        child.succeeded.connect(lambda text: setattr(self, "printed", text))
        child.failed.connect(lambda error: setattr(self, "error", error))
        child.cancelled.connect(lambda: setattr(self, "cancelled", True))

    @property
    def is_there(self) -> bool:
        return self.cancelled or self.printed is not None or self.error is not None


def run(qtbot: QtBot, home: Home, *arguments: str, secrets: tuple[str, ...] = ()) -> Outcome:
    receiver = QObject()
    outcome = Outcome(Child(receiver, home.root, CLI, arguments, secrets))
    qtbot.waitUntil(lambda: outcome.is_there, timeout=DEADLINE_MS)
    return outcome


@pytest.fixture
def keystore(qtbot: QtBot, home: Home) -> str:
    """The words of a wallet that was made in the home."""
    outcome = run(qtbot, home, "wallet", "create", "--yes", secrets=(PASSWORD,))
    assert outcome.printed is not None, outcome.error
    return outcome.printed.splitlines()[0]


def test_a_keystore_is_made_and_nothing_secret_is_left_behind(home: Home, keystore: str) -> None:
    assert len(keystore.split()) == 24
    assert stat.S_IMODE(home.engine.keystore.stat().st_mode) == 0o600
    for file in home.root.rglob("*"):
        if file.is_file():
            assert PASSWORD.encode() not in file.read_bytes()
            assert keystore.split()[0].encode() + b" " not in file.read_bytes()


def test_what_a_command_refuses_comes_in_three_parts(qtbot: QtBot, home: Home, keystore: str) -> None:
    twice = run(qtbot, home, "wallet", "create", "--yes", secrets=(PASSWORD,)).error
    assert isinstance(twice, UserError)
    assert twice.what.startswith("There is a keystore at")
    assert twice.meaning
    assert twice.hint
    weak = run(qtbot, home, "wallet", "create", "--keystore", str(home.root / "x"), "--yes", secrets=("1",))
    assert weak.error is not None
    assert "A password has" in weak.error.what
    usage = run(qtbot, home, "wallet", "nonsense").error
    assert isinstance(usage, UserError)
    assert usage.what == "No such command 'nonsense'."


@pytest.mark.parametrize(
    ("stderr", "code", "kind", "lines"),
    [
        ("error: No.\n  Nothing moved.\n  Wait.\n", 4, Refused, ("No.", "Nothing moved.", "Wait.")),
        ("starting\nerror: No.\n  Wait.\n", 3, EnvironmentFailure, ("No.", "Wait.")),
        ("", 1, CyxWizError, ("The command ended without a word.",)),
    ],
)
def test_errors_are_read_as_they_were_printed(
    stderr: str, code: int, kind: type[CyxWizError], lines: tuple[str, ...]
) -> None:
    error = read_error(stderr, code)
    assert (type(error), error.lines()) == (kind, lines)


def test_a_command_that_does_not_end_is_cancelled(
    qtbot: QtBot, home: Home, engine: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that waits for a wallet page that nobody looks at."""
    opened = home.root / "opened"
    browser = home.root / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(browser))
    monkeypatch.delenv("DISPLAY", raising=False)
    receiver = QObject()
    child = Child(receiver, home.root, CLI, ("login", "--browser", "--json"))
    outcome = Outcome(child)
    qtbot.waitUntil(lambda: opened.exists() or outcome.is_there, timeout=DEADLINE_MS)
    assert outcome.error is None
    child.cancel()
    qtbot.waitUntil(lambda: outcome.cancelled, timeout=DEADLINE_MS)


def test_it_ends_with_its_receiver(qtbot: QtBot, home: Home) -> None:
    receiver = QObject()
    child = Child(receiver, home.root, CLI, ("wallet", "balance"))
    process = child._process
    qtbot.waitUntil(lambda: process.processId() > 0)
    receiver.deleteLater()
    qtbot.waitUntil(lambda: gone(process))


def gone(thing: Any) -> bool:
    return bool(sip.isdeleted(thing))


@pytest.fixture
def parent(qtbot: QtBot) -> QWidget:
    made = QWidget()
    made.resize(800, 600)
    qtbot.addWidget(made)
    made.show()
    return made


def open_dialog(qtbot: QtBot, parent: QWidget, home: Home, done: list[Any]) -> WalletDialog:
    dialog = WalletDialog(parent, Signer(home.root, CLI, WalletKind.KEYSTORE), LOGIN, done.append)
    dialog.open()
    qtbot.waitActive(dialog)
    return dialog


def test_a_wrong_password_is_said_and_can_be_mended(
    qtbot: QtBot, parent: QWidget, home: Home, engine: ScriptedAgent, keystore: str
) -> None:
    done: list[Any] = []
    dialog = open_dialog(qtbot, parent, home, done)
    assert dialog.focusWidget() is dialog.password.line
    assert audit.problems(dialog) == []
    qtbot.keyClick(dialog.password.line, Qt.Key.Key_Return)
    assert dialog.password.problem == "Type the password."
    qtbot.keyClicks(dialog.password.line, OTHER)
    qtbot.keyClick(dialog.password.line, Qt.Key.Key_Return)
    assert dialog.is_waiting
    assert dialog.password.line.text() == ""
    assert audit.problems(dialog) == []
    qtbot.waitUntil(lambda: not dialog.is_waiting, timeout=DEADLINE_MS)
    assert dialog.again.isVisible()
    assert "password" in dialog._problem.text()
    assert audit.problems(dialog) == []
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert dialog.password.isVisible()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert done == []


def test_the_right_password_reaches_the_agent(
    qtbot: QtBot, parent: QWidget, home: Home, engine: ScriptedAgent, keystore: str
) -> None:
    """What the scripted agent gives to sign is no login text, and the command says so."""
    dialog = open_dialog(qtbot, parent, home, [])
    qtbot.keyClicks(dialog.password.line, PASSWORD)
    qtbot.keyClick(dialog.password.line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not dialog.is_waiting, timeout=DEADLINE_MS)
    assert engine.count("login_challenge") == 1
    wallet = json.loads(home.engine.keystore.read_text())["address"]
    assert engine.asked[-1][1]["wallet"] == wallet


def test_the_words_are_asked_for(qtbot: QtBot, parent: QWidget, mode: Mode) -> None:
    words, confirmed = [f"word{n}" for n in range(1, 25)], []
    dialog = PhraseDialog(parent, words, lambda: confirmed.append(True))
    dialog.open()
    qtbot.waitActive(dialog)
    assert audit.problems(dialog) == []
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    for field, place in zip(dialog.fields, dialog.places, strict=True):
        qtbot.keyClicks(field.line, words[place - 1] if place != dialog.places[0] else "nonsense")
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert dialog.fields[0].problem == "That is another word."
    assert audit.problems(dialog) == []
    dialog.fields[0].line.clear()
    qtbot.keyClicks(dialog.fields[0].line, words[dialog.places[0] - 1].upper())
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert confirmed == [True]
