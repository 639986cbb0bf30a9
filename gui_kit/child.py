"""A command of ours as a child process of the window: what only the person's own computer may sign.

The wallet page, the keystore's password and the chain belong to the command line; the window starts its
command, waits, and shows how it ended. Secrets go through the child's standard input, which
``CYXWIZ_PASSWORD_FD`` names: never through its arguments or its environment, which others can read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from PyQt6 import sip
from PyQt6.QtCore import QCoreApplication, QObject, QProcess, QProcessEnvironment, QTimer, pyqtSignal

from gui_kit.endings import when_destroyed
from gui_kit.words import tr
from p2p.core.errors import CyxWizError, EnvironmentFailure, ExitCode, Refused, UserError
from p2p.core.limits import CHILD_OUTPUT_MAX_BYTES, CHILD_TIMEOUT_S
from p2p.local.home import HOME_VARIABLE

_PASSWORDS_VARIABLE = "CYXWIZ_PASSWORD_FD"
_STANDARD_INPUT = "0"
_ERROR = "error: "
_INDENT = "  "
_KILL_AFTER_MS = 2000
_KINDS: dict[int, type[CyxWizError]] = {
    ExitCode.USAGE: UserError,
    ExitCode.ENVIRONMENT: EnvironmentFailure,
    ExitCode.REFUSED: Refused,
}


class Child(QObject):
    """Exactly one of ``succeeded`` (with what it printed), ``failed`` and ``cancelled`` comes, from the event
    loop. It belongs to its receiver, and ends when that or the window does."""

    succeeded = pyqtSignal(str)
    failed = pyqtSignal(object)
    """With a :class:`~p2p.core.errors.CyxWizError`, in the three parts that the command said."""
    cancelled = pyqtSignal()
    said = pyqtSignal(str)
    """A line for whoever waits, as soon as it comes."""

    def __init__(
        self,
        receiver: QObject,
        home: Path,
        module: str,
        arguments: Sequence[str],
        secrets: Sequence[str] = (),
    ) -> None:
        """``module``: such as ``p2p.engine.cli``; ``secrets``: one for each question that the command
        asks."""
        super().__init__(receiver)
        self._out, self._err = bytearray(), bytearray()
        self._said = 0
        self._over = self._too_long = False
        self._wants_end = False
        self._process = process = QProcess(self)
        process.setProcessEnvironment(_environment(home, bool(secrets)))
        process.readyReadStandardOutput.connect(self._read_out)
        process.readyReadStandardError.connect(self._read_err)
        process.finished.connect(self._finish)
        process.errorOccurred.connect(self._on_error)
        when_destroyed(receiver, lambda: _end(process))
        if (app := QCoreApplication.instance()) is not None:
            app.aboutToQuit.connect(self._quit)
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(self._time_out)
        timer.start(round(CHILD_TIMEOUT_S * 1000))
        process.start(sys.executable, ["-m", module, *arguments])
        process.write("".join(f"{_one_line(secret)}\n" for secret in secrets).encode())
        process.closeWriteChannel()

    def cancel(self) -> None:
        """End it. What it had signed and sent before stays done."""
        if not self._over:
            self._wants_end = True
            self._process.terminate()
            QTimer.singleShot(_KILL_AFTER_MS, self._process.kill)

    # -- inside

    def _read_out(self) -> None:
        self._out += self._process.readAllStandardOutput().data()
        if len(self._out) > CHILD_OUTPUT_MAX_BYTES:
            self._too_long = True
            self._process.kill()

    def _read_err(self) -> None:
        self._err += self._process.readAllStandardError().data()
        del self._err[CHILD_OUTPUT_MAX_BYTES:]
        lines = bytes(self._err).decode(errors="replace").split("\n")[:-1]
        for line in lines[self._said :]:
            self._said += 1
            if not line.startswith((_ERROR, _INDENT)):
                self.said.emit(line)

    def _finish(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read_out()
        self._read_err()
        if self._over:
            return
        self._over = True
        if self._wants_end:
            self.cancelled.emit()
        elif self._too_long or status is QProcess.ExitStatus.CrashExit:
            self.failed.emit(_died())
        elif code != ExitCode.OK:
            self.failed.emit(read_error(bytes(self._err).decode(errors="replace"), code))
        else:
            self.succeeded.emit(bytes(self._out).decode(errors="replace"))
        if not sip.isdeleted(self):
            self.deleteLater()

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart and not self._over:
            self._over = True
            self.failed.emit(_died())

    def _time_out(self) -> None:
        self._process.kill()

    def _quit(self) -> None:
        _end(self._process)


def read_error(stderr: str, code: int) -> CyxWizError:
    """The error that a command of ours printed: what happened, what it means, what to do."""
    lines = stderr.splitlines()
    first = next((at for at, line in enumerate(lines) if line.startswith(_ERROR)), None)
    kind = _KINDS.get(code, CyxWizError)
    if first is None:
        words = lines[-1].removeprefix("Error: ") if lines else tr("The command ended without a word.")
        return kind("command_failed", words)
    rest = [line.strip() for line in lines[first + 1 :] if line.startswith(_INDENT)]
    meaning, hint = (rest[0], " ".join(rest[1:])) if len(rest) > 1 else ("", "".join(rest))
    return kind("command_failed", lines[first].removeprefix(_ERROR), meaning, hint)


def last_json(printed: str) -> dict[str, object]:
    """The JSON object that a command printed.

    :raises EnvironmentFailure: it printed something else.
    """
    try:
        found = json.loads(printed)
    except ValueError:
        raise _died() from None
    if not isinstance(found, dict):
        raise _died()
    return found


def _environment(home: Path, has_secrets: bool) -> QProcessEnvironment:
    made = QProcessEnvironment.systemEnvironment()
    made.remove("FORCE_COLOR")
    made.remove(_PASSWORDS_VARIABLE)
    made.insert("NO_COLOR", "1")
    made.insert("PYTHONUTF8", "1")
    made.insert(HOME_VARIABLE, str(home))
    if has_secrets:
        made.insert(_PASSWORDS_VARIABLE, _STANDARD_INPUT)
    return made


def _one_line(secret: str) -> str:
    return secret.replace("\r", " ").replace("\n", " ")


def _end(process: QProcess) -> None:
    if not sip.isdeleted(process) and process.state() is not QProcess.ProcessState.NotRunning:
        process.kill()
        process.waitForFinished(_KILL_AFTER_MS)


def _died() -> EnvironmentFailure:
    return EnvironmentFailure(
        "command_died",
        tr("The command that this window started ended without an answer."),
        tr("What it had done before that stays done; what it had not done was not begun."),
        tr("Look at your balance and history, then try again."),
    )
