"""``cyxwiz-engine-gui``."""

from __future__ import annotations

import sys

from engine_gui.account_pages import add_account_pages, open_first_steps
from engine_gui.job_pages import add_job_pages
from gui_kit.app import run_window
from gui_kit.frame import Frame
from gui_kit.link import AgentLink
from gui_kit.network import show_network
from gui_kit.preferences import Preferences
from gui_kit.words import tr
from p2p.core.paths import Home
from p2p.engine.client import EngineClient
from p2p.local.home import find_home


def make_window(home: Home, preferences: Preferences) -> Frame:
    """The window of a home, with all its pages."""
    frame = Frame("CyxWiz Engine", AgentLink(EngineClient(home)))
    show_network(frame, home)
    jobs = add_job_pages(frame, preferences)
    open_first_steps(add_account_pages(frame, home, preferences, jobs.go.open_job))
    frame.setWindowTitle(tr("CyxWiz Engine"))
    return frame


def main() -> None:
    """Entry point of ``cyxwiz-engine-gui``."""
    home = find_home()
    sys.exit(run_window("cyxwiz-engine-gui", home.engine, lambda preferences: make_window(home, preferences)))


if __name__ == "__main__":
    main()
