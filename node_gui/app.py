"""``cyxwiz-node-gui``."""

from __future__ import annotations

import sys

from gui_kit.app import run_window
from gui_kit.loop import AgentClient
from gui_kit.preferences import Preferences
from node_gui.window import NodeWindow
from p2p.core.paths import Home
from p2p.local.home import find_home
from p2p.node.client import NodeClient


def make_window(home: Home, preferences: Preferences, client: AgentClient | None = None) -> NodeWindow:
    """The window of a home, with all its pages; ``client``: another way to its agent."""
    return NodeWindow(home, preferences, client or NodeClient(home))


def main() -> None:
    """Entry point of ``cyxwiz-node-gui``."""
    home = find_home()
    sys.exit(run_window("cyxwiz-node-gui", home.node, lambda preferences: make_window(home, preferences)))


if __name__ == "__main__":
    main()
