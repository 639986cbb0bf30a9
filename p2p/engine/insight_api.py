"""The agent's handlers for commands that only look: at the market, at a job's inside, at the network."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import trio

from p2p.core.limits import MANIFEST_BYTES_MAX
from p2p.core.money import Asset
from p2p.engine.context import Engine
from p2p.engine.estimating import estimate
from p2p.engine.log_reading import lines_before
from p2p.engine.measuring import measure
from p2p.engine.metric_reading import read_metrics
from p2p.engine.networking import network
from p2p.engine.news import news_items
from p2p.engine.outcome import results
from p2p.engine.parameters import Params, asset_of, count_of, job_of, path_of
from p2p.engine.usage import read_usage
from p2p.engine.working import Report, items_of
from p2p.local.server import Handler, StreamHandler

_SEQ_MAX = 2**63 - 1


class InsightApi:
    """They change nothing."""

    def __init__(self, engine: Engine, nursery: trio.Nursery) -> None:
        self._engine = engine
        self._nursery = nursery

    def handlers(self) -> dict[str, Handler]:
        """The handlers of commands with one answer."""
        return {
            "estimate": self.estimate,
            "metrics": self.metrics,
            "usage": self.usage,
            "network": self.network,
            "results": self.results,
            "deposit_address": self.deposit_address,
            "log_before": self.log_before,
        }

    def streams(self) -> dict[str, StreamHandler]:
        """The handlers of commands that stream."""
        return {"measure": self.measure, "news": self.news}

    async def measure(self, params: Params) -> AsyncGenerator[Params, None]:
        """``measure``: items with ``progress`` (files, bytes so far), then one with ``measure``."""

        async def work(report: Report) -> Params:
            return {"measure": await measure(self._engine.tables, params, report)}

        async with aclosing(items_of(self._nursery, work)) as items:
            async for item in items:
                yield item

    async def metrics(self, params: Params) -> Params:
        """``metrics``."""
        return await read_metrics(self._engine, await job_of(self._engine, params), params)

    async def usage(self, params: Params) -> Params:
        """``usage``."""
        return await read_usage(self._engine, await job_of(self._engine, params), params)

    async def network(self, params: Params) -> Params:
        """``network``."""
        return await network(self._engine)

    async def deposit_address(self, params: Params) -> Params:
        """``deposit_address``: the wallet's own, and what a code to scan for it says."""
        account = await self._engine.wallets.account()
        chain = self._engine.link.chain_config()
        mints = {Asset.USDC: chain.usdc_mint, Asset.SOL: None}
        return {
            "wallet": account.wallet,
            "cluster": chain.cluster,
            "assets": [
                {
                    "asset": asset.value,
                    "decimals": asset.decimals,
                    "mint": mint,
                    "uri": f"solana:{account.wallet}" + (f"?spl-token={mint}" if mint else ""),
                }
                for asset, mint in mints.items()
            ],
        }

    async def results(self, params: Params) -> Params:
        """``results``."""
        return await results(self._engine, await job_of(self._engine, params))

    async def log_before(self, params: Params) -> Params:
        """``log_before``."""
        return await lines_before(self._engine, await job_of(self._engine, params), params)

    async def news(self, params: Params) -> AsyncGenerator[Params, None]:
        """``news``."""
        after = None if params.get("after") is None else count_of(params, "after", 0, _SEQ_MAX)
        follow = bool(params.get("follow"))
        async with aclosing(news_items(self._engine, after, follow=follow)) as items:
            async for item in items:
                yield item

    async def estimate(self, params: Params) -> Params:
        """``estimate``."""
        return await estimate(
            self._engine,
            path_of(params, "config"),
            dict(params.get("overrides") or {}),
            asset_of(params),
            count_of(params, "input_bytes", 0, MANIFEST_BYTES_MAX),
        )
