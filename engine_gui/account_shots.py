"""Pictures of the pages about wallet, network and settings."""

from __future__ import annotations

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
)
