"""``escrow init | deploy | upgrade | upgrade-authority``: the program's code, and its first configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coordinator.cli.common import files
from coordinator.cli.operating import (
    UNTOUCHED,
    act,
    action_options,
    check_signer,
    check_sol,
    open_chain,
    owner_of,
    print_done,
)
from p2p.core.durations import parse_duration
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.limits import WALLET_FEE_LAMPORTS
from p2p.core.money import Asset, format_amount, parse_fee
from p2p.core.wallet_choice import WalletChoice
from p2p.local import cli as frame
from p2p.local.home import make_private
from p2p.local.platform import ProcessLock

if TYPE_CHECKING:
    from p2p.chain.deployment import Deployment
    from p2p.chain.escrow import EscrowClient
    from p2p.chain.owners import Owner


@click.command()
@click.option("--coordinator", required=True, metavar="WALLET", help="Who assigns and settles jobs.")
@click.option("--arbiter", required=True, metavar="WALLET", help="Who decides disputes: another key.")
@click.option("--fee-owner", required=True, metavar="WALLET", help="Whose escrow balance the fee goes to.")
@click.option("--admin", metavar="WALLET", help="Who may change settings; default: the upgrade authority.")
@click.option("--fee", metavar="PERCENT", default="10", show_default=True)
@click.option("--review-window", metavar="DURATION", default="24h", show_default=True)
@click.option("--longest-job", metavar="DURATION", default="14d", show_default=True)
@action_options
def init(
    coordinator: str,
    arbiter: str,
    fee_owner: str,
    admin: str | None,
    fee: str,
    review_window: str,
    longest_job: str,
    choice: WalletChoice | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Configure a program that was just deployed, as its upgrade authority. Once."""
    from p2p.chain.administration import configure
    from p2p.chain.instructions import Settings

    settings = Settings(
        Wallet(fee_owner), parse_fee(fee), parse_duration(review_window), parse_duration(longest_job)
    )
    named = None if admin is None else Wallet(admin)
    return act(
        choice,
        yes,
        as_json,
        lambda chain: configure(chain, named, Wallet(coordinator), Wallet(arbiter), settings),
    )


@click.command("upgrade-authority")
@click.argument("wallet", required=False)
@click.option("--nobody", is_flag=True, help="Give it up for ever: nobody can replace the program any more.")
@action_options
def upgrade_authority(
    wallet: str | None, nobody: bool, choice: WalletChoice | None, yes: bool, as_json: bool
) -> int:
    """Hand the right to replace the program over to WALLET, at once and without a way back."""
    if (wallet is None) is not nobody:
        raise click.UsageError("Name a wallet, or --nobody.")
    from p2p.chain.administration import hand_over_upgrades

    successor = None if wallet is None else Wallet(wallet)
    return act(choice, yes, as_json, lambda chain: hand_over_upgrades(chain, successor))


@click.command()
@click.option(
    "--program",
    "program_file",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The keypair of the program's address, which config.toml names as program_id.",
)
@action_options
def deploy(program_file: Path, choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    """Put this version's program on chain for the first time. The wallet that signs may replace it later.

    Interrupted, it goes on where it was when it is run again.
    """
    return print_done(_deploy(choice, yes, program_file.expanduser().absolute()), as_json)


@click.command()
@action_options
def upgrade(choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    """Replace the program on chain by this version's, as the upgrade authority. Money and settings stay.

    Interrupted, it goes on where it was when it is run again.
    """
    return print_done(_deploy(choice, yes, None), as_json)


def _deploy(choice: WalletChoice | None, yes: bool, program_file: Path | None) -> str | None:
    folder = make_private(files().deployment)
    with ProcessLock(folder / "lock"):
        return frame.run_async(_run, owner_of(choice), yes, program_file, folder)


async def _run(owner: Owner, yes: bool, program_file: Path | None, folder: Path) -> str | None:
    from p2p.chain.administration import UPGRADE_AUTHORITY
    from p2p.chain.deployment import Deployment, check_deployable
    from p2p.chain.keys import read_keypair
    from p2p.chain.program import escrow_program

    binary = escrow_program()
    program = None if program_file is None else read_keypair(program_file)
    async with open_chain() as chain:
        present = await check_deployable(chain, binary)
        wallet = owner.wallet
        if program is None:
            if present is None or present.authority is None:
                raise _not_there(chain)
            wallet = present.authority
            await check_signer(chain, owner, UPGRADE_AUTHORITY, wallet)
        elif present is not None:
            raise Refused(
                "deployed_already",
                f"The program {chain.chain.program_id} is there already, in another version.",
                UNTOUCHED,
                "`cyxwiz-coordinator escrow upgrade` replaces it.",
            )
        elif str(program.pubkey()) != chain.chain.program_id:
            raise Refused(
                "other_program",
                f"config.toml names the program {chain.chain.program_id}; this is {program.pubkey()}'s key.",
                UNTOUCHED,
                "Name the right file, or write its address into config.toml as program_id.",
            )
        deployment = Deployment(chain, folder, binary)
        await _say_costs(chain, deployment, wallet, new=program is not None)
        question = "Deploy it?" if program is not None else "Upgrade it?"
        if not frame.agreed(owner.shows_what_it_signs, yes, question, UNTOUCHED):
            return None
        return await deployment.run(owner, wallet, program, frame.say)


def _not_there(chain: EscrowClient) -> Refused:
    return Refused(
        "not_deployed",
        f"There is no program {chain.chain.program_id} on {chain.chain.cluster}.",
        UNTOUCHED,
        "Deploy it: `cyxwiz-coordinator escrow deploy --program FILE`.",
    )


async def _say_costs(
    chain: EscrowClient, deployment: Deployment, wallet: Wallet | None, *, new: bool
) -> None:
    """What it costs, and whether the wallet has it.

    :raises Refused: ``sol_too_low``.
    """
    lent, rent = await deployment.lent_lamports(), deployment.rent_lamports if new else 0
    frame.say(f"The program of this version goes to {chain.chain.program_id} on {chain.chain.cluster}.")
    if new:
        frame.say(f"Rent for as long as it is there: {format_amount(rent, Asset.SOL)}.")
    else:
        frame.say(
            "Settings, balances and jobs stay as they are; the new code rules them from the next slot on."
        )
    frame.say(
        f"Lent while it is written, back at the end but for the fees: {format_amount(lent, Asset.SOL)}."
    )
    frame.say("The wallet signs twice: before the writing, and after it.")
    if wallet is not None:
        await check_sol(chain, wallet, lent + rent + WALLET_FEE_LAMPORTS)
