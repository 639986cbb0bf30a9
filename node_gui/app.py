"""``cyxwiz-node-gui``."""

from __future__ import annotations

import sys

from gui_kit.app import run_window
from gui_kit.frame import Frame
from gui_kit.link import AgentLink
from gui_kit.loop import AgentClient
from gui_kit.network import show_network
from gui_kit.preferences import Preferences
from gui_kit.words import tr
from node_gui.checks_page import ChecksPage
from node_gui.earnings_page import EarningsPage
from node_gui.home_page import HomePage
from node_gui.jobs_page import JobsPage
from p2p.core.paths import Home
from p2p.local.home import find_home
from p2p.node.client import NodeClient


def make_window(home: Home, preferences: Preferences, client: AgentClient | None = None) -> Frame:
    """The window of a home, with all its pages; ``client``: another way to its agent."""
    frame = Frame("CyxWiz Node", AgentLink(client or NodeClient(home)))
    show_network(frame, home)
    frame.add_section(HomePage(frame))
    frame.add_section(ChecksPage(frame))
    frame.add_section(JobsPage(frame))
    frame.add_section(EarningsPage(frame, home))
    frame.setWindowTitle(tr("CyxWiz Node"))
    return frame


def main() -> None:
    """Entry point of ``cyxwiz-node-gui``."""
    home = find_home()
    sys.exit(run_window("cyxwiz-node-gui", home.node, lambda preferences: make_window(home, preferences)))


if __name__ == "__main__":
    main()
