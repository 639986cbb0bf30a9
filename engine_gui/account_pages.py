"""Wallet, network and settings in the window, and what they keep in its status bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine_gui.account import Account
from engine_gui.first_run import FirstRun, facts
from engine_gui.first_run_page import KEPT, FirstRunPage
from engine_gui.network_page import NetworkPage
from engine_gui.news import News
from engine_gui.settings_page import SettingsPage
from engine_gui.wallet_model import NO_LOGIN, available_text, unknown_text
from engine_gui.wallet_page import WalletPage
from gui_kit.frame import Frame
from gui_kit.preferences import Preferences
from p2p.core.errors import CyxWizError
from p2p.core.paths import Home

_BALANCE_EVERY_S = 15


def add_account_pages(
    frame: Frame, home: Home, preferences: Preferences, open_job: Callable[[str], object]
) -> Account:
    """Put them into a window."""
    account = Account(frame, home, preferences, open_job)
    frame.add_section(WalletPage(account))
    frame.add_section(NetworkPage(account))
    frame.add_section(SettingsPage(account, lambda: _show_first_steps(account)))
    _keep_balance(account)
    News(account)
    return account


def open_first_steps(account: Account) -> None:
    """Show the first steps, unless they are done or were left."""
    run, frame = FirstRun.load(account.preferences.get(KEPT)), account.frame
    has_network, opened_on = account.home.config.exists(), frame.page()

    def decide(balance: dict[str, Any] | None, jobs: list[dict[str, Any]]) -> None:
        wanted = run.wants_to_be_shown(facts(has_network, balance, jobs))
        if wanted and frame.page() is opened_on:
            frame.open_page(FirstRunPage(account))

    def no_balance(error: CyxWizError) -> None:
        if error.code == NO_LOGIN:
            decide(None, [])

    def ask_jobs(balance: dict[str, Any]) -> None:
        frame.link.call(frame, "jobs").then(lambda jobs: decide(balance, jobs))

    if not has_network:
        decide(None, [])
    else:
        frame.link.call(frame, "wallet_balance").then(ask_jobs, no_balance)


def _show_first_steps(account: Account) -> None:
    account.preferences.set(KEPT, FirstRun().dump())
    account.frame.open_page(FirstRunPage(account))


def _keep_balance(account: Account) -> None:
    frame = account.frame
    feed = frame.link.poll(frame, "wallet_balance", every_s=_BALANCE_EVERY_S)
    feed.item.connect(lambda answer: frame.set_balance(available_text(answer)))
    feed.failed.connect(lambda error: frame.set_balance(unknown_text(error.code)))
    account.changes.money.connect(feed.refresh)
