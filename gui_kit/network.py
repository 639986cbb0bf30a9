"""Which network a window belongs to, from the configuration of its home."""

from __future__ import annotations

from gui_kit.frame import Frame
from gui_kit.words import clean, tr
from p2p.core.errors import CyxWizError
from p2p.core.paths import Home
from p2p.local.home import load_network_config

MAIN_NETWORK = "mainnet"
"""The cluster whose coins are worth something."""


def show_network(frame: Frame, home: Home) -> None:
    """Name the network in the status bar, and mark every other than the main one."""
    try:
        cluster = clean(str(load_network_config(home).chain.get("cluster", "")))[:40]
    except CyxWizError:
        cluster = ""
    frame.set_network(cluster or tr("no network"), is_main=cluster in (MAIN_NETWORK, ""))
