"""Smaller blocks: progress, dialogs, QR codes, copying, the theme that follows the system."""

from __future__ import annotations

import pytest
import segno
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from gui_kit import audit
from gui_kit.buttons import CopyLabel, IconButton
from gui_kit.dialogs import Confirm
from gui_kit.labels import Elided, Money
from gui_kit.progress import Progress
from gui_kit.qr import QrCode
from gui_kit.states import BADGES, CHECKS, JOB_STATES, LINK_STATES, NODE_PHASES, LinkState, look
from gui_kit.theme import Mode, theme
from gui_kit.words import bytes_text, duration_text, tooltip
from p2p.core.money import Asset
from p2p.core.states import JobState
from p2p.store.node import Phase


class StillClock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def now_s(self) -> float:
        return self.at_s

    def monotonic_s(self) -> float:
        return self.at_s


def test_every_state_has_a_word_an_icon_and_a_colour() -> None:
    assert {state.value for state in JobState} <= set(JOB_STATES)
    assert {phase.value for phase in Phase} == set(NODE_PHASES)
    assert {state.value for state in LinkState} == set(LINK_STATES)
    for table in (JOB_STATES, NODE_PHASES, LINK_STATES, CHECKS, BADGES):
        assert all(found.word and found.icon and found.token for found in table.values())
    assert look(JOB_STATES, "from_the_future").word == "From the future"


SIZES = [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (4_200_000, "4.2 MB"), (10**14, "100 TB")]


@pytest.mark.parametrize(("count", "text"), SIZES)
def test_sizes(count: int, text: str) -> None:
    assert bytes_text(count) == text


def test_durations() -> None:
    assert [duration_text(seconds) for seconds in (0, 59.9, 60, 3723)] == ["0:00", "0:59", "1:00", "1:02:03"]


def test_progress_is_shown_after_two_seconds_with_rate_and_time_left(qtbot: QtBot) -> None:
    clock = StillClock()
    parent = QWidget()
    qtbot.addWidget(parent)
    progress = Progress("Sending data", clock)
    progress.setParent(parent)
    parent.show()
    progress.set_bytes(0, 10_000_000)
    assert not progress.isVisible()
    for second in range(1, 4):
        clock.at_s += 1
        progress.set_bytes(second * 1_000_000, 10_000_000)
    assert progress.isVisible()
    assert progress.details.text() == "3.0 MB of 10.0 MB · 1.0 MB/s · 0:07 left"
    progress.set_bytes(10_000_000, 10_000_000)
    assert not progress.isVisible()


def test_what_can_not_be_undone_is_not_done_by_enter(qtbot: QtBot, mode: Mode) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    parent.show()
    dialog = Confirm(
        parent,
        "Cancel the job?",
        "The node is told to stop.",
        [("Back to you", Money(876_544, Asset.USDC))],
        yes="Cancel the job",
        no="Keep it running",
        danger=True,
    )
    answers: list[int] = []
    dialog.finished.connect(answers.append)
    dialog.open()
    qtbot.waitExposed(dialog)
    assert audit.problems(dialog) == []
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert answers == [0]


def test_a_qr_code_holds_what_it_says(qtbot: QtBot) -> None:
    code = QrCode("solana:9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin")
    qtbot.addWidget(code)
    code.show()
    image = code.grab().toImage()
    matrix = segno.make(code.accessibleDescription(), micro=False, error="m").matrix
    size = image.width() / (len(matrix) + 8)
    for y, line in enumerate(matrix):
        for x, module in enumerate(line):
            pixel = image.pixelColor(int((x + 4.5) * size), int((y + 4.5) * size))
            assert (pixel.lightness() < 128) is bool(module)


def test_copying_takes_the_whole_text(qtbot: QtBot) -> None:
    label = CopyLabel("9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin", "the address")
    qtbot.addWidget(label)
    button = label.findChild(IconButton)
    assert button is not None
    assert button.accessibleName() == "Copy the address"
    button.click()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == label.text()


def test_a_text_that_is_cut_says_the_rest_in_its_tooltip(qtbot: QtBot) -> None:
    label = Elided("<b>" + "word " * 50)
    qtbot.addWidget(label)
    label.resize(100, 20)
    label.show()
    assert label.toolTip() == tooltip(label.text())
    assert label.toolTip().startswith("<qt>&lt;b&gt;word")


def test_the_theme_follows_the_system(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The offscreen platform has no desktop that could change: its answer is replaced, its signal is real."""
    hints = QGuiApplication.styleHints()
    assert hints is not None
    theme().set_mode(Mode.SYSTEM)
    for dark, scheme in ((True, Qt.ColorScheme.Dark), (False, Qt.ColorScheme.Light)):
        monkeypatch.setattr("gui_kit.theme.system_is_dark", lambda dark=dark: dark)
        with qtbot.waitSignal(theme().changed):
            hints.colorSchemeChanged.emit(scheme)
        assert theme().tokens.dark is dark
    theme().set_mode(Mode.LIGHT)
