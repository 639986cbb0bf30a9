"""``cyxwiz wallet sessions``: which keys may spend the escrow balance, and their end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click
from rich.text import Text

from p2p.chain.browser import SignTransactions
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import UserError
from p2p.core.ids import Wallet
from p2p.core.limits import SESSION_DAYS_MAX
from p2p.core.money import Asset, format_amount, parse_amount
from p2p.engine import render
from p2p.engine.cli_money import ask, owner_of, print_moved, sign_here
from p2p.engine.session_limits import SessionLimits
from p2p.engine.wallet_requests import WalletRequests
from p2p.local import cli
from p2p.local.cli import ASSETS, agreed, json_option

_PREFIX_MIN_CHARS = 4


Limits = dict[str, Any]
"""What of a session key's limits was given on the command line."""


def limit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--allow`` and ``--days``; the command gets them as ``limits``."""

    @click.option(
        "--allow",
        metavar="AMOUNT|all",
        help="The most that this computer's key may spend, until it is renewed; `all`: what is in escrow.",
    )
    @click.option("--asset", type=ASSETS, help="What --allow is of; default: usdc.")
    @click.option("--days", type=click.IntRange(1, SESSION_DAYS_MAX), help="For how long; at first: 30 days.")
    @wraps(function)
    def with_limits(
        *arguments: Any, allow: str | None, asset: str | None, days: int | None, **named: Any
    ) -> Any:
        if asset is not None and allow is None:
            raise click.UsageError("--asset says what --allow is of.")
        limits: Limits = {} if days is None else {"days": days}
        if allow is not None:
            chosen_asset = Asset(asset or Asset.USDC.value)
            units = None if allow.lower() == "all" else parse_amount(allow, chosen_asset)
            limits["allow"] = {chosen_asset.value: units}
        return function(*arguments, limits=limits, **named)

    return with_limits


def change_limits(limits: Limits) -> bool:
    """Have the agent keep what was given for this and later renewals; whether anything was."""
    if limits:
        ask("session_limits", **limits)
    return bool(limits)


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def sessions(context: click.Context, as_json: bool) -> None:
    """The session keys that may spend the escrow balance: what is left, until when, SOL for their fees."""
    if context.invoked_subcommand is not None:
        return
    found = ask("wallet_sessions")
    if as_json:
        cli.print_json(found)
        return
    columns = ("ASSET", ">MAY STILL SPEND", "UNTIL", ">SOL FOR FEES", "WHERE", "KEY")
    cli.print_table(columns, [_row(entry) for entry in found], "No session key may spend anything.")


def _row(entry: dict[str, Any]) -> list[object]:
    asset = Asset(entry["asset"]) if entry["asset"] else None
    ended = entry["expires_at_s"] <= SYSTEM_CLOCK.now_s()
    return [
        "?" if asset is None else asset.symbol,
        entry["remaining_units"]
        if asset is None
        else format_amount(entry["remaining_units"], asset, symbol=False),
        render.moment(entry["expires_at_s"]) + (" (ended)" if ended else ""),
        format_amount(entry["sol_units"], Asset.SOL, symbol=False),
        "this computer" if entry["here"] else "another",
        entry["key"],
    ]


@sessions.command()
@limit_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def renew(limits: Limits, yes: bool, as_json: bool) -> int:
    """Let this computer's session keys spend again, up to their limits and for their time.

    What is chosen with --allow and --days is kept for later renewals too.
    """
    account = ask("account")
    owner = owner_of(account)
    if not agreed(owner.shows_what_it_signs, yes, _renewal_question(limits), "Nothing was changed."):
        return 1
    change_limits(limits)

    async def make(requests: WalletRequests, wallet: Wallet) -> Sequence[SignTransactions]:
        return await requests.renewal(wallet, always=True)

    signatures = sign_here(owner, Wallet(account["wallet"]), make)
    if as_json:
        cli.print_json({"signatures": signatures, **ask("wallet_balance")})
    elif signatures:
        print_moved({"signature": signatures[-1], **ask("wallet_balance")}, as_json=False)
    else:
        cli.out.print("Nothing is in escrow that a session key could spend.")
    return 0


def _renewal_question(limits: Limits) -> str:
    known = SessionLimits.from_json(ask("session_limits"))
    allow = {**known.to_json()["allow"], **limits.get("allow", {})}
    amounts = [
        f"all {asset.symbol}" if allow[asset.value] is None else format_amount(allow[asset.value], asset)
        for asset in Asset
    ]
    days = limits.get("days", known.days)
    return f"Let this computer spend up to {' and '.join(amounts)} of what is in escrow, for {days} days?"


@sessions.command()
@click.argument("key", nargs=-1)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def revoke(key: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """End session keys at once: each KEY, by its first characters; without any, all of the wallet's.

    They can open no more jobs and settle none: jobs that are open are decided by the review window or the
    deadline then. `cyxwiz login` authorises this computer again.
    """
    listed = [str(entry["key"]) for entry in ask("wallet_sessions")]
    keys = chosen(listed, key)
    if not keys:
        cli.out.print("No session key may spend anything.")
        return 0
    account = ask("account")
    owner = owner_of(account)
    if not agreed(owner.shows_what_it_signs, yes, f"End {_count(keys)}? Jobs cannot be paid with them then."):
        return 1

    async def make(requests: WalletRequests, wallet: Wallet) -> Sequence[SignTransactions]:
        return requests.revoke(wallet, keys)

    signatures = sign_here(owner, Wallet(account["wallet"]), make)
    if as_json:
        cli.print_json({"keys": list(keys), "signatures": signatures})
    else:
        cli.out.print(Text(f"Ended {_count(keys)}: transaction {', '.join(signatures)}"))
    return 0


def chosen(listed: Sequence[str], wanted: Sequence[str]) -> list[Wallet]:
    """The keys that were named; all without a name.

    :raises UserError: ``unknown_session``: a name fits none, or several.
    """
    if not wanted:
        return [Wallet(key) for key in listed]
    found: list[Wallet] = []
    for text in wanted:
        fitting = [key for key in listed if len(text) >= _PREFIX_MIN_CHARS and key.startswith(text)]
        if len(fitting) != 1:
            what = "fits several session keys" if fitting else "is not a session key of this wallet"
            raise UserError(
                "unknown_session",
                f"{text[:50]!r} {what}.",
                "No session key was ended.",
                f"`cyxwiz wallet sessions` lists them; {_PREFIX_MIN_CHARS} characters or more are enough.",
            )
        if fitting[0] not in found:
            found.append(Wallet(fitting[0]))
    return found


def _count(keys: Sequence[str]) -> str:
    return f"the session key {keys[0]}" if len(keys) == 1 else f"{len(keys)} session keys"
