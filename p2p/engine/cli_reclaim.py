"""``cyxwiz wallet reclaim JOB``: needs the chain and the wallet; no coordinator, and no agent either if the
wallet is named."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from p2p.chain.accounts import OnChainJob
from p2p.chain.browser import SignedTransactions
from p2p.chain.browser.buying import reclaim_request
from p2p.chain.config import ChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.chain.owners import Owner, owner_for
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.ids import Wallet
from p2p.core.money import format_amount
from p2p.core.wallet_choice import WalletChoice
from p2p.engine import render
from p2p.engine.cli_money import ask, owner_of
from p2p.engine.reclaiming import check_reclaimable, find_job
from p2p.local import cli
from p2p.local.cli import agreed, json_option
from p2p.local.home import find_home, load_network_config
from p2p.local.wallet_options import wallet_options


@click.command()
@click.argument("job")
@wallet_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def reclaim(job: str, choice: WalletChoice | None, yes: bool, as_json: bool) -> int:
    """Take the deposit of JOB back, if nobody else does: when it waits for a node, or after its deadline.

    Only the chain is asked. Without options, the wallet that is logged in signs.
    """
    owner = owner_of(ask("account")) if choice is None else owner_for(choice, cli.say)
    found = cli.run_async(_reclaim, owner, job, yes)
    if found is None:
        return 1
    if as_json:
        cli.print_json(found["json"])
    else:
        cli.out.print(Text(f"{found['amount']} are in your escrow balance again."))
        cli.out.print(Text(f"Done: transaction {found['json']['signature']}"))
    return 0


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
