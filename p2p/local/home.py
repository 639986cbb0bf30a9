"""Which home this process belongs to, and its network configuration."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from p2p.core.config import NetworkConfig, parse_network_config
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.paths import Home

HOME_VARIABLE = "CYXWIZ_HOME"


def find_home() -> Home:
    """``$CYXWIZ_HOME``, or the platform's folder for user data."""
    named = os.environ.get(HOME_VARIABLE)
    root = Path(named).expanduser() if named else Path(platformdirs.user_data_dir("cyxwiz", "CyxWiz"))
    return Home(root.absolute())


def make_private(folder: Path) -> Path:
    """Create ``folder`` for this user alone.

    :raises EnvironmentFailure: the disk or its permissions don't allow it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise EnvironmentFailure(
            "home_unusable",
            f"The folder {folder} cannot be made: {error.strerror or error}.",
            "Without it nothing can be kept safe, so nothing was started.",
            f"Free the disk, mend the permissions, or set {HOME_VARIABLE} to another folder.",
            retryable=False,
        ) from error
    return folder


def load_network_config(home: Home) -> NetworkConfig:
    """Read ``config.toml`` of ``home``.

    :raises UserError: there is none or it is wrong.
    """
    try:
        text = home.config.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            "no_network",
            f"There is no network configuration at {home.config}.",
            "No network is known, so nothing can be sent or paid.",
            "`cyxwiz local up` starts one on this machine; to join another, write its config.toml there.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("bad_network_config", f"{home.config} cannot be read: {error}.") from None
    return parse_network_config(text)
