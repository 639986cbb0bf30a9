"""The wallet that a node is paid to: the node's own, that of another keypair file, or one whose key the node
never sees, because it lies in a browser or in an encrypted keystore.

With a key the node logs in by itself. Without one, a person logs in for it (``cyxwiz-node login``), and the
coordinator remembers that for as long as a login lasts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from p2p.chain.keys import Signer, load_keypair, load_or_create_keypair
from p2p.core.ids import Wallet
from p2p.core.limits import LOGIN_SOON_S
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.node.settings import NodeSettings, change_settings

WALLET_FILE = "wallet.json"


class LoginState(Enum):
    """How long the login of a wallet that has to be asked still lasts."""

    GOOD = "good"
    ENDS_SOON = "ends_soon"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Payout:
    """``signer`` is none, and ``login_ends_at_s`` known, for a wallet that only a person can ask."""

    wallet: Wallet
    choice: WalletChoice
    own: bool = False
    signer: Signer | None = field(default=None, repr=False)
    login_ends_at_s: float | None = None

    @property
    def login_command(self) -> str:
        """What logs the wallet in again."""
        return f"cyxwiz-node login {self.choice.options}"

    def login(self, now_s: float) -> LoginState | None:
        """None: the node logs in by itself."""
        if self.login_ends_at_s is None:
            return None
        left_s = self.login_ends_at_s - now_s
        if left_s > LOGIN_SOON_S:
            return LoginState.GOOD
        return LoginState.ENDS_SOON if left_s > 0 else LoginState.ENDED


def load_payout(folder: Path, settings: NodeSettings) -> Payout:
    """What the settings name, or the node's own wallet in ``folder``, made at first start.

    :raises UserError: the file is not a keypair.
    :raises EnvironmentFailure: it cannot be written.
    """
    if settings.wallet:
        keystore = Path(settings.wallet_keystore) if settings.wallet_keystore else None
        kind = WalletKind.BROWSER if keystore is None else WalletKind.KEYSTORE
        return Payout(
            Wallet(settings.wallet), WalletChoice(kind, keystore), login_ends_at_s=settings.login_ends_at_s
        )
    if settings.wallet_keypair:
        return _of_file(Path(settings.wallet_keypair).expanduser(), own=False)
    file = folder / WALLET_FILE
    load_or_create_keypair(file)
    return _of_file(file, own=True)


def _of_file(file: Path, *, own: bool) -> Payout:
    signer = load_keypair(file)
    return Payout(signer.address, WalletChoice(WalletKind.KEYPAIR, file), own, signer)


def logged_in(settings: NodeSettings, choice: WalletChoice, wallet: Wallet, ends_at_s: float) -> NodeSettings:
    """The settings once ``wallet`` has logged in for the node: it is paid from now on.

    :raises UserError: ``bad_settings``: the file's name is too long.
    """
    file = "" if choice.file is None else str(choice.file)
    if choice.kind is WalletKind.KEYPAIR:
        return change_settings(settings, {"wallet_keypair": file})
    changes = {"wallet": wallet, "wallet_keystore": file, "login_ends_at_s": ends_at_s}
    return change_settings(settings, {"wallet_keypair": "", **changes})


def login_words(payout: Payout, state: LoginState) -> str:
    """How the login of a wallet that has to be asked stands."""
    at = f"{datetime.fromtimestamp(payout.login_ends_at_s or 0.0, UTC).astimezone():%Y-%m-%d %H:%M}"
    login = f"The login of the payout wallet {payout.wallet}"
    match state:
        case LoginState.GOOD:
            return f"{login} lasts until {at}."
        case LoginState.ENDS_SOON:
            return f"{login} ends at {at}: no new jobs come after that."
        case LoginState.ENDED:
            return f"{login} ended at {at}. Jobs that run go on and are paid to it; no new ones come."
