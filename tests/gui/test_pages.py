"""Pages and the frame around them: every way in which a page can stand, with keyboard, names, contrast."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QPixmap
from PyQt6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from gui_kit import audit
from gui_kit.frame import SMALLEST_SIZE, Frame
from gui_kit.gallery import BlocksPage, TablePage
from gui_kit.labels import Label
from gui_kit.link import AgentLink
from gui_kit.page import Page
from gui_kit.states import LinkState
from gui_kit.theme import Mode
from p2p.core.errors import Refused
from p2p.testing.scripted_agent import ScriptedAgent

ERROR = Refused("too_poor", "There is too little in escrow.", "Nothing was sent.", "Deposit 2 USDC more.")


@pytest.fixture
def frame(agent: ScriptedAgent, link: AgentLink, qtbot: QtBot) -> Frame:
    """A window with the gallery in it, connected."""
    made = Frame("CyxWiz Test", link)
    qtbot.addWidget(made)
    made.add_section(BlocksPage())
    made.add_section(TablePage())
    made.set_network("localnet", is_main=False)
    made.set_balance("20.000000 USDC")
    made.show()
    qtbot.waitActive(made)
    qtbot.waitUntil(lambda: link.state is LinkState.CONNECTED)
    return made


def table_page(frame: Frame) -> Page:
    frame.open_section(frame._sections[1])
    return frame.page()


def texts(frame: Frame) -> list[str]:
    return [label.text() for label in frame.findChildren(QLabel) if label.isVisible() and label.text()]


@pytest.mark.parametrize("size", [SMALLEST_SIZE, (1120, 720)])
def test_nothing_is_wrong_with_any_block(frame: Frame, mode: Mode, size: tuple[int, int]) -> None:
    frame.resize(*size)
    assert audit.problems(frame) == []
    table_page(frame)
    assert audit.problems(frame) == []


def test_every_state_of_a_page_can_be_read(frame: Frame, mode: Mode, qtbot: QtBot) -> None:
    page = table_page(frame)
    pressed: list[str] = []
    page.show_empty("You have not sent a job yet.", "New job", lambda: pressed.append("new"))
    assert audit.problems(frame) == []
    page.show_error(ERROR, lambda: pressed.append("again"))
    assert audit.problems(frame) == []
    assert "There is too little in escrow." in texts(frame)
    assert "Nothing was sent.\nDeposit 2 USDC more." in texts(frame)
    page.show_loading("Loading samples")
    qtbot.waitUntil(lambda: "Loading samples" in texts(frame))
    assert audit.problems(frame) == []
    page.show_content()
    page.set_stale(1_790_000_000.0)
    assert audit.problems(frame) == []
    assert any(text.startswith("As of ") for text in texts(frame))
    page.set_stale(None)
    assert not any(text.startswith("As of ") for text in texts(frame))


def test_what_comes_quickly_shows_no_spinner(frame: Frame, qtbot: QtBot) -> None:
    page = table_page(frame)
    page.show_loading("Loading samples")
    assert "Loading samples" not in texts(frame)
    page.show_content()
    qtbot.wait(400)
    assert "Loading samples" not in texts(frame)


def test_an_agent_that_dies_dims_the_page_and_comes_back(
    frame: Frame, agent: ScriptedAgent, qtbot: QtBot
) -> None:
    page = table_page(frame)
    agent.stop()
    qtbot.waitUntil(lambda: frame.banner.isVisible(), timeout=20_000)
    assert page.is_stale
    assert audit.problems(frame) == []
    qtbot.waitUntil(lambda: not page.is_stale, timeout=20_000)
    assert not frame.banner.isVisible()
    assert "Connected again. Nothing was lost." in texts(frame)


def test_a_test_network_can_not_be_overlooked(frame: Frame) -> None:
    assert "Test network localnet: coins here have no value." in texts(frame)
    frame.set_network("mainnet", is_main=True)
    assert not frame.strip.isVisible()


def test_the_keyboard_goes_everywhere(frame: Frame, qtbot: QtBot) -> None:
    qtbot.keyClick(frame, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert frame.page().title == "Table"
    frame.open_page(Page("One sample", "table"))
    assert "One sample" in texts(frame)
    qtbot.keyClick(frame, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert frame.page().title == "Table"


def test_a_field_says_what_is_wrong_with_it(frame: Frame, qtbot: QtBot) -> None:
    page = frame.page()
    assert isinstance(page, BlocksPage)
    page.amount.line.setFocus()
    qtbot.keyClicks(page.amount.line, "two")
    qtbot.keyClick(page.amount.line, Qt.Key.Key_Tab)
    assert page.amount.problem == "'two' is not an amount. Write it like 2.5, without a unit."
    assert page.amount.editor.accessibleDescription() == page.amount.problem
    assert audit.problems(frame) == []
    page.amount.line.clear()
    qtbot.keyClicks(page.amount.line, "2")
    assert page.amount.problem == ""


@pytest.mark.parametrize(
    "text",
    ["<b>x</b>", "<img src='http://example.org/x.png'>", "\x1b[2J\x07x", "\u202etxt.exe", "x" * 1_000_000],
)
def test_hostile_text_is_shown_as_text(text: str, qtbot: QtBot) -> None:
    label = Label(text)
    qtbot.addWidget(label)
    assert label.textFormat() is Qt.TextFormat.PlainText
    assert len(label.text()) <= 2000
    assert all(character.isprintable() or character == "\n" for character in label.text())


def test_the_theme_changes_what_is_painted(frame: Frame, mode: Mode) -> None:
    picture: QPixmap = frame.grab()
    corner = picture.toImage().pixelColor(QPoint(frame.width() - 4, frame.height() // 2))
    assert (corner.lightness() < 128) is (mode is Mode.DARK)


def test_nothing_is_cut_at_twice_the_scale(tmp_path: Path) -> None:
    """On a screen of 1920 × 1080 at 200 %, which has room for 960 × 540."""
    program = """
from PyQt6.QtWidgets import QApplication
from gui_kit import audit
from gui_kit.gallery import BlocksPage, TablePage
from gui_kit.theme import Mode, theme
app = QApplication([])
theme().install(app, Mode.LIGHT)
for page in (BlocksPage(), TablePage()):
    page.resize(760, 400)
    page.show()
    app.processEvents()
    assert page.devicePixelRatioF() == 2.0
    print(*audit.clipped(page), sep="\\n", end="")
"""
    environment = {**os.environ, "QT_SCALE_FACTOR": "2", "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
