"""The seller's window on an agent that answers what the test tells it to, over the real local RPC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from gui_kit.preferences import Preferences
from gui_kit.states import LinkState
from node_gui.app import make_window
from node_gui.setup_page import MEMORY
from node_gui.window import NodeWindow
from node_gui.wizard import finished
from p2p.core.paths import Home
from p2p.testing.node_answers import answers, streams
from p2p.testing.scripted_agent import ScriptedAgent

CONFIG = """
[coordinator]
address = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWExample"
[chain]
cluster = "localnet"
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home on a local network."""
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "node").mkdir()
    return Home(tmp_path)


@pytest.fixture
def node_agent(home: Home) -> Iterator[ScriptedAgent]:
    """An agent with everything to show, running."""
    made = ScriptedAgent(home.node.socket)
    made.answers |= answers()
    made.streams |= streams()
    made.start()
    yield made
    made.stop()


def settled(home: Home) -> Preferences:
    """Of somebody who has been through the first run."""
    preferences = Preferences(home.root / "window.ini")
    preferences.set(MEMORY, finished().save())
    preferences.set("first_run_seen", "yes")
    return preferences


@pytest.fixture
def window(home: Home, node_agent: ScriptedAgent, qtbot: QtBot) -> NodeWindow:
    """The window, connected."""
    made = make_window(home, settled(home), node_agent.client())
    qtbot.addWidget(made)
    made.show()
    qtbot.waitActive(made)
    qtbot.waitUntil(lambda: made.link.state is LinkState.CONNECTED)
    return made
