"""The whole buyer's window on an agent that answers what the test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from engine_gui.app import make_window
from gui_kit.frame import Frame
from gui_kit.preferences import Preferences
from gui_kit.states import LinkState
from p2p.core.paths import Home
from p2p.testing.scripted_agent import ScriptedAgent
from tests.gui.engine_wallet.answers import answers

CONFIG = """
[coordinator]
address = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWExample"
[chain]
cluster = "localnet"
rpc_url = ["http://127.0.0.1:9"]
program_id = "11111111111111111111111111111111"
usdc_mint = "11111111111111111111111111111112"
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "engine").mkdir(mode=0o700)
    (tmp_path / "config.toml").write_text(CONFIG)
    return Home(tmp_path)


@pytest.fixture
def preferences(home: Home) -> Preferences:
    """Of somebody who has left the first steps."""
    made = Preferences(home.engine.folder / "window.ini")
    made.set("first_run", "left")
    return made


@pytest.fixture
def engine(home: Home) -> Iterator[ScriptedAgent]:
    agent = ScriptedAgent(home.engine.socket)
    agent.answers |= answers()
    agent.start()
    yield agent
    agent.stop()


Open = Callable[[], Frame]


@pytest.fixture
def open_window(home: Home, preferences: Preferences, engine: ScriptedAgent, qtbot: QtBot) -> Iterator[Open]:
    """Opens the window, connected."""
    opened: list[Frame] = []

    def open_it() -> Frame:
        frame = make_window(home, preferences)
        opened.append(frame)
        qtbot.addWidget(frame)
        frame.show()
        qtbot.waitActive(frame)
        qtbot.waitUntil(lambda: frame.link.state is LinkState.CONNECTED)
        return frame

    yield open_it
    for frame in opened:
        frame.close()
