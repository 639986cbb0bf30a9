"""From escrow into the payout wallet: how much, what that does, and the wallet's own yes.

``cyxwiz-node withdraw`` does it, as a process of its own (:mod:`gui_kit.child`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QDialog, QProgressBar, QWidget

from gui_kit.boxes import KeyValues, column, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.child import Child
from gui_kit.fields import Field, TextField
from gui_kit.labels import Label
from gui_kit.tokens import MARGIN_PX, SECTION_PX
from gui_kit.words import tr
from node_gui.command import run_command
from node_gui.moving import check_covered, withdrawn_words
from p2p.core.errors import CyxWizError
from p2p.core.money import Asset, format_amount, parse_amount
from p2p.core.paths import Home

_WIDTH_PX = 520
_SIGNING = {
    "browser": "Your browser opens a page on which your wallet shows what it signs.",
    "keystore": "The keystore signs once you have typed its password.",
    "keypair": "The keypair file on this machine signs at once.",
}


class WithdrawDialog(QDialog):
    """``done_with``: it has happened; a sentence that says what."""

    done_with = pyqtSignal(str)

    def __init__(self, parent: QWidget, home: Home, status: dict[str, Any]) -> None:
        super().__init__(parent)
        self._home = home
        self._payout = status.get("payout") or {}
        self._escrow: dict[Asset, int] = {}
        self._command: Child | None = None
        self._withdraws = False
        self.setWindowTitle(tr("Withdraw"))
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.asset = QComboBox()
        for asset in (Asset.USDC, Asset.SOL):
            self.asset.addItem(asset.symbol, asset)
        self.amount = TextField(tr("Amount"), check=self._check_amount, placeholder="2.5")
        self.password = TextField(tr("Password of the keystore"), secret=True)
        self.everything = Button(tr("All of it"))
        self.facts = KeyValues((tr("In escrow"), "…"), (tr("After it"), "–"))
        self.problem = Label("", "problem", wrap=True)
        self.busy = QProgressBar()
        self.yes = Button(tr("Withdraw"), "primary")
        self.no = Button(tr("Cancel"))
        self._build()
        self.amount.line.setFocus()
        self._ask_balance()

    # -- what the person does

    def withdraw(self) -> None:
        """Have it signed."""
        if not (self.amount.text() and self.amount.validate()):
            self.amount.set_problem(self.amount.problem or tr("How much?"))
            self.amount.line.setFocus()
            return
        if self._needs_password() and not self.password.text():
            self.password.set_problem(tr("Without its password the keystore signs nothing."))
            self.password.line.setFocus()
            return
        units = parse_amount(self.amount.text(), self._asset())
        amount = format_amount(units, self._asset(), symbol=False)
        arguments = ("withdraw", amount, "--asset", self._asset().value, "--yes")
        password = self.password.line.text()
        self.password.line.clear()
        self._withdraws = True
        self._run(arguments, self._done, password)

    def fill_all(self) -> None:
        """All that is in escrow."""
        self.amount.set_text(format_amount(self._escrow.get(self._asset(), 0), self._asset(), symbol=False))
        self._show_after()

    def reject(self) -> None:
        """Away with it; a withdrawal that is under way is ended first."""
        if self._command is not None:
            self._command.cancel()
        if self._withdraws:
            self.done_with.emit(tr("Ended. What was signed before stays done: look at the balance."))
        super().reject()

    # -- inside

    def _build(self) -> None:
        wallet = CopyLabel(str(self._payout.get("wallet", "")), tr("the wallet"))
        kind = str(self._payout.get("kind", "keypair"))
        self.busy.setRange(0, 0)
        self.busy.setTextVisible(False)
        self.busy.setAccessibleName(tr("Working"))
        self.password.setVisible(self._needs_password())
        self.everything.clicked.connect(self.fill_all)
        self.yes.clicked.connect(self.withdraw)
        self.no.clicked.connect(self.reject)
        self.yes.setDefault(True)
        self.asset.currentIndexChanged.connect(self._show_balance)
        self.amount.line.textChanged.connect(self._show_after)
        amounts = row(self.amount, Field(tr("Asset"), self.asset), spacing_px=MARGIN_PX)
        amounts.setStretch(0, 1)
        amounts.setAlignment(Qt.AlignmentFlag.AlignTop)
        body = column(
            Label(tr("Withdraw from escrow"), "title"),
            Label(tr("Earnings arrive in escrow. This moves them into the payout wallet itself.") + " "
                  + tr(_SIGNING.get(kind, _SIGNING["keypair"])) + " "
                  + tr("The network's fee is paid in SOL by that wallet."), wrap=True),
            KeyValues((tr("To"), wallet)),
            amounts,
            row(self.everything, None),
            self.facts,
            self.password,
            self.problem,
            self.busy,
            spacing_px=MARGIN_PX,
        )  # fmt: skip
        self.problem.hide()
        self.setLayout(
            column(body, row(None, self.no, self.yes), spacing_px=SECTION_PX, margin_px=SECTION_PX)
        )
        self.setFixedWidth(_WIDTH_PX)

    def _ask_balance(self) -> None:
        self._run(("balance",), self._take_balance)

    def _run(
        self, arguments: tuple[str, ...], done: Callable[[dict[str, Any]], object], password: str = ""
    ) -> None:
        def take(answer: dict[str, Any]) -> None:
            self._rest()
            done(answer)

        self.busy.show()
        self.problem.hide()
        for button in (self.yes, self.everything):
            button.set_busy(True)
        self.adjustSize()
        self._command = run_command(self, self._home, arguments, take, self._fail, password=password)

    def _rest(self) -> None:
        self._command = None
        self._withdraws = False
        self.busy.hide()
        for button in (self.yes, self.everything):
            button.set_busy(False)
        self.adjustSize()

    def _fail(self, error: CyxWizError) -> None:
        self._rest()
        self.problem.setText("\n".join(error.lines()))
        self.problem.show()
        self.adjustSize()

    def _take_balance(self, answer: dict[str, Any]) -> None:
        self._escrow = {Asset(entry["asset"]): entry["escrow_units"] for entry in answer["assets"]}
        self._show_balance()

    def _show_balance(self) -> None:
        if self._asset() in self._escrow:
            self.facts.set(tr("In escrow"), format_amount(self._escrow[self._asset()], self._asset()))
        self._show_after()

    def _show_after(self) -> None:
        text = "–"
        try:
            units = parse_amount(self.amount.text(), self._asset())
        except CyxWizError:
            units = 0
        if units and units <= self._escrow.get(self._asset(), 0):
            text = format_amount(self._escrow[self._asset()] - units, self._asset())
        self.facts.set(tr("After it"), text)

    def _check_amount(self, text: str) -> None:
        units = parse_amount(text, self._asset())
        check_covered(units, self._escrow.get(self._asset()), self._asset())

    def _done(self, answer: dict[str, Any]) -> None:
        self.done_with.emit(withdrawn_words(answer))
        self.accept()

    def _asset(self) -> Asset:
        found = self.asset.currentData()
        return found if isinstance(found, Asset) else Asset.USDC

    def _needs_password(self) -> bool:
        return self._payout.get("kind") == "keystore"
