"""A wallet's history, asked of chain and coordinator, with the names and prices of this engine's jobs."""

from __future__ import annotations

import logging
from typing import Any

from p2p.chain.browser import explorer_link
from p2p.core.errors import CyxWizError
from p2p.core.ids import Wallet
from p2p.core.limits import POSTINGS_LISTED_MAX
from p2p.core.messages.jobs import AccountRequest, Posting, PostingList
from p2p.core.money import Asset, format_amount
from p2p.engine.context import Engine, spec_of, terms_of
from p2p.engine.history import KIND_WORDS, Line, join
from p2p.store.engine import JobRow

_LOG = logging.getLogger(__name__)


async def wallet_history(engine: Engine, wallet: Wallet, limit: int) -> list[dict[str, Any]]:
    """The newest lines, as JSON.

    :raises CyxWizError: the chain cannot be reached. Without the coordinator it is from the chain alone.
    """
    postings = await _postings(engine)  # first, so that what the chain has since is only not posted yet
    async with engine.chain() as chain:
        entries = await chain.history(wallet, limit=limit)
        cluster = chain.chain.cluster
    lines = join(
        entries,
        postings,
        now_s=engine.clock.now_s(),
        all_entries=len({entry.signature for entry in entries}) < limit,
        all_postings=postings is None or len(postings) < POSTINGS_LISTED_MAX,
    )[:limit]
    jobs = {line.job_id: await engine.tables.job(line.job_id) for line in lines if line.job_id}
    return [line_to_json(line, jobs.get(line.job_id) if line.job_id else None, cluster) for line in lines]


async def _postings(engine: Engine) -> tuple[Posting, ...] | None:
    """The ledger's newest lines; none if the coordinator does not say."""
    try:
        request = AccountRequest(POSTINGS_LISTED_MAX)
        return (await engine.link.call("account.show", request, PostingList)).postings
    except CyxWizError as error:
        _LOG.warning("the history is from the chain alone: %s", error.what)
        return None


def line_to_json(line: Line, job: JobRow | None, cluster: str) -> dict[str, Any]:
    """``job``: as this engine knows it, whose terms say what a SOL was taken for."""
    asset = line.asset
    price = terms_of(job)[1].asset_price_usd_micros if job is not None and job.terms is not None else None
    return {
        "kind": line.kind,
        "words": KIND_WORDS.get(line.kind, line.kind),
        "asset": asset.value if asset else None,
        "decimals": asset.decimals if asset else None,
        "units": line.units,
        "amount": format_amount(line.units, asset, symbol=False) if asset else None,
        "usd_micros": usd_of(line.units, asset, price) if asset else None,
        "job_id": line.job_id,
        "job_name": None if job is None else spec_of(job).name,
        "ledger": line.ledger.value if line.ledger else None,
        "ledger_units": line.ledger_units,
        "ledger_words": line.ledger_words,
        "signature": line.signature,
        "explorer": explorer_link(line.signature, cluster) if line.signature else None,
        "at_s": line.at_s,
    }


def usd_of(units: int, asset: Asset, price_usd_micros: int | None) -> int | None:
    """USDC at par; SOL at the price that a job's terms lock in, and otherwise at none: no guess."""
    if asset is Asset.USDC:
        return units
    return None if not price_usd_micros else units * price_usd_micros // 10**asset.decimals
