"""Windows without a screen, on agents that answer what the test tells them to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from pytestqt.wait_signal import SignalBlocker

from gui_kit.link import AgentLink
from gui_kit.theme import Mode, theme
from p2p.testing.scripted_agent import ScriptedAgent

PATIENCE_MS = 60_000


@pytest.fixture(scope="session", autouse=True)
def _look(qapp: QApplication) -> None:
    theme().install(qapp, Mode.LIGHT)


class PatientBot(QtBot):
    """As patient as a loaded machine needs it: what a window waits for comes, and nothing says how soon."""

    def waitUntil(self, callback: Callable[[], bool | None], *, timeout: int = PATIENCE_MS) -> None:
        super().waitUntil(callback, timeout=timeout)

    def waitSignal(self, signal: Any, *, timeout: int = PATIENCE_MS, **options: Any) -> SignalBlocker:
        return super().waitSignal(signal, timeout=timeout, **options)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    return PatientBot(request)


@pytest.fixture(params=[Mode.LIGHT, Mode.DARK], ids=["light", "dark"])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    """Both palettes, one after the other."""
    theme().set_mode(request.param)
    yield request.param
    theme().set_mode(Mode.LIGHT)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[ScriptedAgent]:
    """An agent; it runs once the test or a window starts it."""
    made = ScriptedAgent(tmp_path / "agent.sock")
    yield made
    made.stop()


@pytest.fixture
def link(agent: ScriptedAgent, qtbot: QtBot) -> Iterator[AgentLink]:
    """A link to :func:`agent`, not started yet."""
    made = AgentLink(agent.client())
    yield made
    made.close()


@pytest.fixture
def receiver() -> QObject:
    """Somebody who waits for answers."""
    return QObject()


Shown = Callable[[], bool]
