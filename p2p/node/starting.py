"""Start the node's agent at login."""

from __future__ import annotations

import sys
from hashlib import sha256

import platformdirs

from p2p.core.paths import Home
from p2p.local.autostart import Autostart, Program, state, turn_off, turn_on
from p2p.local.home import HOME_VARIABLE

_NAME = "cyxwiz-node"
_DIGITS = 8


def program_of(home: Home) -> Program:
    """The agent of a home; each home but the usual one has a name of its own."""
    usual = str(home.root) == platformdirs.user_data_dir("cyxwiz", "CyxWiz")
    name = _NAME if usual else f"{_NAME}-{sha256(str(home.root).encode()).hexdigest()[:_DIGITS]}"
    command = (sys.executable, "-m", "p2p.node.cli", "run")
    return Program(name, "CyxWiz node", command, {} if usual else {HOME_VARIABLE: str(home.root)})


def autostart(home: Home, to: bool | None = None) -> Autostart:
    """Whether the agent starts at login; ``to``: turn that on or off.

    :raises EnvironmentFailure: ``autostart_failed``.
    """
    program = program_of(home)
    if to is None:
        return state(program.name)
    return turn_on(program) if to else turn_off(program.name)
