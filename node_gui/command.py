"""Commands of ``cyxwiz-node`` that the window starts, for what only a person's wallet can sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtCore import QObject

from gui_kit.child import Child, last_json
from p2p.core.errors import CyxWizError
from p2p.core.paths import Home

PROGRAM = "p2p.node.cli"


def run_command(
    receiver: QObject,
    home: Home,
    arguments: tuple[str, ...],
    done: Callable[[dict[str, Any]], object],
    failed: Callable[[CyxWizError], object],
    *,
    password: str = "",
) -> Child:
    """Start one; exactly one of ``done`` (with the JSON that it printed) and ``failed`` is called, unless it
    is cancelled."""

    def take(printed: str) -> None:
        try:
            answer = last_json(printed)
        except CyxWizError as error:
            failed(error)
        else:
            done(answer)

    secrets = (password,) if password else ()
    child = Child(receiver, home.root, PROGRAM, (*arguments, "--json"), secrets)
    child.succeeded.connect(take)
    child.failed.connect(failed)
    return child
