"""``cyxwiz wallet reclaim JOB``: needs the chain and the wallet; no coordinator, and no agent either if the
wallet is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.text import Text

from p2p.chain.accounts import OnChainJob
from p2p.chain.browser import SignedTransactions
from p2p.chain.browser.buying import reclaim_request
from p2p.chain.config import ChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.ids import Wallet
from p2p.core.money import format_amount
from p2p.engine import render
from p2p.engine.cli_money import agreed, ask, keystore_path
from p2p.engine.owners import BrowserOwner, KeypairOwner, KeystoreOwner, Owner, owner_of
from p2p.engine.reclaiming import check_reclaimable, find_job
from p2p.local import cli
from p2p.local.cli import json_option
from p2p.local.home import find_home, load_network_config


@click.command()
@click.argument("job")
@click.option("--browser", is_flag=True, help="Sign with the wallet in your browser.")
@click.option("--keypair", type=click.Path(path_type=Path), metavar="FILE", help="Sign with a keypair file.")
@click.option(
    "--keystore", is_flag=False, flag_value="", metavar="[FILE]", help="Sign with your own keystore."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def reclaim(
    job: str, browser: bool, keypair: Path | None, keystore: str | None, yes: bool, as_json: bool
) -> int:
    """Take the deposit of JOB back, if nobody else does: when it waits for a node, or after its deadline.

    Only the chain is asked. Without options, the wallet that is logged in signs.
    """
    if sum((browser, keypair is not None, keystore is not None)) > 1:
        raise click.UsageError("--browser, --keypair and --keystore exclude each other.")
    found = cli.run_async(_reclaim, _owner(browser, keypair, keystore), job, yes)
    if found is None:
        return 1
    if as_json:
        cli.print_json(found["json"])
    else:
        cli.out.print(Text(f"{found['amount']} are in your escrow balance again."))
        cli.out.print(Text(f"Done: transaction {found['json']['signature']}"))
    return 0


def _owner(browser: bool, keypair: Path | None, keystore: str | None) -> Owner:
    if browser:
        return BrowserOwner()
    if keypair is not None:
        return KeypairOwner.of(keypair.expanduser().absolute())
    if keystore is not None:
        return KeystoreOwner(keystore_path(keystore))
    return owner_of(ask("account"))


async def _reclaim(owner: Owner, text: str, yes: bool) -> dict[str, Any] | None:
    config = ChainConfig.from_table(load_network_config(find_home()).chain)
    async with EscrowClient(config, SYSTEM_CLOCK) as chain:
        jobs: list[OnChainJob] = []

        async def find(wallet: Wallet) -> OnChainJob:
            jobs.append(await check_reclaimable(chain, await find_job(chain, wallet, text)))
            return jobs[-1]

        if owner.wallet is not None:
            job = await find(owner.wallet)
            amount = format_amount(job.deposit_units, chain.asset_of(job))
            question = f"Take {amount} of job {render.short(job.job_id)} back into your escrow balance?"
            if not agreed(owner.shows_what_it_signs, yes, question):
                return None
        request = reclaim_request(chain, owner.wallet, render.short(text), find)
        (answer,) = await owner.answer([request])
        assert isinstance(answer, SignedTransactions)
        job = jobs[-1]
        asset = chain.asset_of(job)
        found = {
            "job_id": job.job_id,
            "asset": asset.value,
            "decimals": asset.decimals,
            "units": job.deposit_units,
            "signature": answer.transactions[-1].signature,
        }
        return {"json": found, "amount": format_amount(job.deposit_units, asset)}
