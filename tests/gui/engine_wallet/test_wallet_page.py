"""The wallet's pages in every way they can stand; with the keyboard; and what the wallet is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from engine_gui.deposit_form import DepositPage, WithdrawPage
from engine_gui.sessions_tab import RenewPage
from engine_gui.wallet_page import ConnectPage, WalletPage
from gui_kit import audit
from gui_kit.connect_wallet import Way
from gui_kit.frame import SMALLEST_SIZE, Frame
from gui_kit.theme import Mode
from gui_kit.wallet_dialog import WalletDialog
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.paths import Home
from p2p.testing.scripted_agent import ScriptedAgent
from tests.gui.engine_wallet.answers import WALLET, balance, entry, job, sessions

HOSTILE = "\x1b[2J<b>x</b>\u202e\x07"
NOBODY = Refused("not_logged_in", "Nobody is logged in.", "Nothing was moved.", "Log in.")
NO_CHAIN = EnvironmentFailure("rpc", "The network does not answer.", "Your money is safe.", "Wait.")
Open = Callable[[], Frame]
DEADLINE_MS = 60_000


def texts(widget: QWidget) -> list[str]:
    return [found.text() for found in widget.findChildren(QLabel) if found.isVisible()]


def wallet_page(frame: Frame, qtbot: QtBot) -> WalletPage:
    frame.go_to("Wallet")
    page = frame.page()
    assert isinstance(page, WalletPage)
    qtbot.waitUntil(lambda: page.is_ready)
    return page


@pytest.mark.parametrize("size", [SMALLEST_SIZE, (1120, 720)])
def test_it_shows_balances_history_and_keys(
    open_window: Open, qtbot: QtBot, mode: Mode, size: tuple[int, int]
) -> None:
    frame = open_window()
    frame.resize(*size)
    page = wallet_page(frame, qtbot)
    qtbot.waitUntil(lambda: page.history.table.shown.rowCount() == 4)
    amounts = {"18.500000 USDC", "1.500000 USDC", "73.250000 USDC"}
    qtbot.waitUntil(lambda: amounts <= set(texts(page)))
    assert audit.problems(frame) == []
    page.tabs.setCurrentIndex(1)
    qtbot.waitUntil(lambda: page.sessions.table.shown.rowCount() == 2)
    assert audit.problems(frame) == []
    assert "Available: 18.500000 USDC" in texts(frame)


def test_without_a_wallet_it_offers_to_connect_one(
    open_window: Open, engine: ScriptedAgent, qtbot: QtBot, mode: Mode
) -> None:
    engine.answers["wallet_balance"] = NOBODY
    frame = open_window()
    frame.go_to("Wallet")
    qtbot.waitUntil(lambda: "No wallet is connected." in texts(frame))
    assert "No wallet is connected" in texts(frame), "in the status bar"
    assert audit.problems(frame) == []
    engine.answers["wallet_balance"] = balance()
    frame.reload()
    page = frame.page()
    qtbot.waitUntil(lambda: page.is_ready)


def test_nothing_yet_error_and_stale_can_be_read(
    open_window: Open, engine: ScriptedAgent, qtbot: QtBot, mode: Mode
) -> None:
    engine.answers |= {"wallet_history": [], "wallet_sessions": [], "wallet_balance": balance(0)}
    frame = open_window()
    page = wallet_page(frame, qtbot)
    qtbot.waitUntil(lambda: any(text.startswith("Nothing has moved yet.") for text in texts(page)))
    assert audit.problems(frame) == []
    engine.answers |= {"wallet_history": NO_CHAIN, "wallet_sessions": NO_CHAIN}
    frame.reload()
    wanted = "The network does not answer.\nYour money is safe.\nWait."
    qtbot.waitUntil(lambda: wanted in texts(page))
    engine.answers["wallet_balance"] = NO_CHAIN
    frame.reload()
    qtbot.waitUntil(lambda: "The network does not answer." in texts(page))
    assert audit.problems(frame) == []
    engine.answers["wallet_balance"] = balance()
    frame.reload()
    qtbot.waitUntil(lambda: page.is_ready)
    page.set_stale(1_790_000_000.0)
    assert audit.problems(frame) == []


def test_an_agent_that_is_killed_and_comes_back(
    open_window: Open, engine: ScriptedAgent, qtbot: QtBot
) -> None:
    frame = open_window()
    page = wallet_page(frame, qtbot)
    engine.stop()
    qtbot.waitUntil(lambda: frame.banner.isVisible(), timeout=20_000)
    assert page.is_stale
    assert "18.500000 USDC" in texts(page), "what was known stays"
    engine.answers["wallet_balance"] = balance(19_000_000)
    engine.start()
    qtbot.waitUntil(lambda: "19.000000 USDC" in texts(page), timeout=20_000)
    assert not page.is_stale


def test_hostile_words_do_no_harm(open_window: Open, engine: ScriptedAgent, qtbot: QtBot) -> None:
    engine.answers["wallet_history"] = [
        entry(words=HOSTILE, job_name=HOSTILE, ledger_words=HOSTILE, job_id="a" * 32)
    ]
    engine.answers["wallet_sessions"] = [{**sessions()[0], "key": HOSTILE}]
    engine.answers["jobs"] = [job(name=HOSTILE)]
    frame = open_window()
    page = wallet_page(frame, qtbot)
    qtbot.waitUntil(lambda: page.history.table.shown.rowCount() == 1)
    cells = [str(page.history.table.shown.index(0, at).data()) for at in range(6)]
    assert all(cell.isprintable() for cell in cells)
    engine.answers["wallet_balance"] = EnvironmentFailure("x", HOSTILE, HOSTILE, HOSTILE)
    frame.reload()
    qtbot.waitUntil(lambda: not page.is_ready)
    assert all(text.replace("\n", "").isprintable() for text in texts(frame))
    assert audit.problems(frame) == []


def test_a_deposit_by_keyboard_is_checked_asked_and_signed(
    open_window: Open, engine: ScriptedAgent, qtbot: QtBot, mode: Mode
) -> None:
    """The real command asks the agent, which signs with the keypair file."""
    moved: list[dict[str, object]] = []

    def deposit(params: dict[str, object]) -> dict[str, object]:
        moved.append(params)
        engine.answers["wallet_balance"] = balance(20_500_000)
        return {"signature": "sig", **balance(20_500_000)}

    engine.stop()
    engine.answers["wallet_deposit"] = deposit
    engine.start()
    frame = open_window()
    page = wallet_page(frame, qtbot)
    page.deposit.setFocus()
    qtbot.keyClick(page.deposit, Qt.Key.Key_Space)
    opened = frame.page()
    assert isinstance(opened, DepositPage)
    form = opened.form.form
    qtbot.waitUntil(lambda: form.balance() is not None)
    assert audit.problems(frame) == []
    form.amount.line.setFocus()
    qtbot.keyClick(form.amount.line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: form.amount.problem == "Type an amount.")
    qtbot.keyClicks(form.amount.line, "100")
    qtbot.keyClick(form.amount.line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: form.amount.problem == "There are only 73.250000 USDC.")
    assert audit.problems(frame) == []
    form.amount.line.clear()
    qtbot.keyClicks(form.amount.line, "2")
    qtbot.keyClick(form.amount.line, Qt.Key.Key_Return)
    dialog = find_dialog(frame, qtbot)
    assert {"Deposit 2.000000 USDC?", "20.500000 USDC"} <= set(texts(dialog))
    assert audit.problems(dialog) == []
    qtbot.keyClick(dialog.yes, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "20.500000 USDC" in texts(page), timeout=DEADLINE_MS)
    assert moved == [{"asset": "usdc", "units": 2_000_000}]
    assert frame.page() is page


def find_dialog(frame: Frame, qtbot: QtBot) -> WalletDialog:
    def there() -> WalletDialog | None:
        return next((d for d in frame.findChildren(WalletDialog) if d.isVisible()), None)

    qtbot.waitUntil(lambda: there() is not None)
    dialog = there()
    assert dialog is not None
    qtbot.waitActive(dialog)
    return dialog


def test_a_withdrawal_takes_no_more_than_there_is(open_window: Open, qtbot: QtBot, mode: Mode) -> None:
    frame = open_window()
    page = wallet_page(frame, qtbot)
    page.withdraw.click()
    opened = frame.page()
    assert isinstance(opened, WithdrawPage)
    qtbot.waitUntil(lambda: opened.form.balance() is not None)
    opened.form.all.click()
    assert opened.form.amount.text() == "18.500000"
    opened.form.asset.setCurrentIndex(1)
    assert opened.form.amount.problem == "There are only 0.000000000 SOL."
    assert audit.problems(frame) == []


def test_a_key_is_ended_only_after_a_yes(
    open_window: Open, engine: ScriptedAgent, qtbot: QtBot, mode: Mode
) -> None:
    frame = open_window()
    page = wallet_page(frame, qtbot)
    page.tabs.setCurrentIndex(1)
    qtbot.waitUntil(lambda: page.sessions.table.shown.rowCount() == 2)
    page.sessions.table.select(sessions()[1]["key"])
    page.sessions.end.click()
    dialog = find_dialog(frame, qtbot)
    assert dialog.focusWidget() is dialog.no, "Enter alone does not say yes"
    assert audit.problems(dialog) == []
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    page.sessions.renew.click()
    opened = frame.page()
    assert isinstance(opened, RenewPage)
    qtbot.waitUntil(lambda: engine.count("session_limits") == 1)
    opened.days.set_text("90")
    opened.days.validate()
    assert opened.days.problem == "Type a whole number from 1 to 89."
    assert audit.problems(frame) == []


def test_the_history_is_saved_as_the_command_writes_it(
    open_window: Open, qtbot: QtBot, tmp_path: Path
) -> None:
    frame = open_window()
    page = wallet_page(frame, qtbot)
    qtbot.waitUntil(lambda: page.history.save.isEnabled())
    file = tmp_path / "history.csv"
    page.history.write_csv(file)
    qtbot.waitUntil(file.exists, timeout=DEADLINE_MS)
    lines = file.read_text().splitlines()
    assert lines[0] == "at,what,asset,units,amount,job,name,signature,explorer,usd,ledger"
    assert len(lines) == 5
    page.history.write_csv(tmp_path / "nowhere" / "history.csv")
    qtbot.waitUntil(lambda: any("cannot be written" in t for t in texts(frame)), timeout=DEADLINE_MS)


def test_a_job_of_the_history_is_opened(open_window: Open, qtbot: QtBot) -> None:
    frame = open_window()
    page = wallet_page(frame, qtbot)
    qtbot.waitUntil(lambda: page.history.table.shown.rowCount() == 4)
    assert not page.history.job.isEnabled()
    page.history.table.selectRow(0)
    assert page.history.job.isEnabled()
    qtbot.keyClick(page.history.table, Qt.Key.Key_Return)
    assert frame.page() is not page


def test_a_wallet_is_made_its_words_asked_for_and_connected(
    open_window: Open, engine: ScriptedAgent, home: Home, qtbot: QtBot
) -> None:
    """The real commands make the keystore and log in; the agent is scripted and has no login text."""
    from gui_kit.phrase import PhraseDialog

    frame = open_window()
    wallet_page(frame, qtbot).switch.click()
    opened = frame.page()
    assert isinstance(opened, ConnectPage)
    form = opened.form
    for way in (Way.BROWSER, Way.IMPORT, Way.KEYPAIR, Way.CREATE):
        form.choose(way)
        assert audit.problems(frame) == []
    form.submit()
    assert form.new_password.problem == "Choose a password."
    qtbot.keyClicks(form.new_password.line, "correct horse battery")
    form.submit()
    assert form.again.problem == "The two passwords differ."
    qtbot.keyClicks(form.again.line, "correct horse battery")
    qtbot.keyClick(form.again.line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(form.findChildren(PhraseDialog)), timeout=DEADLINE_MS)
    assert form.new_password.line.text() == form.again.line.text() == ""
    (words,) = form.findChildren(PhraseDialog)
    qtbot.waitActive(words)
    assert len(words._words) == 24
    assert home.engine.keystore.exists()
    words.written.click()
    for field, place in zip(words.fields, words.places, strict=True):
        field.set_text(words._words[place - 1])
    words.confirm.click()
    dialog = find_dialog(frame, qtbot)
    qtbot.waitUntil(lambda: not dialog.is_waiting, timeout=DEADLINE_MS)
    assert dialog.again.isVisible()
    dialog.reject()
    assert form.way is Way.KEYSTORE, "it is there now"
    assert not form.ways[Way.CREATE].isVisible()


def test_words_that_were_not_confirmed_are_warned_of(open_window: Open, home: Home, qtbot: QtBot) -> None:
    from gui_kit.phrase import PhraseDialog

    frame = open_window()
    wallet_page(frame, qtbot).switch.click()
    opened = frame.page()
    assert isinstance(opened, ConnectPage)
    form = opened.form
    form.choose(Way.CREATE)
    form.new_password.set_text("correct horse battery")
    form.again.set_text("correct horse battery")
    form.submit()
    qtbot.waitUntil(lambda: bool(form.findChildren(PhraseDialog)), timeout=DEADLINE_MS)
    form.findChildren(PhraseDialog)[0].reject()
    assert any("The words were not confirmed" in text for text in texts(frame))
    assert audit.problems(frame) == []


def test_the_address_can_be_scanned_and_copied(open_window: Open, qtbot: QtBot) -> None:
    frame = open_window()
    wallet_page(frame, qtbot).deposit.click()
    opened = frame.page()
    assert isinstance(opened, DepositPage)
    qtbot.waitUntil(lambda: opened.form._address.text() == WALLET)
    assert opened.form._code.accessibleDescription() == f"solana:{WALLET}"
    assert all(button.isVisible() for button in opened.form.faucets.values())
