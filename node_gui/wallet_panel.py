"""Which wallet this node is paid to, and how to choose another. In the settings and in the first run.

``cyxwiz-node login`` does it, as a process of its own (:mod:`node_gui.command`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PyQt6.QtCore import QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QComboBox, QFileDialog, QProgressBar, QWidget

from gui_kit.boxes import Form, KeyValues, column, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.fields import Field, TextField
from gui_kit.labels import IconLabel, Label
from gui_kit.tokens import MARGIN_PX
from gui_kit.words import short_id, tr
from node_gui.command import NodeCommand
from node_gui.payout_wallet import (
    BROWSER,
    KEYPAIR,
    KEYSTORE,
    OWN,
    backup_words,
    kind_words,
    login_arguments,
)
from p2p.core.errors import CyxWizError, UserError
from p2p.core.paths import Home


class WalletPanel(QWidget):
    """``logged_in`` comes with a sentence."""

    logged_in = pyqtSignal(str)

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._home = home
        self._file_shown = ""
        self._command: NodeCommand | None = None
        self.address, self.file = CopyLabel("", tr("the wallet")), CopyLabel("", tr("the file's path"))
        self.facts = KeyValues(
            (tr("Paid to"), self.address), (tr("Its key is"), "–"), (tr("File"), self.file)
        )
        self.login_words = Label("", wrap=True)
        self.backup = Label("", wrap=True)
        self._backup_row = QWidget()
        self.kind = QComboBox()
        self.path = TextField(tr("File"), placeholder=tr("its whole path"))
        self.password = TextField(tr("Password of the keystore"), secret=True)
        self.use = Button(tr("Use this wallet"))
        self.stop = Button(tr("Cancel"))
        self.busy = QProgressBar()
        self.note, self.problem = Label("", "small", wrap=True), Label("", "problem", wrap=True)
        self._build()

    def show_payout(self, payout: dict[str, Any]) -> None:
        """Show the wallet that the agent names."""
        self.address.set_text(str(payout.get("wallet") or ""))
        self.facts.set(tr("Its key is"), kind_words(payout))
        self._file_shown = str(payout.get("file") or "")
        self.file.set_text(self._file_shown)
        self.facts.show_pair(tr("File"), bool(self._file_shown))
        self.backup.setText(backup_words(payout))
        self._backup_row.setVisible(bool(self.backup.text()))
        words = str(payout.get("login_words") or "")
        self.login_words.setText(words)
        self.login_words.setVisible(bool(words))
        self.login_words.set_token("warning" if payout.get("login") in ("ended", "ends_soon") else "muted")

    def log_in(self) -> None:
        """Have the chosen wallet paid."""
        kind = str(self.kind.currentData())
        try:
            arguments = login_arguments(kind, self.path.text(), self._home)
        except UserError as error:
            self.path.set_problem(error.what)
            self.path.line.setFocus()
            return
        if kind == KEYSTORE and not self.password.line.text():
            self.password.set_problem(tr("Without its password the keystore signs nothing."))
            self.password.line.setFocus()
            return
        password = self.password.line.text() if kind == KEYSTORE else ""
        self.password.line.clear()
        self._command = NodeCommand(self, self._home, *arguments, password=password)
        self._command.succeeded.connect(self._done)
        self._command.failed.connect(self._fail)
        self._set_busy(True)

    # -- inside

    def _build(self) -> None:
        for word, key in (
            (tr("In my browser (Phantom, Solflare, …)"), BROWSER),
            (tr("This node's own wallet"), OWN),
            (tr("In an encrypted keystore"), KEYSTORE),
            (tr("In a keypair file"), KEYPAIR),
        ):
            self.kind.addItem(word, key)
        show = Button(tr("Show in folder"), "flat")
        show.clicked.connect(self._show_folder)
        line = row(IconLabel("shield-key-outline", "warning"), self.backup, show)
        line.setStretch(1, 1)
        self._backup_row.setLayout(line)
        choose = Button(tr("Choose"))
        choose.setAccessibleName(tr("Choose the wallet's file"))
        choose.clicked.connect(self._choose_file)
        self._file_row = QWidget()
        file_line = row(self.path, choose)
        file_line.setStretch(0, 1)
        self._file_row.setLayout(file_line)
        self.busy.setRange(0, 0)
        self.busy.setTextVisible(False)
        self.busy.setAccessibleName(tr("Logging in"))
        form = Form(
            Field(tr("Pay to another wallet"), self.kind),
            self.note,
            self._file_row,
            self.password,
            self.problem,
            self.busy,
            row(self.use, self.stop, None),
        )
        self.setLayout(column(self.facts, self.login_words, self._backup_row, form, spacing_px=MARGIN_PX))
        self.kind.currentIndexChanged.connect(self._show_kind)
        self.use.clicked.connect(self.log_in)
        self.stop.clicked.connect(self._cancel)
        for part in (self.problem, self._backup_row, self.login_words):
            part.hide()
        self._set_busy(False)
        self._show_kind()

    def _show_kind(self) -> None:
        kind = self.kind.currentData()
        notes = {
            BROWSER: tr("A page opens in your browser. Your wallet signs there that this node may name it; "
                        "that moves no money, and lasts 30 days."),
            OWN: tr("Its key lies on this machine, and the node logs in by itself."),
            KEYSTORE: tr("The keystore signs once now, which lasts 30 days; its password is not kept."),
            KEYPAIR: tr("The node reads the file and logs in by itself."),
        }  # fmt: skip
        self.note.setText(notes[kind])
        self._file_row.setVisible(kind in (KEYSTORE, KEYPAIR))
        self.password.setVisible(kind == KEYSTORE)

    def _set_busy(self, busy: bool) -> None:
        self.busy.setVisible(busy)
        self.stop.setVisible(busy)
        self.use.set_busy(busy)
        self.kind.setEnabled(not busy)
        if busy:
            self.problem.hide()

    def _cancel(self) -> None:
        if self._command is not None:
            self._command.cancel()

    def _done(self, answer: dict[str, Any]) -> None:
        self._command = None
        self._set_busy(False)
        self.logged_in.emit(
            tr("This node is paid to {wallet} from now on.", wallet=short_id(answer["wallet"]))
        )

    def _fail(self, error: CyxWizError) -> None:
        self._command = None
        self._set_busy(False)
        self.problem.setText("\n".join(error.lines()))
        self.problem.show()

    def _choose_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, tr("The wallet's file"), str(self._home.root))
        if name:
            self.path.set_text(name)
            self.path.set_problem("")

    def _show_folder(self) -> None:
        folder = str(Path(self._file_shown).parent)
        QDesktopServices.openUrl(QUrl.fromLocalFile(folder))
