"""``escrow …``: the on-chain program's settings, offices and assets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coordinator.cli.common import files
from coordinator.cli.escrow_program import deploy, init, upgrade, upgrade_authority
from coordinator.cli.escrow_show import show
from coordinator.cli.operating import act, action_options
from p2p.core.durations import parse_duration
from p2p.core.ids import Wallet
from p2p.core.money import Asset, parse_fee
from p2p.core.wallet_choice import WalletChoice
from p2p.local import cli as frame
from p2p.local.home import make_private

if TYPE_CHECKING:
    from p2p.chain.administration import Action
    from p2p.chain.escrow import EscrowClient

_ROLES = click.Choice(["admin", "coordinator", "arbiter"])
_ASSETS = click.Choice([asset.value for asset in Asset])


@click.group()
def escrow() -> None:
    """The escrow program on chain: what it is set to, who holds which office, and its code.

    Every action says first what it changes and what it leaves, and is signed by the wallet that holds the
    office: on a page in the browser, or with --keystore or --keypair.
    """


for _command in (show, init, deploy, upgrade, upgrade_authority):
    escrow.add_command(_command)


@escrow.command("set")
@click.option("--fee", metavar="PERCENT", help="The platform's share of what was used, such as 10 or 2.5.")
@click.option("--fee-owner", metavar="WALLET", help="Whose escrow balance the fee goes to.")
@click.option("--review-window", metavar="DURATION", help="How long a claim can be disputed, such as 24h.")
@click.option("--longest-job", metavar="DURATION", help="How long a job may take at most, such as 14d.")
@action_options
def set_(
    fee: str | None,
    fee_owner: str | None,
    review_window: str | None,
    longest_job: str | None,
    choice: WalletChoice | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Change settings for new jobs, as the admin. Open jobs keep what they were opened with."""
    if fee is fee_owner is review_window is longest_job is None:
        raise click.UsageError("Name at least one setting; `--help` lists them.")
    from p2p.chain.administration import Wanted, change_settings

    wanted = Wanted(
        fee_owner=None if fee_owner is None else Wallet(fee_owner),
        fee_bps=None if fee is None else parse_fee(fee),
        review_window_s=None if review_window is None else parse_duration(review_window),
        longest_job_s=None if longest_job is None else parse_duration(longest_job),
    )
    return act(choice, yes, as_json, lambda chain: change_settings(chain, wanted))


@escrow.command()
@action_options
def pause(choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    """Take no deposits and no new jobs, as the admin. Whatever is open goes on, and every way out stays."""
    return _pause(True, choice, yes, as_json)


@escrow.command()
@action_options
def resume(choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    """Take deposits and new jobs again, as the admin."""
    return _pause(False, choice, yes, as_json)


def _pause(paused: bool, choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    from p2p.chain.administration import Wanted, change_settings

    return act(choice, yes, as_json, lambda chain: change_settings(chain, Wanted(paused=paused)))


@escrow.command()
@click.argument("role", type=_ROLES)
@click.argument("wallet")
@action_options
def propose(role: str, wallet: str, choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    """Propose WALLET as the next holder of ROLE, as its present holder. It changes when WALLET accepts."""
    return _propose(role, Wallet(wallet), choice, yes, as_json)


@escrow.command("withdraw-proposal")
@click.argument("role", type=_ROLES)
@action_options
def withdraw_proposal(role: str, choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    """Withdraw what was proposed for ROLE, as its present holder."""
    return _propose(role, None, choice, yes, as_json)


def _propose(
    role: str, successor: Wallet | None, choice: WalletChoice | None, yes: bool, as_json: bool
) -> int:
    from p2p.chain import administration
    from p2p.chain.instructions import Role

    named = Role[role.upper()]
    return act(choice, yes, as_json, lambda chain: administration.propose(chain, named, successor))


@escrow.command()
@click.argument("role", type=_ROLES)
@action_options
def accept(role: str, choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    """Take over ROLE, as the wallet that was proposed."""
    from p2p.chain import administration
    from p2p.chain.instructions import Role

    return act(choice, yes, as_json, lambda chain: administration.accept(chain, Role[role.upper()]))


@escrow.command("add-asset")
@click.argument("asset", type=_ASSETS)
@action_options
def add_asset(asset: str, choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    """Take deposits and new jobs in ASSET, as the admin; also one that was stopped."""

    async def find(chain: EscrowClient) -> Action:
        from p2p.chain import administration

        return await administration.add_asset(chain, Asset(asset))

    return act(choice, yes, as_json, find)


@escrow.command("disable-asset")
@click.argument("asset", type=_ASSETS)
@action_options
def disable_asset(asset: str, choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    """Stop deposits and new jobs in ASSET, as the admin. Every way out stays."""

    async def find(chain: EscrowClient) -> Action:
        from p2p.chain import administration

        return await administration.disable_asset(chain, Asset(asset))

    return act(choice, yes, as_json, find)


@escrow.command("new-key")
@click.argument("file", type=click.Path(path_type=Path), required=False)
def new_key(file: Path | None) -> None:
    """Draw a keypair into FILE, readable by you alone; without FILE among the coordinator's keys."""
    from p2p.chain.keys import create_keypair, new_keypair_in

    if file is None:
        path, signer = new_keypair_in(make_private(files().keys))
    else:
        path = file.expanduser().absolute()
        signer = create_keypair(path)
    frame.say(f"The key of this wallet is in {path}. Whoever has that file has the key.")
    frame.out.print(signer.address, markup=False)
