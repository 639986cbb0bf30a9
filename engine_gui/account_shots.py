"""Pictures of the pages about wallet, network and settings."""

from __future__ import annotations

from engine_gui.first_run import Step
from engine_gui.first_run_page import FirstRunPage
from engine_gui.network_page import NetworkPage
from engine_gui.settings_page import SettingsPage
from engine_gui.wallet_page import WalletPage
from gui_kit.frame import Frame
from gui_kit.screenshots import Shot


def _wallet(frame: Frame) -> WalletPage:
    page = frame.page()
    assert isinstance(page, WalletPage)
    return page


def _open_wallet(frame: Frame, tab: int) -> None:
    frame.go_to("Wallet")
    _wallet(frame).tabs.setCurrentIndex(tab)


def _open_deposit(frame: Frame) -> None:
    frame.go_to("Wallet")
    _wallet(frame).deposit.click()


def _open_connect(frame: Frame) -> None:
    frame.go_to("Wallet")
    _wallet(frame).switch.click()


def _open_first_steps(frame: Frame) -> None:
    """At the step that is the most to see."""
    frame.go_to("Settings")
    page = frame.page()
    assert isinstance(page, SettingsPage)
    page.first_steps.click()
    steps = frame.page()
    assert isinstance(steps, FirstRunPage)
    steps.step_buttons[Step.DEPOSIT].click()


def _network_is_there(frame: Frame) -> bool:
    page = frame.page()
    return isinstance(page, NetworkPage) and page.is_ready and page.offers.table.shown.rowCount() > 0


ACCOUNT_SHOTS = (
    Shot(
        "wallet",
        lambda frame: _open_wallet(frame, 0),
        lambda frame: _wallet(frame).is_ready and _wallet(frame).history.table.shown.rowCount() > 0,
    ),
    Shot(
        "session-keys",
        lambda frame: _open_wallet(frame, 1),
        lambda frame: _wallet(frame).sessions.table.shown.rowCount() > 0,
    ),
    Shot("deposit", _open_deposit, lambda frame: frame.page().is_ready),
    Shot("connect", _open_connect),
    Shot("first-steps", _open_first_steps),
    Shot("network", lambda frame: frame.go_to("Network"), _network_is_there),
    Shot("settings", lambda frame: frame.go_to("Settings")),
)
