"""Whatever a wallet signs, from the window: the question, the password or the wallet's own page, the end.

The command line does it as a child process (:mod:`gui_kit.child`), so that a window can do exactly what a
command can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import QDialog, QProgressBar, QStackedLayout, QWidget

from gui_kit.boxes import KeyValues, column, row
from gui_kit.buttons import Button
from gui_kit.child import Child, last_json
from gui_kit.fields import TextField
from gui_kit.labels import IconLabel, Label
from gui_kit.tokens import GRID_PX, MARGIN_PX, SECTION_PX
from gui_kit.words import one_line, tr
from p2p.core.errors import CyxWizError
from p2p.core.wallet_choice import WalletKind

_WIDTH_PX = 480
_QUESTION, _WAITING, _ERROR = range(3)


@dataclass(frozen=True, slots=True)
class WalletAct:
    """What is to be signed. ``arguments``: of the command line's own command, which prints a JSON object;
    ``consequences``: what the yes does, as names and values."""

    question: str
    explanation: str
    yes: str
    arguments: tuple[str, ...]
    consequences: tuple[tuple[str, str], ...] = ()
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs: the wallet's kind, and the program of the command line that asks it."""

    home: Path
    program: str
    kind: WalletKind


class WalletDialog(QDialog):
    """``done`` is called with what the command printed. With ``secrets`` nothing is asked: they are the
    answers; nor with a browser wallet, whose page asks, if ``at_once``."""

    def __init__(
        self,
        parent: QWidget,
        signer: Signer,
        act: WalletAct,
        done: Callable[[dict[str, Any]], object],
        *,
        secrets: Sequence[str] = (),
        at_once: bool = False,
    ) -> None:
        super().__init__(parent)
        self._signer, self._act, self._done = signer, act, done
        self._child: Child | None = None
        self.setWindowTitle(one_line(act.question))
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(_WIDTH_PX)
        self.yes = Button(act.yes, "danger" if act.danger else "primary")
        self.no = Button(tr("Cancel"))
        self.cancel = Button(tr("Cancel"))
        self.again = Button(tr("Try again"), "primary")
        self.password = TextField(
            tr("Password of your wallet"), tr("It unlocks the key for this one signature."), secret=True
        )
        self._said = Label("", "muted", wrap=True)
        self._problem, self._rest = Label("", "title", wrap=True), Label("", wrap=True)
        self._stack = QStackedLayout(self)
        for page in (self._question(), self._waiting(), self._error()):
            self._stack.addWidget(page)
        self.yes.clicked.connect(lambda: self._start(()))
        self.no.clicked.connect(self.reject)
        self.cancel.clicked.connect(self.reject)
        self.again.clicked.connect(self._ask)
        self._ask()
        if secrets or at_once:
            self._start(tuple(secrets))

    # -- pages

    def _question(self) -> QWidget:
        act = self._act
        body = column(
            Label(act.question, "title", wrap=True), Label(act.explanation, wrap=True), spacing_px=MARGIN_PX
        )
        if act.consequences:
            body.addWidget(KeyValues(*act.consequences))
        if self._needs_password:
            body.addWidget(self.password)
        return _page(body, row(None, self.no, self.yes))

    def _waiting(self) -> QWidget:
        bar = QProgressBar()
        bar.setRange(0, 0)
        bar.setTextVisible(False)
        bar.setAccessibleName(tr("Waiting"))
        title, text = _WAITING_WORDS[self._signer.kind]
        body = column(
            row(IconLabel("timer-sand", "accent"), Label(tr(title), "title", wrap=True), None),
            Label(tr(text), wrap=True),
            self._said,
            bar,
            spacing_px=MARGIN_PX,
        )
        return _page(body, row(None, self.cancel))

    def _error(self) -> QWidget:
        close = Button(tr("Close"))
        close.clicked.connect(self.reject)
        head = row(IconLabel("alert-circle-outline", "danger"), self._problem, spacing_px=GRID_PX)
        head.setStretch(1, 1)
        body = column(
            head,
            self._rest,
            spacing_px=MARGIN_PX,
        )
        return _page(body, row(None, close, self.again))

    # -- what happens

    @property
    def _needs_password(self) -> bool:
        return self._signer.kind is WalletKind.KEYSTORE

    @property
    def is_waiting(self) -> bool:
        """Whether the wallet is being asked."""
        return self._stack.currentIndex() == _WAITING

    def _show(self, page: int) -> None:
        self._stack.setCurrentIndex(page)
        self.resize(_WIDTH_PX, max(self.height(), self._stack.totalHeightForWidth(_WIDTH_PX)))

    def _ask(self) -> None:
        self._show(_QUESTION)
        default = self.no if self._act.danger else self.yes
        default.setDefault(True)
        (self.password if self._needs_password else default).setFocus()

    def _start(self, secrets: tuple[str, ...]) -> None:
        if not secrets and self._needs_password:
            secrets = (self.password.line.text(),)
            self.password.line.clear()
            if not secrets[0]:
                self.password.set_problem(tr("Type the password."))
                self.password.setFocus()
                return
        self.password.set_problem("")
        self._said.setText("")
        self._show(_WAITING)
        self.cancel.setFocus()
        signer = self._signer
        child = Child(self, signer.home, signer.program, self._act.arguments, secrets)
        child.said.connect(self._said.setText)
        child.succeeded.connect(self._succeed)
        child.failed.connect(self._fail)
        child.cancelled.connect(self._leave)
        self._child = child

    def _succeed(self, printed: str) -> None:
        self._child = None
        try:
            found = last_json(printed)
        except CyxWizError as error:
            self._fail(error)
            return
        self.accept()
        self._done(found)

    def _fail(self, error: CyxWizError) -> None:
        self._child = None
        what, *rest = error.lines()
        self._problem.setText(what)
        self._rest.setText("\n".join(rest))
        self._show(_ERROR)
        self.again.setDefault(True)
        self.again.setFocus()

    def _leave(self) -> None:
        self._child = None
        super().reject()

    def reject(self) -> None:
        """Cancel: what runs is ended first."""
        if self._child is None:
            super().reject()
        else:
            self.cancel.set_busy(True)
            self._child.cancel()


_WAITING_WORDS = {
    WalletKind.BROWSER: (
        "Waiting for your wallet in the browser",
        "A page has opened there. It says what you sign, and your wallet asks you in its own window. "
        "Closing the page ends this, too.",
    ),
    WalletKind.KEYSTORE: ("Signing with your wallet", "The network confirms it within seconds."),
    WalletKind.KEYPAIR: ("Signing with your wallet", "The network confirms it within seconds."),
}


def _page(body: Any, buttons: Any) -> QWidget:
    made = QWidget()
    made.setLayout(column(body, None, buttons, spacing_px=SECTION_PX, margin_px=SECTION_PX))
    return made


def sign(
    parent: QWidget,
    signer: Signer,
    act: WalletAct,
    done: Callable[[dict[str, Any]], object],
    *,
    secrets: Sequence[str] = (),
    at_once: bool = False,
) -> WalletDialog:
    """Ask, have it signed, and call ``done`` with what the command printed."""
    dialog = WalletDialog(parent, signer, act, done, secrets=secrets, at_once=at_once)
    QTimer.singleShot(0, dialog.open)
    return dialog
