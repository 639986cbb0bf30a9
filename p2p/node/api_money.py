"""The local API's part about money: what jobs earned, and what may come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from p2p.core.earnings import Pay
from p2p.core.limits import EARNINGS_LISTED_MAX
from p2p.core.messages.jobs import OfferList, OffersRequest
from p2p.core.messages.nodes import Earning
from p2p.core.money import Asset
from p2p.core.projection import (
    DAY_S,
    PROJECTION_DAYS,
    PROJECTION_DAYS_MAX,
    Projection,
    electricity_usd_micros,
    project,
    standings,
)
from p2p.local.protocol import Json
from p2p.local.server import Handler
from p2p.node.books import fetch, pay_state, pays_of
from p2p.node.parameters import Params, count_of, seconds_of
from p2p.node.views import earning_json

if TYPE_CHECKING:
    from p2p.node.agent import NodeAgent


class MoneyApi:
    """Handlers over a running agent."""

    def __init__(self, agent: NodeAgent) -> None:
        self._agent = agent

    def handlers(self) -> Mapping[str, Handler]:
        """By method name."""
        return {"earnings": self.earnings, "projection": self.projection, "rates": self.rates}

    def earned(self) -> Json:
        """Today, seven days, in review, unpaid, lifetime; as of the last answer of the coordinator."""
        books = self._agent.books
        found = standings([pays_of(each) for each in books.all()], self._agent.clock.now_s())
        return {"as_of_s": books.as_of_s, "assets": [_with_asset(asdict(each)) for each in found]}

    async def earnings(self, params: Params) -> Json:
        """What the coordinator says that jobs earned and how far their pay is, newest first; ``since_s``:
        only what has changed since."""
        limit = count_of(params, "limit", 50, 1, EARNINGS_LISTED_MAX)
        found = await fetch(self._agent.link, limit, seconds_of(params, "since_s"))
        return [earning_json(each) for each in found]

    async def rates(self, params: Params) -> Json:
        """What an hour of each GPU class pays before the fee, how many nodes offer it, and which of them this
        machine has."""
        own = self._agent.survey.capacity.classes
        found = await self._agent.link.call("node.rates", OffersRequest(), OfferList)
        return [
            {
                "gpu_class": offer.gpu_class,
                "usd_micros_per_hour": offer.usd_micros_per_hour,
                "nodes_online": offer.nodes_online,
                "nodes_free": offer.nodes_free,
                "own": offer.gpu_class in own,
            }
            for offer in found.offers
        ]

    async def projection(self, params: Params) -> Json:
        """What may come, by the last ``days``; and what it costs in electricity."""
        agent = self._agent
        days = count_of(params, "days", PROJECTION_DAYS, 1, PROJECTION_DAYS_MAX)
        now_s = agent.clock.now_s()
        await agent.books.look(now_s)
        earnings = agent.books.all()
        found = project([pays_of(each) for each in earnings], now_s, days)
        power_w = await agent.history.busy_power_w(days * DAY_S)
        settings = agent.settings
        used = used_seconds(earnings, now_s, found[0].days if found else days)
        return {
            "as_of_s": now_s,
            "days_asked": days,
            "assets": [_with_asset(asdict(each)) for each in found],
            "electricity": electricity_json(
                found, used, settings.electricity_usd_micros_per_kwh, settings.watts, power_w
            ),
        }


def used_seconds(earnings: Sequence[Earning], now_s: float, days: int) -> int:
    """What those jobs ran that count in a projection over ``days``."""
    start_s = now_s - days * DAY_S
    counted = (each for each in earnings if pay_state(each) is not Pay.RUNNING)
    return sum(each.used_seconds for each in counted if start_s < each.at_s <= now_s)


def electricity_json(
    found: Sequence[Projection], used: int, usd_micros_per_kwh: int, watts: int, measured_w: float | None
) -> Json:
    """The cost of those days, and what is left of the dollars; null: no price is set, or no power known.

    What the GPUs said they drew goes before what the owner stated. A USDC is a dollar; SOL is not counted.
    """
    power_w = watts if measured_w is None else math.ceil(measured_w)
    if not usd_micros_per_kwh or not power_w or not found:
        return None
    cost = electricity_usd_micros(used, power_w, usd_micros_per_kwh)
    dollars = sum(each.window_units for each in found if each.asset is Asset.USDC)
    return {
        "usd_micros_per_kwh": usd_micros_per_kwh,
        "watts": power_w,
        "measured": measured_w is not None,
        "days": found[0].days,
        "used_seconds": used,
        "cost_usd_micros": cost,
        "net_usd_micros": dollars - cost,
        "not_counted": [each.asset.value for each in found if each.asset is not Asset.USDC],
    }


def _with_asset(values: dict[str, Any]) -> dict[str, Json]:
    asset: Asset = values.pop("asset")
    return {"asset": asset.value, "decimals": asset.decimals, **values}
