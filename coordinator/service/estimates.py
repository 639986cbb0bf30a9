"""What a job would cost and who could run it: for a quote, and for whoever only asks."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.domain.matching import Explanation, JobNeeds, NodeFacts, explain, needs_of
from coordinator.domain.pricing import PriceList, deposit_units, rate_terms
from coordinator.domain.waiting import capacity, expected_wait_s
from coordinator.service.checks import check_config, check_input_bytes
from coordinator.service.context import Context
from coordinator.service.office import Office
from coordinator.service.prices import Prices
from coordinator.store import nodes, rates
from coordinator.store.database import Tx
from coordinator.store.records import LoginRow
from p2p.core.limits import RUNS_SAMPLED_MAX, RUNS_SAMPLED_S
from p2p.core.messages.estimates import Estimate, EstimateRequest
from p2p.core.money import Asset


@dataclass(frozen=True, slots=True)
class Prospects:
    """The nodes that are online, which of them match and why the others don't, and the jobs that wait."""

    nodes: list[NodeFacts]
    why: Explanation
    jobs_ahead: int


def prospects(tx: Tx, needs: JobNeeds, now_s: float, job_id: str = "") -> Prospects:
    """Who could run a job now; ``job_id``: it may be in the queue itself."""
    online = nodes.online(tx, now_s)
    ahead = tx.row("jobs.ahead", job_id=job_id, classes=list(needs.rates))
    return Prospects(online, explain(needs, online, now_s), ahead["jobs"] if ahead else 0)


class Estimates:
    """``offers.estimate``."""

    def __init__(self, context: Context, prices: Prices, office: Office) -> None:
        self._context = context
        self._prices = prices
        self._office = office

    async def estimate(self, login: LoginRow, request: EstimateRequest) -> Estimate:
        """At today's rates, unsigned: nothing is packaged, agreed or kept.

        :raises UserError: a value out of range, or its GPU type is not known.
        :raises Refused: ``price_too_low``, ``sol_price_stopped``, ``paused``, ``asset_stopped``.
        """
        config = request.config
        check_config(config)
        check_input_bytes(request.input_bytes)
        await self._office.check_open(request.asset)
        sol_usd_micros = await self._prices.sol_usd_micros() if request.asset is Asset.SOL else None
        now_s = self._context.now_s()

        def work(tx: Tx) -> Estimate:
            prices = PriceList(rates.hourly(tx), sol_usd_micros)
            found = rate_terms(config, prices, request.asset)
            needs = needs_of(config, request.input_bytes, found)
            market = prospects(tx, needs, now_s)
            runs = tx.row(
                "jobs.mean_run",
                classes=list(needs.rates),
                since_s=now_s - RUNS_SAMPLED_S,
                limit=RUNS_SAMPLED_MAX,
            )
            sampled, mean_s = (runs["jobs"], runs["mean_s"]) if runs else (0, 0.0)
            room = capacity(needs, market.nodes, now_s)
            return Estimate(
                rates=found,
                deposit_units=deposit_units(found, config.timeout_s),
                fee_bps=self._context.on_chain.fee_bps,
                asset_price_usd_micros=prices.asset_price(request.asset),
                nodes_online=market.why.online,
                nodes_matching=market.why.matching,
                misfits=market.why.misfits,
                jobs_ahead=market.jobs_ahead,
                slots=room.slots,
                slots_free=room.free,
                wait_s=expected_wait_s(room, market.jobs_ahead, mean_s if sampled else None),
                mean_run_s=mean_s,
                sampled_jobs=sampled,
            )

        return await self._context.run(work)
