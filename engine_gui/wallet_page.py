"""The wallet: what is available, held and outside, what became of it, and who may spend it."""

from __future__ import annotations

from typing import Any

from PyQt6.QtWidgets import QTabWidget, QWidget

from engine_gui.account import CLI, Account
from engine_gui.deposit_form import DepositPage, WithdrawPage
from engine_gui.history_tab import HistoryTab
from engine_gui.sessions_tab import SessionsTab
from engine_gui.wallet_model import NO_LOGIN, Balance, available_text, balances
from gui_kit.boxes import Beside, Card, KeyValues, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.connect_wallet import ConnectWallet
from gui_kit.labels import Label, Money
from gui_kit.page import Page
from gui_kit.tokens import FORM_WIDTH_PX
from gui_kit.words import tr
from p2p.core.errors import CyxWizError
from p2p.core.money import Asset, format_amount

_EVERY_S = 10
_JOBS_EVERY_S = 5
_CARD_PX = 320
_TABS_PX = 280


class WalletPage(Page):
    """Balances above; history and session keys below."""

    def __init__(self, account: Account) -> None:
        self.deposit = Button(tr("Deposit"), "primary", "tray-arrow-down")
        super().__init__(tr("Wallet"), "wallet-outline", action=self.deposit, scrolls=True)
        self._account = account
        self._jobs: list[dict[str, Any]] = []
        self._answer: dict[str, Any] | None = None
        self._address = CopyLabel("", tr("the address of your wallet"))
        self.withdraw = Button(tr("Withdraw"), icon_name="tray-arrow-up")
        self.switch = Button(tr("Switch the wallet"), "flat", "account-switch-outline")
        self.cards = {asset: BalanceCard(asset) for asset in (Asset.USDC, Asset.SOL)}
        self.history, self.sessions = HistoryTab(account), SessionsTab(account)
        self._lay_out()
        self.deposit.clicked.connect(lambda: account.frame.open_page(DepositPage(account)))
        self.withdraw.clicked.connect(lambda: account.frame.open_page(WithdrawPage(account)))
        self.switch.clicked.connect(self._connect)
        self.show_loading(tr("Loading your wallet"))
        self._feed = account.frame.link.poll(self, "wallet_balance", every_s=_EVERY_S)
        self._feed.item.connect(self._show_balances)
        self._feed.failed.connect(self._fail)
        self._jobs_feed = account.frame.link.poll(self, "jobs", every_s=_JOBS_EVERY_S)
        self._jobs_feed.item.connect(self._show_jobs)
        account.changes.money.connect(self._feed.refresh)

    def _lay_out(self) -> None:
        address = QWidget()
        line = row(Label(tr("Address"), "muted"), self._address, self.switch, self.withdraw)
        line.setStretch(1, 1)
        address.setLayout(line)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(tr("Parts of the wallet"))
        self.tabs.addTab(self.history, tr("History"))
        self.tabs.addTab(self.sessions, tr("Session keys"))
        if (bar := self.tabs.tabBar()) is not None:
            bar.setAccessibleName(tr("Parts of the wallet"))
            bar.setDrawBase(False)
        self.tabs.setMinimumHeight(_TABS_PX)
        self.body.addWidget(address)
        self.body.addWidget(Beside(*self.cards.values(), narrowest_px=_CARD_PX))
        self.body.addWidget(self.tabs, 1)

    def reload(self) -> None:
        self._feed.refresh()
        self._jobs_feed.refresh()
        self.history.refresh()
        self.sessions.refresh()

    def _show_balances(self, answer: dict[str, Any]) -> None:
        self._answer = answer
        self._address.set_text(answer["wallet"])
        self._account.frame.set_balance(available_text(answer))  # not two amounts at once
        for balance in balances(answer, self._jobs):
            self.cards[balance.asset].show_balance(balance)
        self.deposit.setEnabled(True)
        self.show_content()

    def _show_jobs(self, jobs: list[dict[str, Any]]) -> None:
        self._jobs = jobs
        if self._answer is not None:
            for balance in balances(self._answer, jobs):
                self.cards[balance.asset].show_balance(balance)

    def _fail(self, error: CyxWizError) -> None:
        if error.code == NO_LOGIN:
            self.deposit.setEnabled(False)
            self.show_empty(tr("No wallet is connected."), tr("Connect a wallet"), self._connect)
        else:
            self.show_error(error, self.reload)

    def _connect(self) -> None:
        self._account.frame.open_page(ConnectPage(self._account))


class BalanceCard(Card):
    """One asset."""

    def __init__(self, asset: Asset) -> None:
        super().__init__(tr("{asset} in escrow, available for jobs", asset=asset.symbol))
        self.available = Money(0, asset, "heading", alone=True)
        self._held, self._wallet, self._spend = (
            tr("Held by open jobs"),
            tr("In your wallet"),
            tr("This computer may spend"),
        )
        self._pairs = KeyValues((self._held, ""), (self._wallet, ""), (self._spend, ""))
        self.body.addWidget(self.available)
        self.body.addWidget(self._pairs)
        self.body.addStretch(1)

    def show_balance(self, balance: Balance) -> None:
        """Show it."""
        self.available.set_amount(balance.available_units, balance.asset)
        self._pairs.set(self._held, format_amount(balance.held_units, balance.asset))
        self._pairs.set(self._wallet, format_amount(balance.wallet_units, balance.asset))
        self._pairs.set(self._spend, balance.spend_words)


class ConnectPage(Page):
    """Connect a wallet, or another one."""

    def __init__(self, account: Account) -> None:
        super().__init__(tr("Connect a wallet"), "wallet-outline", scrolls=True)
        self._account = account
        self.form = ConnectWallet(account.home, CLI)
        self.form.connected.connect(self._connected)
        why = tr(
            "Your wallet proves who you are, and signs when money moves. Day to day this computer pays for "
            "jobs by session keys, which can withdraw nothing."
        )
        explanation = Label(why, "muted", wrap=True)
        explanation.setMaximumWidth(FORM_WIDTH_PX)
        self.body.addWidget(explanation)
        card = Card("", self.form)
        card.setMaximumWidth(FORM_WIDTH_PX)
        self.body.addWidget(card)
        self.body.addStretch(1)

    def _connected(self, found: dict[str, Any]) -> None:
        self._account.changes.money.emit()
        self._account.frame.toasts.show(tr("Your wallet is connected."))
        self._account.frame.back()
