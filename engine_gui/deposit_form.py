"""Money into escrow: fill the wallet (address, QR code, test money), then move an amount."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtWidgets import QComboBox, QWidget

from engine_gui.account import CLI, Account
from engine_gui.wallet_acts import deposit_act, withdraw_act
from engine_gui.wallet_model import Balance, balances
from gui_kit.boxes import Beside, Card, KeyValues, column, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.child import Child
from gui_kit.fields import Field, TextField
from gui_kit.labels import Label, Money
from gui_kit.page import Page
from gui_kit.qr import QrCode
from gui_kit.tokens import FORM_WIDTH_PX, MARGIN_PX
from gui_kit.words import tr
from p2p.core.errors import CyxWizError
from p2p.core.money import Asset, format_amount, parse_amount

_ASSETS = (Asset.USDC, Asset.SOL)
_CARD_PX = 340
FAUCET: dict[str, dict[Asset, str]] = {
    "localnet": {Asset.USDC: "100", Asset.SOL: "1"},
    "devnet": {Asset.SOL: "1"},
}
"""What a press of the button gives, where the network gives any."""


class AmountForm(QWidget):
    """An asset and an amount of it, checked against what there is; ``all_units`` says how much that is."""

    def __init__(self, all_units: Callable[[Balance], int], all_word: str) -> None:
        super().__init__()
        self._all_units = all_units
        self._balances: tuple[Balance, ...] = ()
        self.asset = QComboBox()
        for asset in _ASSETS:
            self.asset.addItem(asset.symbol, asset)
        self.amount = TextField(tr("Amount"), placeholder="10", check=self._check)
        self.all = Button(all_word, "flat")
        self.all.clicked.connect(self._fill_all)
        self.asset.currentIndexChanged.connect(lambda _: self.amount.validate())
        self.setLayout(column(Field(tr("Asset"), self.asset), self.amount, spacing_px=MARGIN_PX))

    def set_balances(self, found: tuple[Balance, ...]) -> None:
        """What there is now."""
        self._balances = found

    def chosen(self) -> tuple[Asset, int, Balance] | None:
        """Asset, amount and balance; None: something is wrong, and is said."""
        balance = self.balance()
        if not self.amount.text():
            self.amount.set_problem(tr("Type an amount."))
        elif balance is not None and self.amount.validate():
            return balance.asset, parse_amount(self.amount.text(), balance.asset), balance
        self.amount.setFocus()
        return None

    def balance(self) -> Balance | None:
        """That of the chosen asset."""
        asset = self.asset.currentData()
        return next((balance for balance in self._balances if balance.asset is asset), None)

    def _check(self, text: str) -> None:
        asset, balance = self.asset.currentData(), self.balance()
        units = parse_amount(text, asset)
        if balance is not None and units > self._all_units(balance):
            have = format_amount(self._all_units(balance), asset)
            raise CyxWizError("too_much", tr("There are only {amount}.", amount=have))

    def _fill_all(self) -> None:
        balance = self.balance()
        if balance is not None:
            self.amount.set_text(format_amount(self._all_units(balance), balance.asset, symbol=False))
            self.amount.validate()


class DepositForm(QWidget):
    """Two cards side by side, one under the other where there is little room."""

    def __init__(self, account: Account, done: Callable[[], object]) -> None:
        super().__init__()
        self._account, self._done = account, done
        self._cluster = ""
        self._code = QrCode()
        self._address = CopyLabel("", tr("the address of your wallet"))
        self._amounts = {asset: Money(0, asset, alone=True) for asset in _ASSETS}
        self.faucets = {asset: Button(tr("Get test {asset}", asset=asset.symbol)) for asset in _ASSETS}
        self.form = AmountForm(lambda balance: balance.wallet_units, tr("All of it"))
        self.deposit = Button(tr("Deposit"), "primary")
        self.deposit.clicked.connect(self._start)
        self.form.amount.on_return(self._start)
        for asset, button in self.faucets.items():
            button.clicked.connect(lambda _=False, asset=asset: self._get(asset))
            button.hide()
        self.setLayout(column(Beside(self._fill_card(), self._move_card(), narrowest_px=_CARD_PX)))
        self._feed = account.frame.link.poll(self, "wallet_balance", every_s=5)
        self._feed.item.connect(self._show)

    def _fill_card(self) -> Card:
        why = tr(
            "Send USDC, or SOL, from an exchange or another wallet to this address. A little SOL pays fees."
        )
        pairs = KeyValues(
            (tr("Address"), self._address),
            *((tr("{asset} in it", asset=asset.symbol), label) for asset, label in self._amounts.items()),
        )
        card = Card(
            tr("Your wallet"), Label(why, "muted", wrap=True), row(self._code, None), pairs,
            row(*self.faucets.values(), None),
        )  # fmt: skip
        card.body.addStretch(1)
        return card

    def _move_card(self) -> Card:
        why = tr("Jobs are paid from escrow. What a job does not use comes back to it by itself.")
        card = Card(
            tr("Into escrow"),
            Label(why, "muted", wrap=True),
            self.form,
            row(self.deposit, self.form.all, None),
        )
        card.body.addStretch(1)
        return card

    def _show(self, answer: dict[str, Any]) -> None:
        self._cluster = answer["cluster"]
        if self._address.text() != answer["wallet"]:
            self._address.set_text(answer["wallet"])
            self._code.set_text(f"solana:{answer['wallet']}")
            self._code.setAccessibleName(tr("QR code of the address of your wallet"))
        found = balances(answer, ())
        for balance in found:
            self._amounts[balance.asset].set_amount(balance.wallet_units, balance.asset)
        for asset, button in self.faucets.items():
            button.setVisible(asset in FAUCET.get(self._cluster, {}))
        self.form.set_balances(found)

    def _get(self, asset: Asset) -> None:
        button, amount = self.faucets[asset], FAUCET[self._cluster][asset]
        button.set_busy(True)
        arguments = ("wallet", "faucet", amount, "--asset", asset.value, "--json")
        child = Child(self, self._account.home.root, CLI, arguments)
        child.succeeded.connect(lambda _: self._got(button))
        child.failed.connect(lambda error: self._not_got(button, error))

    def _got(self, button: Button) -> None:
        button.set_busy(False)
        self._feed.refresh()
        self._account.changes.money.emit()

    def _not_got(self, button: Button, error: CyxWizError) -> None:
        button.set_busy(False)
        self._account.tell(error)

    def _start(self) -> None:
        chosen = self.form.chosen()
        if chosen is not None:
            asset, units, balance = chosen
            self._account.sign(self, deposit_act(units, asset, balance.available_units), self._deposited)

    def _deposited(self, found: dict[str, Any]) -> None:
        self.form.amount.set_text("")
        self._feed.refresh()
        self._account.frame.toasts.show(tr("Deposited. It is available for jobs now."))
        self._done()


class DepositPage(Page):
    """The form as a page of its own."""

    def __init__(self, account: Account) -> None:
        super().__init__(tr("Deposit"), "tray-arrow-down", scrolls=True)
        self.form = DepositForm(account, account.frame.back)
        self.body.addWidget(self.form)
        self.body.addStretch(1)


class WithdrawPage(Page):
    """Back into the wallet."""

    def __init__(self, account: Account) -> None:
        super().__init__(tr("Withdraw"), "tray-arrow-up", scrolls=True)
        self._account = account
        self.form = AmountForm(lambda balance: balance.available_units, tr("All of it"))
        button = Button(tr("Withdraw"), "primary")
        button.clicked.connect(self._start)
        self.form.amount.on_return(self._start)
        why = tr("From your balance in escrow back into your wallet. Jobs that are open keep what they hold.")
        card = Card(
            tr("Back to your wallet"),
            Label(why, "muted", wrap=True),
            self.form,
            row(button, self.form.all, None),
        )
        card.setMaximumWidth(FORM_WIDTH_PX)
        self.body.addWidget(card)
        self.body.addStretch(1)
        feed = account.frame.link.poll(self, "wallet_balance", every_s=5)
        feed.item.connect(lambda answer: self.form.set_balances(balances(answer, ())))

    def _start(self) -> None:
        chosen = self.form.chosen()
        if chosen is not None:
            asset, units, balance = chosen
            self._account.sign(self, withdraw_act(units, asset, balance.available_units), self._withdrawn)

    def _withdrawn(self, found: dict[str, Any]) -> None:
        self._account.frame.toasts.show(tr("Withdrawn. It is in your wallet now."))
        self._account.frame.back()
