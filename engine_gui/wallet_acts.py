"""What the buyer's wallet can be asked to sign, as questions and the commands that do it. Pure."""

from __future__ import annotations

from gui_kit.wallet_dialog import WalletAct
from gui_kit.words import short_id, tr
from p2p.core.money import Asset, format_amount


def deposit_act(units: int, asset: Asset, available_units: int) -> WalletAct:
    """From the wallet into the escrow balance."""
    amount = format_amount(units, asset)
    after = format_amount(available_units + units, asset)
    return WalletAct(
        tr("Deposit {amount}?", amount=amount),
        tr("It becomes your balance in escrow, from which jobs are paid. Only you can take it out again."),
        tr("Deposit"),
        ("wallet", "deposit", _plain(units, asset), "--asset", asset.value, "--yes", "--json"),
        ((tr("From your wallet"), amount), (tr("Available for jobs after it"), after)),
    )


def withdraw_act(units: int, asset: Asset, available_units: int) -> WalletAct:
    """From the escrow balance back into the wallet."""
    amount = format_amount(units, asset)
    after = format_amount(available_units - units, asset)
    return WalletAct(
        tr("Withdraw {amount}?", amount=amount),
        tr("It goes back to your wallet. Jobs that are open keep what they hold."),
        tr("Withdraw"),
        ("wallet", "withdraw", _plain(units, asset), "--asset", asset.value, "--yes", "--json"),
        ((tr("To your wallet"), amount), (tr("Available for jobs after it"), after)),
    )


def renew_act(asset: Asset, allow_units: int | None, days: int) -> WalletAct:
    """Let this computer spend again; ``allow_units`` of None: all that is in escrow."""
    limit = tr("all that is in escrow") if allow_units is None else format_amount(allow_units, asset)
    allow = "all" if allow_units is None else _plain(allow_units, asset)
    limits = ("--allow", allow, "--asset", asset.value, "--days", str(days))
    return WalletAct(
        tr("Let this computer pay for jobs?"),
        tr("Its session keys pay for jobs without asking your wallet, and can withdraw nothing."),
        tr("Renew"),
        ("wallet", "sessions", "renew", *limits, "--yes", "--json"),
        ((tr("At most"), limit), (tr("For"), tr("{days} days", days=days))),
    )


def revoke_act(key: str, *, here: bool) -> WalletAct:
    """End a session key."""
    where = tr("this computer's") if here else tr("another computer's")
    return WalletAct(
        tr("End this session key?"),
        tr(
            "It can pay for no more jobs, at once. Jobs that it opened go on, and are decided by the review "
            "window or their deadline."
        ),
        tr("End the key"),
        ("wallet", "sessions", "revoke", key, "--yes", "--json"),
        ((tr("Key"), tr("{key}, {where}", key=short_id(key), where=where)),),
        danger=True,
    )


def _plain(units: int, asset: Asset) -> str:
    return format_amount(units, asset, symbol=False)
