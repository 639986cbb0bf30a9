"""Which wallet this node is paid to, and how to choose another. In the settings and in the first run.

``cyxwiz-node login`` does it, as a process of its own (:mod:`gui_kit.child`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PyQt6.QtCore import QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QWidget

from gui_kit.boxes import KeyValues, column, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.connect_wallet import ConnectWallet
from gui_kit.labels import IconLabel, Label
from gui_kit.tokens import MARGIN_PX
from gui_kit.wallet_dialog import Signer, WalletAct, WalletDialog, sign
from gui_kit.words import short_id, tr
from node_gui.command import PROGRAM
from node_gui.payout_wallet import OWN_FILE, backup_words, kind_words
from p2p.core.paths import Home
from p2p.core.wallet_choice import WalletKind


class WalletPanel(QWidget):
    """``logged_in`` comes with a sentence."""

    logged_in = pyqtSignal(str)

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._home = home
        self._file_shown = ""
        self.address, self.file = CopyLabel("", tr("the wallet")), CopyLabel("", tr("the file's path"))
        self.facts = KeyValues((tr("Paid to"), self.address), (tr("Its key is"), "–"))
        self.facts.add(tr("File"), self.file)
        self.login_words = Label("", wrap=True)
        self.backup = Label("", wrap=True)
        self.another = Button(tr("Pay to another wallet"))
        self.own = Button(tr("Pay to the node's own wallet"))
        self.connect_wallet = ConnectWallet(
            home, PROGRAM, tr("You prove that it is yours, and this node is paid to it. That moves no money.")
        )
        self._backup_row = QWidget()
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
        own = self._file_shown == str(self._own_file)
        self.own.setVisible(bool(payout) and not own and self._own_file.exists())
        words = str(payout.get("login_words") or "")
        self.login_words.setText(words)
        self.login_words.setVisible(bool(words))
        self.login_words.set_token("warning" if payout.get("login") in ("ended", "ends_soon") else "muted")

    def pay_to_own(self) -> WalletDialog:
        """Have the node's own wallet paid again."""
        act = WalletAct(
            tr("Pay to the node's own wallet?"),
            tr("Its key lies in {file}. What other wallets have earned stays theirs.", file=self._own_file),
            tr("Pay to it"),
            ("login", "--keypair", str(self._own_file), "--json"),
        )
        return sign(self, Signer(self._home.root, PROGRAM, WalletKind.KEYPAIR), act, self._done)

    # -- inside

    @property
    def _own_file(self) -> Path:
        return self._home.node.folder / OWN_FILE

    def _build(self) -> None:
        show = Button(tr("Show in folder"), "flat")
        show.clicked.connect(self._show_folder)
        line = row(IconLabel("shield-key-outline", "warning"), self.backup, show)
        line.setStretch(1, 1)
        self._backup_row.setLayout(line)
        self.another.setCheckable(True)
        self.another.toggled.connect(self.connect_wallet.setVisible)
        self.own.clicked.connect(self.pay_to_own)
        self.connect_wallet.connected.connect(self._done)
        buttons = row(self.another, self.own, None)
        parts = (self.facts, self.login_words, self._backup_row, buttons, self.connect_wallet)
        self.setLayout(column(*parts, spacing_px=MARGIN_PX))
        for part in (self._backup_row, self.login_words, self.own, self.connect_wallet):
            part.hide()

    def _done(self, answer: dict[str, Any]) -> None:
        self.another.setChecked(False)
        wallet = short_id(str(answer["wallet"]))
        self.logged_in.emit(tr("This node is paid to {wallet} from now on.", wallet=wallet))

    def _show_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(self._file_shown).parent)))
