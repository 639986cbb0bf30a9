"""Wallet, network and settings in the window, and what they keep in its status bar."""

from __future__ import annotations

from collections.abc import Callable

from engine_gui.account import Account
from engine_gui.wallet_model import available_text, unknown_text
from engine_gui.wallet_page import WalletPage
from gui_kit.frame import Frame
from gui_kit.preferences import Preferences
from p2p.core.paths import Home

_BALANCE_EVERY_S = 15


def add_account_pages(
    frame: Frame, home: Home, preferences: Preferences, open_job: Callable[[str], object]
) -> Account:
    """Put them into a window."""
    account = Account(frame, home, preferences, open_job)
    frame.add_section(WalletPage(account))
    _keep_balance(account)
    return account


def _keep_balance(account: Account) -> None:
    frame = account.frame
    feed = frame.link.poll(frame, "wallet_balance", every_s=_BALANCE_EVERY_S)
    feed.item.connect(lambda answer: frame.set_balance(available_text(answer)))
    feed.failed.connect(lambda error: frame.set_balance(unknown_text(error.code)))
    account.changes.money.connect(feed.refresh)
