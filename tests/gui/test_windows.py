"""Both windows, each as its program and on an agent of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

import engine_gui.app
import node_gui.app
from gui_kit import audit
from gui_kit.frame import Frame
from gui_kit.preferences import Preferences
from gui_kit.states import LinkState
from gui_kit.theme import Mode
from p2p.core.paths import AgentPaths, Home
from p2p.local.home import HOME_VARIABLE
from p2p.testing.scripted_agent import ScriptedAgent

CONFIG = """
[coordinator]
address = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWExample"
[chain]
cluster = "localnet"
"""
Make = Callable[[Home, Preferences], Frame]
WINDOWS: dict[str, tuple[Make, Callable[[Home], AgentPaths]]] = {
    "engine": (engine_gui.app.make_window, lambda home: home.engine),
    "node": (node_gui.app.make_window, lambda home: home.node),
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "config.toml").write_text(CONFIG)
    return Home(tmp_path)


@pytest.fixture(params=WINDOWS)
def window(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def window_agent(window: str, home: Home) -> Iterator[ScriptedAgent]:
    paths = WINDOWS[window][1](home)
    paths.folder.mkdir(parents=True)
    agent = ScriptedAgent(paths.socket)
    agent.answers |= {"jobs": [], "earnings": [], "check": []}
    agent.start()
    yield agent
    agent.stop()


def test_it_opens_connected_and_without_a_problem(
    window: str, home: Home, window_agent: ScriptedAgent, mode: Mode, qtbot: QtBot
) -> None:
    frame = WINDOWS[window][0](home, Preferences(home.root / "window.ini"))
    qtbot.addWidget(frame)
    frame.show()
    qtbot.waitActive(frame)
    qtbot.waitUntil(lambda: frame.link.state is LinkState.CONNECTED)
    assert frame.strip.isVisible(), "this network's coins have no value, and it says so"
    assert audit.problems(frame) == []


def test_its_program_ends_on_a_signal_and_leaves_the_agent_alone(
    window: str, home: Home, window_agent: ScriptedAgent, qtbot: QtBot
) -> None:
    environment = {
        **os.environ,
        HOME_VARIABLE: str(home.root),
        "QT_QPA_PLATFORM": "offscreen",
    }
    command = [sys.executable, "-W", "error", "-m", f"{window}_gui.app"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        qtbot.waitUntil(lambda: any(map(window_agent.count, ("jobs", "check"))), timeout=30_000)
        process.send_signal(signal.SIGTERM)
        _, words = process.communicate(timeout=30)
    assert (process.returncode, words) == (0, b"")
    log = WINDOWS[window][1](home).folder / "window.log"
    assert "a mistake" not in log.read_text()
    assert window_agent.starts == 1
    assert (WINDOWS[window][1](home).folder / "window.ini").exists(), "and remembers where it was"
