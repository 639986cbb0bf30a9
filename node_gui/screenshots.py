"""What there is to see in the seller's window: ``python -m node_gui.screenshots FOLDER``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from gui_kit.frame import Frame
from gui_kit.screenshots import Shot, take
from node_gui.app import make_window
from p2p.local.home import find_home

SECTIONS = ("Home", "Setup checks", "Jobs", "Earnings")


def _section(title: str) -> Shot:
    name = title.lower().replace(" ", "-")
    return Shot(name, partial(Frame.go_to, title=title), lambda frame: frame.page().is_ready)


SHOTS = tuple(map(_section, SECTIONS))


def main() -> None:
    """Take them all."""
    home, folder = find_home(), Path(sys.argv[1])
    for path in take("node", lambda preferences: make_window(home, preferences), SHOTS, folder):
        print(path)


if __name__ == "__main__":
    main()
