"""Connecting a wallet: one in the browser, one of this computer, a new one, one from its words, or a file."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QButtonGroup, QFileDialog, QPlainTextEdit, QRadioButton, QVBoxLayout, QWidget

from gui_kit.boxes import column, row
from gui_kit.buttons import Button
from gui_kit.child import Child
from gui_kit.fields import Field, TextField
from gui_kit.labels import Label
from gui_kit.phrase import PhraseDialog
from gui_kit.tokens import FORM_WIDTH_PX, GRID_PX, HALF_PX, MARGIN_PX, SECTION_PX
from gui_kit.wallet_dialog import Signer, WalletAct, sign
from gui_kit.words import tr
from p2p.core.errors import CyxWizError
from p2p.core.paths import Home
from p2p.core.wallet_choice import WalletKind

KEYSTORES = "p2p.engine.cli"
"""The program that makes keystores, for buyers and sellers alike."""
_PHRASE_LINES_PX = 72


class Way(Enum):
    """How a wallet is connected."""

    BROWSER = "browser"
    KEYSTORE = "keystore"
    CREATE = "create"
    IMPORT = "import"
    KEYPAIR = "keypair"


_WORDS = {
    Way.BROWSER: ("The wallet in my browser", "Phantom, Solflare or another. Your key never leaves it."),
    Way.KEYSTORE: ("The wallet of this computer", "An encrypted file, opened by your password."),
    Way.CREATE: ("Create a new wallet", "An encrypted file on this computer, and 24 words on your paper."),
    Way.IMPORT: (
        "Import a wallet from its words",
        "The 12 to 24 words that you wrote down when it was made.",
    ),
    Way.KEYPAIR: ("A keypair file", "As the Solana command line writes it: not encrypted. For servers."),
}


class ConnectWallet(QWidget):
    """``program``: of the command line whose ``login`` connects it; ``meaning``: what that does, if it is
    not what it does for a buyer. ``connected`` comes with what the command printed."""

    connected = pyqtSignal(object)

    def __init__(self, home: Home, program: str, meaning: str = "") -> None:
        super().__init__()
        self._home, self._program = home, program
        self._meaning = meaning or tr(
            "You prove that it is yours, and let this computer pay for jobs from what you deposit."
        )
        self._group = QButtonGroup(self)
        self.ways: dict[Way, QRadioButton] = {}
        self.password = TextField(tr("Password of the wallet"), secret=True)
        self.new_password = TextField(
            tr("New password"), tr("It encrypts the file. Without it the file is worth nothing."), secret=True
        )
        self.again = TextField(tr("New password, once more"), secret=True)
        self.words = QPlainTextEdit()
        self.words.setUndoRedoEnabled(False)
        self.words.setTabChangesFocus(True)
        self.words.setFixedHeight(_PHRASE_LINES_PX)
        self.phrase = Field(tr("The words"), self.words, tr("In their order, with spaces between them."))
        self.file = TextField(tr("File"), placeholder=tr("/path/to/keypair.json"))
        self._choose_file = Button(tr("Choose…"))
        self._file_row = QWidget()
        self._problem = Label("", "problem", wrap=True)
        self.connect_button = Button(tr("Connect"), "primary")
        self._lay_out()
        self._group.idClicked.connect(lambda _: self._show_fields())
        self._choose_file.clicked.connect(self._pick)
        self.connect_button.clicked.connect(self.submit)
        for field in (self.password, self.again, self.file):
            field.on_return(self.submit)
        self.refresh()

    def _lay_out(self) -> None:
        choices = QVBoxLayout()
        choices.setSpacing(GRID_PX)
        for number, way in enumerate(Way):
            title, help_text = _WORDS[way]
            button = QRadioButton(tr(title))
            button.setAccessibleName(tr(title))
            button.setAccessibleDescription(tr(help_text))
            note = Label(tr(help_text), "small", wrap=True)
            note.setContentsMargins(SECTION_PX, 0, 0, 0)
            self._group.addButton(button, number)
            self.ways[way] = button
            box = QWidget()
            box.setLayout(column(button, note, spacing_px=HALF_PX))
            choices.addWidget(box)
        line = row(self.file, self._choose_file)
        line.setStretch(0, 1)
        self._file_row.setLayout(line)
        fields = (self.password, self.phrase, self.new_password, self.again, self._file_row, self._problem)
        self.setLayout(column(choices, column(*fields), row(self.connect_button, None), spacing_px=MARGIN_PX))
        self.setMaximumWidth(FORM_WIDTH_PX)

    # -- choosing

    @property
    def way(self) -> Way:
        """The one that is chosen."""
        return next(way for way, button in self.ways.items() if button.isChecked())

    def choose(self, way: Way) -> None:
        """Choose one."""
        self.ways[way].setChecked(True)
        self._show_fields()

    def refresh(self) -> None:
        """Offer what there is: a home has one keystore."""
        has_one = self._home.engine.keystore.exists()
        for way, shown in ((Way.KEYSTORE, has_one), (Way.CREATE, not has_one), (Way.IMPORT, not has_one)):
            box = self.ways[way].parentWidget()
            if box is not None:
                box.setVisible(shown)
        self.choose(Way.KEYSTORE if has_one else Way.BROWSER)

    def forget(self) -> None:
        """Keep no secret in any field."""
        for field in (self.password, self.new_password, self.again):
            field.line.clear()
        self.words.clear()

    def _show_fields(self) -> None:
        self.forget()
        self._say("")
        way, makes = self.way, self.way in (Way.CREATE, Way.IMPORT)
        for widget, shown in (
            (self.password, way is Way.KEYSTORE),
            (self.phrase, way is Way.IMPORT),
            (self.new_password, makes),
            (self.again, makes),
            (self._file_row, way is Way.KEYPAIR),
        ):
            widget.setVisible(shown)

    def _pick(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Choose a keypair file"))
        if path:
            self.file.set_text(path)

    # -- doing

    def submit(self) -> None:
        """Connect the wallet that is chosen."""
        self._say("")
        match self.way:
            case Way.BROWSER:
                self._log_in(WalletKind.BROWSER, ("--browser",))
            case Way.KEYSTORE:
                self._unlock(self.password.line.text())
            case Way.KEYPAIR:
                if self._filled(self.file, self.file.text(), tr("Choose a file.")):
                    self._log_in(WalletKind.KEYPAIR, ("--keypair", str(Path(self.file.text()).expanduser())))
            case Way.CREATE | Way.IMPORT:
                self._make()

    def _make(self) -> None:
        """A keystore: a new wallet, or one from its words."""
        password, words = self.new_password.line.text(), " ".join(self.words.toPlainText().split())
        importing = self.way is Way.IMPORT
        if importing and not self._filled(self.phrase, words, tr("Type the words.")):
            return
        if not self._filled(self.new_password, password, tr("Choose a password.")):
            return
        differ = password != self.again.line.text()
        self.again.set_problem(tr("The two passwords differ.") if differ else "")
        if differ:
            self.again.setFocus()
            return
        arguments = ("wallet", "import") if importing else ("wallet", "create", "--yes")
        secrets = (words, password) if importing else (password,)
        self.forget()
        self._set_busy(True)
        child = Child(self, self._home.root, KEYSTORES, arguments, secrets)
        child.succeeded.connect(lambda printed: self._made(printed, password, importing))
        child.failed.connect(self._fail)

    def _set_busy(self, busy: bool) -> None:
        """While a keystore is being made nobody goes elsewhere: its words could not be shown then."""
        if (window := self.window()) is not None:
            window.setEnabled(not busy)

    def _made(self, printed: str, password: str, imported: bool) -> None:
        self._set_busy(False)
        if imported:
            self.refresh()
            self._unlock(password)
            return
        words = printed.partition("\n")[0].split()
        dialog = PhraseDialog(self, words, lambda: self._confirmed(password))
        dialog.rejected.connect(self._unconfirmed)
        dialog.open()

    def _confirmed(self, password: str) -> None:
        self.refresh()
        self._unlock(password)

    def _unconfirmed(self) -> None:
        self.refresh()
        self._say(
            tr(
                "The words were not confirmed: should this computer or the password be lost, so is the "
                "wallet. Put no money into it. Remove {path} to make another one.",
                path=self._home.engine.keystore,
            )
        )

    def _unlock(self, password: str) -> None:
        if self._filled(self.password, password, tr("Type the password.")):
            self.forget()
            self._log_in(WalletKind.KEYSTORE, ("--keystore", str(self._home.engine.keystore)), (password,))

    def _log_in(self, kind: WalletKind, options: tuple[str, ...], secrets: tuple[str, ...] = ()) -> None:
        act = WalletAct(
            tr("Connect your wallet"),
            self._meaning,
            tr("Connect"),
            ("login", *options, "--json"),
        )
        sign(
            self, Signer(self._home.root, self._program, kind), act, self._done, secrets=secrets, at_once=True
        )

    def _done(self, found: dict[str, Any]) -> None:
        self.connected.emit(found)

    def _fail(self, error: CyxWizError) -> None:
        self._set_busy(False)
        self._say(" ".join(error.lines()))

    def _filled(self, field: Field, text: str, problem: str) -> bool:
        field.set_problem("" if text else problem)
        if not text:
            field.setFocus()
        return bool(text)

    def _say(self, problem: str) -> None:
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))
