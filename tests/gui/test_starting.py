"""An agent that cannot be started says why in the window, in its own words, and can be started once that is
mended. The real programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

import node_gui.app
from gui_kit import audit
from gui_kit.frame import SMALLEST_SIZE, Frame
from gui_kit.preferences import Preferences
from gui_kit.states import LinkState
from gui_kit.theme import Mode
from p2p.core.paths import Home
from p2p.local.starting import _failure
from p2p.testing.node_answers import answers, streams
from p2p.testing.scripted_agent import ScriptedAgent

pytestmark = pytest.mark.process


def banner(frame: Frame) -> str:
    return "\n".join(label.text() for label in frame.banner.findChildren(QLabel) if label.isVisible())


@pytest.mark.parametrize(
    ("config", "what", "hint"),
    [
        (None, "There is no network configuration", "`cyxwiz local up` starts one on this machine"),
        ("nonsense = = ", "config.toml cannot be read", "`cyxwiz local up` writes one"),
    ],
    ids=["missing", "broken"],
)
def test_why_it_cannot_start_and_that_it_can_be_tried_again(
    config: str | None, what: str, hint: str, tmp_path: Path, mode: Mode, qtbot: QtBot
) -> None:
    home = Home(tmp_path)
    if config is not None:
        home.config.write_text(config)
    frame = node_gui.app.make_window(home, Preferences(tmp_path / "window.ini"))
    qtbot.addWidget(frame)
    frame.resize(*SMALLEST_SIZE)
    frame.show()
    qtbot.waitActive(frame)
    qtbot.waitUntil(lambda: frame.link.state is LinkState.FAILED, timeout=60_000)
    said = banner(frame)
    for part in ("The node's agent did not start:", what, hint, "Its log is"):
        assert part in said
    assert audit.problems(frame) == []
    agent = ScriptedAgent(home.node.socket)  # somebody has mended it
    agent.answers |= answers()
    agent.streams |= streams()
    agent.start()
    (again,) = (b for b in frame.banner.findChildren(QPushButton) if b.isVisible())
    assert again.text() == "Try again"
    qtbot.mouseClick(again, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: frame.link.state is LinkState.CONNECTED, timeout=20_000)
    assert not frame.banner.isVisible()
    frame.close()
    agent.stop()


def test_only_what_was_said_at_this_start_counts(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    log.write_text("error: long ago\n  then\n")
    before = log.stat().st_size
    assert "it left no word" in _failure("It", log, before).what
    log.write_text(
        log.read_text() + "2026 INFO starting\nerror: a port is taken.\n  Nothing is lost.\n  End it.\n"
    )
    found = _failure("It", log, before)
    assert found.lines() == (
        "It did not start: a port is taken.", "Nothing is lost.", f"End it. Its log is {log}."
    )  # fmt: skip
    log.write_text(log.read_text() + "Killed\n")
    assert _failure("It", log, log.stat().st_size - 7).what == "It did not start: Killed"
    assert "left no word" in _failure("It", tmp_path / "none.log", 0).what
