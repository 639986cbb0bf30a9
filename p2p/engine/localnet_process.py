"""The local chain as a process: ``python -m p2p.engine.localnet_process PORT``."""

from __future__ import annotations

import sys

from p2p.chain.localnet import run_localnet
from p2p.local.home import find_home, make_private
from p2p.local.platform import ProcessLock


def main() -> None:
    """Hold the home's chain lock and serve until told to stop."""
    paths = find_home().localnet
    make_private(paths.folder)
    with ProcessLock(paths.lock):
        run_localnet(paths.folder, int(sys.argv[1]))


if __name__ == "__main__":
    main()
