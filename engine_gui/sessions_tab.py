"""The keys that may spend what is in escrow: of every computer, how much and until when, and their end."""

from __future__ import annotations

from typing import Any

from PyQt6.QtWidgets import QComboBox, QWidget

from engine_gui.account import Account
from engine_gui.wallet_acts import renew_act, revoke_act
from engine_gui.wallet_model import SessionRow, session_look, session_rows
from gui_kit.boxes import Card, column, row
from gui_kit.buttons import Button
from gui_kit.fields import Field, TextField
from gui_kit.labels import Label
from gui_kit.listing import Listing
from gui_kit.page import Page
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.tokens import FORM_WIDTH_PX, GRID_PX, MARGIN_PX
from gui_kit.words import short_id, time_text, tr
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import CyxWizError
from p2p.core.limits import SESSION_DAYS, SESSION_DAYS_MAX
from p2p.core.money import Asset, format_amount, parse_amount

_EVERY_S = 30


def columns() -> tuple[Column[SessionRow], ...]:
    """What the table shows of a key."""
    return (
        Column(tr("State"), lambda r: session_look(r).word, look=session_look, width_px=136),
        Column(
            tr("Computer"), lambda r: tr("This computer") if r.here else tr("Another computer"), width_px=144
        ),
        Column(tr("May still spend"), lambda r: r.remaining, lambda r: r.remaining_units, numeric=True,
               width_px=168),
        Column(tr("Until"), lambda r: time_text(r.until_s), lambda r: r.until_s, width_px=168),
        Column(tr("SOL for fees"), lambda r: r.sol, numeric=True, width_px=160),
        Column(tr("Key"), lambda r: short_id(r.key), stretch=True),
    )  # fmt: skip


class SessionsTab(QWidget):
    """Renew this computer's, end any."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self._account = account
        self.table: Table[SessionRow] = Table(tr("Session keys"), columns(), sort_by=1, descending=True)
        self._listing = Listing(self.table, tr("Loading the session keys"))
        self.renew = Button(tr("Renew this computer's"), "flat", "key-plus")
        self.end = Button(tr("End the key"), "flat", "key-remove")
        self.setLayout(column(self._listing, row(self.renew, self.end, None), spacing_px=GRID_PX))
        self.renew.clicked.connect(lambda: account.frame.open_page(RenewPage(account)))
        self.end.clicked.connect(self._end)
        self.table.chosen.connect(lambda found: self.end.setEnabled(found is not None))
        self.end.setEnabled(False)
        self._feed = account.frame.link.poll(self, "wallet_sessions", every_s=_EVERY_S)
        self._feed.item.connect(self._show)
        self._feed.failed.connect(self._fail)
        account.changes.money.connect(self.refresh)

    def refresh(self) -> None:
        """Ask anew."""
        self._feed.refresh()

    def _show(self, answer: list[dict[str, Any]]) -> None:
        self.table.set_rows(session_rows(answer, SYSTEM_CLOCK.now_s()))
        nothing = tr("No session key may spend anything. Your first deposit gives this computer one.")
        self._listing.say("" if answer else nothing)
        self.end.setVisible(bool(answer))

    def _fail(self, error: CyxWizError) -> None:
        self._listing.warn("\n".join(error.lines()))

    def _end(self) -> None:
        found = self.table.current()
        if found is not None:
            self._account.sign(self, revoke_act(found.key, here=found.here), self._ended)

    def _ended(self, _found: dict[str, Any]) -> None:
        self._account.frame.toasts.show(tr("The key is ended. It can spend nothing any more."))


class RenewPage(Page):
    """How much, and for how long, this computer may spend."""

    def __init__(self, account: Account) -> None:
        super().__init__(tr("Let this computer pay"), "key-plus", scrolls=True)
        self._account = account
        self._allow: dict[str, int | None] = {}
        self.asset = QComboBox()
        for asset in (Asset.USDC, Asset.SOL):
            self.asset.addItem(asset.symbol, asset)
        self.limit = TextField(
            tr("At most"),
            tr("Left empty: all that is in escrow."),
            placeholder=tr("all"),
            check=self._check_limit,
        )
        days_help = tr("1 to {most}. After that your wallet has to sign again.", most=SESSION_DAYS_MAX)
        self.days = TextField(tr("For how many days"), days_help, check=_days)
        self.days.set_text(str(SESSION_DAYS))
        button = Button(tr("Renew"), "primary")
        button.clicked.connect(self._start)
        why = tr(
            "Your wallet signs once; then this computer's session keys pay for jobs by themselves. They can "
            "withdraw nothing. The limit holds for later deposits and logins, too."
        )
        form = QWidget()
        form.setLayout(
            column(
                Label(why, "muted", wrap=True), Field(tr("Asset"), self.asset), self.limit, self.days,
                row(button, None), spacing_px=MARGIN_PX,
            )
        )  # fmt: skip
        card = Card("", form)
        card.setMaximumWidth(FORM_WIDTH_PX)
        self.body.addWidget(card)
        self.body.addStretch(1)
        self.asset.currentIndexChanged.connect(lambda _: self._fill())
        account.frame.link.call(self, "session_limits").then(self._show, account.tell)

    def _show(self, limits: dict[str, Any]) -> None:
        self._allow = limits["allow"]
        self.days.set_text(str(limits["days"]))
        self._fill()

    def _fill(self) -> None:
        asset = self.asset.currentData()
        units = self._allow.get(asset.value)
        self.limit.set_text("" if units is None else format_amount(units, asset, symbol=False))

    def _check_limit(self, text: str) -> None:
        parse_amount(text, self.asset.currentData())

    def _start(self) -> None:
        if not self.days.text():
            self.days.set_text(str(SESSION_DAYS))
        if self.limit.validate() and self.days.validate():
            asset, text = self.asset.currentData(), self.limit.text()
            act = renew_act(asset, parse_amount(text, asset) if text else None, _days(self.days.text()))
            self._account.sign(self, act, self._renewed)

    def _renewed(self, _found: dict[str, Any]) -> None:
        self._account.frame.toasts.show(tr("This computer may pay for jobs."))
        self._account.frame.back()


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= SESSION_DAYS_MAX):
        raise CyxWizError("bad_days", tr("Type a whole number from 1 to {most}.", most=SESSION_DAYS_MAX))
    return int(text)
