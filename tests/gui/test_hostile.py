"""Text from a stranger in what is on no page: toasts, banners, questions, errors, notifications, legends."""

from __future__ import annotations

import pytest
from PyQt6.QtGui import QIcon
from PyQt6.QtWidgets import QSystemTrayIcon
from pytestqt.qtbot import QtBot

from gui_kit import audit
from gui_kit.buttons import Button, CopyLabel, IconButton
from gui_kit.dialogs import Confirm
from gui_kit.frame import SMALLEST_SIZE, Frame
from gui_kit.link import AgentLink
from gui_kit.notify import Notifier
from gui_kit.page import Page
from gui_kit.plot_view import PlotView
from gui_kit.states import LinkState
from gui_kit.theme import Mode
from p2p.core.errors import EnvironmentFailure
from p2p.testing.scripted_agent import ScriptedAgent
from tests.gui.harm import HOSTILE, acting

BROKEN = EnvironmentFailure("broken", HOSTILE, HOSTILE, HOSTILE)


@pytest.fixture
def frame(link: AgentLink, agent: ScriptedAgent, qtbot: QtBot) -> Frame:
    made = Frame("CyxWiz", link)
    made.add_section(Page("Jobs", "briefcase-outline", action=Button(HOSTILE, "primary")))
    made.resize(*SMALLEST_SIZE)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitActive(made)
    qtbot.waitUntil(lambda: link.state is LinkState.CONNECTED)
    return made


def test_bars_and_toasts(frame: Frame, mode: Mode) -> None:
    frame.set_network(HOSTILE, is_main=False)
    frame.set_balance(HOSTILE)
    frame.banner.show_link(LinkState.FAILED, BROKEN)
    frame.toasts.show(HOSTILE, "danger", (HOSTILE, lambda: None))
    assert acting(frame) == []
    assert "<b>bold</b>" in frame.strip.findChildren(type(frame.banner._text))[0].text()


def test_titles_and_errors_of_pages(frame: Frame, mode: Mode) -> None:
    page = frame.page()
    page.set_title(HOSTILE)
    page.show_error(BROKEN, lambda: None)
    assert acting(frame) == []
    assert audit.unreachable(frame) == []
    page.show_empty(HOSTILE, HOSTILE, lambda: None)
    assert acting(frame) == []


def test_questions(frame: Frame, mode: Mode) -> None:
    dialog = Confirm(frame, HOSTILE, HOSTILE, [(HOSTILE, HOSTILE)], yes=HOSTILE, no=HOSTILE)
    dialog.show()
    assert acting(dialog) == []


def test_what_is_copied_is_the_whole_text_and_its_button_says_no_more_than_a_label(qtbot: QtBot) -> None:
    label, button = CopyLabel(HOSTILE, HOSTILE), IconButton("close", HOSTILE)
    for widget in (label, button):
        qtbot.addWidget(widget)
        assert acting(widget) == []
    assert label.text() == HOSTILE


def test_names_in_a_plot(qtbot: QtBot) -> None:
    plot = PlotView(HOSTILE, "step")
    qtbot.addWidget(plot)
    plot.add(HOSTILE, 1, 0.5)
    plot.point_at(1)
    assert acting(plot) == []
    (_, label), *_ = plot.canvas._legend.items
    assert "<" not in label.text
    assert label.text.isprintable()
    assert label.item.toPlainText().startswith("<img src=")


class _Tray(QSystemTrayIcon):
    """A tray that keeps what it is told, where the desktop of a test has none."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []

    def isVisible(self) -> bool:
        return True

    def showMessage(self, title: str, text: str, icon: QIcon, shown_ms: int) -> None:  # type: ignore[override]
        self.told.append((title, text))


def test_notifications(frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QSystemTrayIcon, "supportsMessages", lambda: True)
    monkeypatch.setattr(frame, "isActiveWindow", lambda: False)
    tray = _Tray()
    Notifier(frame, tray).notify(HOSTILE, HOSTILE, open_=lambda: None)
    ((title, text),) = tray.told
    for words in (title, text):
        assert words.isprintable()
        assert not set(words) & set("<>")
        assert len(words) <= 200
    assert acting(frame) == []
