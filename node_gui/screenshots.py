"""What there is to see in the seller's window: ``python -m node_gui.screenshots FOLDER``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from gui_kit.frame import Frame
from gui_kit.preferences import Preferences
from gui_kit.screenshots import Shot, take
from node_gui.app import make_window
from node_gui.setup_page import MEMORY, SetupPage
from node_gui.window import NodeWindow
from node_gui.wizard import finished, steps
from p2p.local.home import find_home

SECTIONS = ("Home", "Jobs", "Earnings", "Schedule", "Hardware", "Setup checks", "Logs", "Settings")


def _section(title: str) -> Shot:
    name = title.lower().replace(" ", "-")
    return Shot(name, partial(Frame.go_to, title=title), lambda frame: frame.page().is_ready)


def _step(key: str) -> Shot:
    return Shot(f"first-run-{key}", partial(_open_step, key=key), partial(_step_is_ready, key=key))


def _open_step(frame: Frame, key: str) -> None:
    assert isinstance(frame, NodeWindow)
    frame.go_to("Home")
    frame.set_up()
    page = frame.page()
    assert isinstance(page, SetupPage)
    page.go_to_step(key)


def _step_is_ready(frame: Frame, key: str) -> bool:
    page = frame.page()
    return isinstance(page, SetupPage) and page.parts[key].is_ready


SHOTS = (*(_step(step.key) for step in steps()), *map(_section, SECTIONS))


def main() -> None:
    """Take them all."""
    home, folder = find_home(), Path(sys.argv[1])
    with TemporaryDirectory() as memory:
        preferences = Preferences(Path(memory) / "window.ini")
        preferences.set(MEMORY, finished().save())
        for path in take("node", lambda _: make_window(home, preferences), SHOTS, folder):
            print(path)


if __name__ == "__main__":
    main()
