"""What the pages about wallet, network and settings share: the window, its home, who signs, where to go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from gui_kit.frame import Frame
from gui_kit.preferences import Preferences
from gui_kit.wallet_dialog import Signer, WalletAct, sign
from p2p.core.errors import CyxWizError
from p2p.core.paths import Home
from p2p.core.wallet_choice import WalletKind

CLI = "p2p.engine.cli"


class Changes(QObject):
    """``money``: the wallet has signed something, or is another one: look at balances anew."""

    money = pyqtSignal()


@dataclass(frozen=True)
class Account:
    """``open_job`` shows a job's page."""

    frame: Frame
    home: Home
    preferences: Preferences
    open_job: Callable[[str], object]
    changes: Changes = field(default_factory=Changes)

    def sign(self, parent: QWidget, act: WalletAct, done: Callable[[dict[str, Any]], object]) -> None:
        """Have the wallet that is connected sign; a wallet in the browser asks on its own page."""

        def start(account: dict[str, Any]) -> None:
            kind = WalletKind(account["kind"])
            at_once = kind is WalletKind.BROWSER and not act.danger
            sign(parent, Signer(self.home.root, CLI, kind), act, finish, at_once=at_once)

        def finish(found: dict[str, Any]) -> None:
            self.changes.money.emit()
            done(found)

        self.frame.link.call(parent, "account").then(start, self.tell)

    def tell(self, error: CyxWizError) -> None:
        """Say what went wrong, in the corner of the window."""
        self.frame.toasts.show(" ".join(error.lines()), "danger")
