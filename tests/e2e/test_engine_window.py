"""The buyer's window from nothing: it starts a network, makes a wallet, deposits and runs the sample, as a
person would by typing and pressing; everything behind it is the real thing."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from engine_gui.app import make_window
from engine_gui.first_run_page import FirstRunPage
from engine_gui.job_page import JobPage
from engine_gui.wallet_page import WalletPage
from gui_kit.connect_wallet import Way
from gui_kit.frame import Frame
from gui_kit.phrase import PhraseDialog
from gui_kit.preferences import Preferences
from gui_kit.theme import Mode, theme
from gui_kit.toast import Toast
from gui_kit.wallet_dialog import WalletDialog
from p2p.core.money import Asset, format_amount
from p2p.core.paths import Home
from p2p.engine import local_network
from p2p.engine.client import EngineClient

pytestmark = [pytest.mark.docker, pytest.mark.process, pytest.mark.timeout(900)]
PASSWORD = "correct horse battery"  # noqa: S105
SOON_MS, LATER_MS = 60_000, 420_000


@pytest.fixture
def home() -> Iterator[Home]:
    made = Home(Path(tempfile.mkdtemp(prefix="cyxwiz-window-")))
    yield made
    trio.run(local_network.down, made, lambda text: None)
    shutil.rmtree(made.root)


@pytest.fixture
def frame(home: Home, qapp: object, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Frame]:
    monkeypatch.setenv("CYXWIZ_HOME", str(home.root))
    theme().install(qapp, Mode.LIGHT)  # type: ignore[arg-type]
    home.engine.folder.mkdir(parents=True, mode=0o700)
    preferences = Preferences(home.engine.folder / "window.ini")
    preferences.set("out_folder", str(home.root / "results"))
    made = make_window(home, preferences)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitActive(made)
    yield made
    made.close()


def texts(widget: QWidget) -> list[str]:
    return [found.text() for found in widget.findChildren(QLabel) if found.isVisible()]


def write(qtbot: QtBot, line: QLineEdit, text: str) -> None:
    line.setFocus()
    qtbot.keyClicks(line, text)


def press(qtbot: QtBot, button: QPushButton) -> None:
    qtbot.waitUntil(lambda: button.isVisible() and button.isEnabled(), timeout=SOON_MS)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def see(qtbot: QtBot, widget: QWidget, text: str, timeout: int = SOON_MS) -> None:
    qtbot.waitUntil(lambda: text in texts(widget), timeout=timeout)


def make_wallet(frame: Frame, page: FirstRunPage, qtbot: QtBot) -> None:
    form = page.wallet
    form.ways[Way.CREATE].click()
    write(qtbot, form.new_password.line, PASSWORD)
    write(qtbot, form.again.line, PASSWORD)
    press(qtbot, form.connect_button)
    qtbot.waitUntil(lambda: bool(form.findChildren(PhraseDialog)), timeout=SOON_MS)
    (words,) = form.findChildren(PhraseDialog)
    qtbot.waitActive(words)
    numbered = [text.split(".  ") for text in texts(words) if ".  " in text]
    paper = {int(number): word for number, word in numbered}
    assert len(paper) == 24
    press(qtbot, words.written)
    for field, place in zip(words.fields, words.places, strict=True):
        write(qtbot, field.line, paper[place])
    press(qtbot, words.confirm)
    see(qtbot, page, "3 of 4 · Put money into escrow")


def deposit(frame: Frame, page: FirstRunPage, qtbot: QtBot) -> None:
    for asset in (Asset.SOL, Asset.USDC):
        press(qtbot, page.deposit.faucets[asset])
    see(qtbot, page, "100.000000 USDC")
    see(qtbot, page, "1.000000000 SOL")
    write(qtbot, page.deposit.form.amount.line, "20")
    press(qtbot, page.deposit.deposit)
    qtbot.waitUntil(lambda: any(d.isVisible() for d in frame.findChildren(WalletDialog)), timeout=SOON_MS)
    dialog = next(d for d in frame.findChildren(WalletDialog) if d.isVisible())
    qtbot.waitActive(dialog)
    write(qtbot, dialog.password.line, "a wrong password")
    press(qtbot, dialog.yes)
    press(qtbot, dialog.again)
    write(qtbot, dialog.password.line, PASSWORD)
    press(qtbot, dialog.yes)
    see(qtbot, page, "4 of 4 · Run a sample job")


def test_from_nothing_to_verified_results(frame: Frame, home: Home, qtbot: QtBot) -> None:
    page = frame.page()
    assert isinstance(page, FirstRunPage)
    press(qtbot, page.network.local)
    see(qtbot, page, "2 of 4 · Connect your wallet", LATER_MS)
    make_wallet(frame, page, qtbot)
    deposit(frame, page, qtbot)
    press(qtbot, page.sample.prepare)
    press(qtbot, page.sample.run)
    qtbot.waitUntil(lambda: isinstance(frame.page(), JobPage), timeout=SOON_MS)
    opened = frame.page()
    assert isinstance(opened, JobPage)
    told = "train: its results are here and verified."
    qtbot.waitUntil(lambda: told in [t.label.text() for t in frame.findChildren(Toast)], timeout=LATER_MS)
    qtbot.waitUntil(lambda: bool(list((home.root / "results").glob("sample/cost.json"))), timeout=LATER_MS)
    cost = json.loads((home.root / "results" / "sample" / "cost.json").read_text())
    left = format_amount(20_000_000 - cost["used_units"], Asset.USDC)
    frame.go_to("Wallet")
    wallet = frame.page()
    assert isinstance(wallet, WalletPage)
    see(qtbot, wallet, left, LATER_MS)
    qtbot.waitUntil(lambda: wallet.history.table.shown.rowCount() >= 3, timeout=SOON_MS)
    found = trio.run(EngineClient(home).call, "wallet_balance")
    usdc = next(entry for entry in found["assets"] if entry["asset"] == "usdc")
    assert usdc["escrow_units"] == 20_000_000 - cost["used_units"], "to the unit"
