"""One command of ``cyxwiz-node`` as a process of its own, for what only a person's wallet can sign.

The agent holds no key of such a wallet, and the window never sees one either: the command opens the wallet's
page in the browser, or unlocks the keystore. A password goes to it through its standard input, which nobody
else can read, never on its command line or in its environment (``docs/wallets.md``).
"""

from __future__ import annotations

import json
import sys
from typing import Any

from PyQt6.QtCore import QObject, QProcess, QProcessEnvironment, pyqtSignal

from gui_kit.words import tr
from p2p.core.errors import CyxWizError, EnvironmentFailure, UserError
from p2p.core.paths import Home
from p2p.local.home import HOME_VARIABLE

_PASSWORD_VARIABLE = "CYXWIZ_PASSWORD_FD"
_ERROR_MAX_CHARS = 2000


class NodeCommand(QObject):
    """Runs at once. Exactly one of ``succeeded`` (with the JSON that it printed) and ``failed`` (with a
    :class:`~p2p.core.errors.CyxWizError`) comes. It ends with its parent."""

    succeeded = pyqtSignal(object)
    failed = pyqtSignal(object)

    def __init__(self, parent: QObject, home: Home, *arguments: str, password: str = "") -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert(HOME_VARIABLE, str(home.root))
        environment.remove(_PASSWORD_VARIABLE)
        if password:
            environment.insert(_PASSWORD_VARIABLE, "0")
        self._process.setProcessEnvironment(environment)
        self._process.finished.connect(self._on_end)
        self._process.errorOccurred.connect(self._on_error)
        self._process.start(sys.executable, ["-m", "p2p.node.cli", *arguments, "--json"])
        self._process.write(password.encode() + b"\n" if password else b"")
        self._process.closeWriteChannel()

    def cancel(self) -> None:
        """End the command. What its wallet has signed already stays signed."""
        self._process.terminate()

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self.failed.emit(
                EnvironmentFailure(
                    "no_command",
                    tr("cyxwiz-node could not be started."),
                    tr("Nothing was signed."),
                    tr("Install CyxWiz again."),
                )
            )

    def _on_end(self, code: int) -> None:
        printed = bytes(self._process.readAllStandardOutput().data()).decode(errors="replace")
        said = bytes(self._process.readAllStandardError().data()).decode(errors="replace")
        self.deleteLater()
        answer = answer_of(printed) if code == 0 else None
        if answer is None:
            self.failed.emit(error_of(said))
        else:
            self.succeeded.emit(answer)


def answer_of(printed: str) -> dict[str, Any] | None:
    """What a command printed with ``--json``."""
    try:
        found = json.loads(printed)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def error_of(said: str) -> CyxWizError:
    """The error that a command ended with, from what it said: what happened, then indented what that means
    and what to do."""
    lines = said[-_ERROR_MAX_CHARS:].splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith("error: ")), None)
    if start is None:
        words = " ".join(lines[-1:]) or tr("The command ended without a word.")
        return UserError("command_ended", words, tr("Look at the balance before you try again."))
    rest = []
    for line in lines[start + 1 :]:
        if not line.startswith("  "):
            break
        rest.append(line.strip())
    return UserError(
        "command_failed", lines[start].removeprefix("error: "), " ".join(rest[:-1]), "".join(rest[-1:])
    )
