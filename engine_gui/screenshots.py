"""What there is to see in the buyer's window: ``python -m engine_gui.screenshots FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from engine_gui.account_shots import ACCOUNT_SHOTS
from engine_gui.app import make_window
from engine_gui.job_shots import JOB_SHOTS
from gui_kit.screenshots import take
from p2p.local.home import find_home

SHOTS = (*JOB_SHOTS, *ACCOUNT_SHOTS)


def main() -> None:
    """Take them all."""
    home, folder = find_home(), Path(sys.argv[1])
    for path in take("engine", lambda preferences: make_window(home, preferences), SHOTS, folder):
        print(path)


if __name__ == "__main__":
    main()
