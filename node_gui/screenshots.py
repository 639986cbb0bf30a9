"""What there is to see in the seller's window: ``python -m node_gui.screenshots FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from gui_kit.screenshots import Shot, take
from node_gui.app import make_window
from p2p.local.home import find_home

SHOTS = (Shot("jobs", lambda frame: frame.go_to("Jobs"), lambda frame: frame.page().is_ready),)


def main() -> None:
    """Take them all."""
    home, folder = find_home(), Path(sys.argv[1])
    for path in take("node", lambda preferences: make_window(home, preferences), SHOTS, folder):
        print(path)


if __name__ == "__main__":
    main()
