"""What a job would cost and how long it would wait, before there is a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import trio

from p2p.core.errors import Refused
from p2p.core.jobspec import JobConfig
from p2p.core.messages.estimates import Estimate, EstimateRequest
from p2p.core.money import Asset, cost_units, split
from p2p.engine.context import Engine
from p2p.engine.packaging import read_config
from p2p.engine.views import misfits_to_json

Json = dict[str, Any]


async def estimate(
    engine: Engine, config: Path | None, overrides: Mapping[str, Any], asset: Asset, input_bytes: int
) -> Json:
    """For the fields of a ``config.json`` and what wins over them.

    :raises CyxWizError: a field cannot be, or the coordinator refuses or does not answer.
    """
    wanted = await trio.to_thread.run_sync(read_config, config, overrides)
    request = EstimateRequest(wanted, asset, input_bytes)
    found = await engine.link.call("offers.estimate", request, Estimate)
    return estimate_to_json(wanted, asset, found)


def estimate_to_json(config: JobConfig, asset: Asset, found: Estimate) -> Json:
    """The form is documented in docs/cli.md.

    :raises Refused: ``bad_terms``: the coordinator's answer makes no sense.
    """
    if not found.rates:
        raise Refused(
            "bad_terms", "The coordinator's estimate names no rate.", "Nothing was sent.", "Ask again."
        )
    cheapest = min(rate.units_per_hour for rate in found.rates)
    return {
        "gpu_type": config.gpu_type,
        "min_vram_bytes": config.min_vram_bytes,
        "max_price_usd_micros_per_hour": config.max_price_usd_micros_per_hour,
        "timeout_s": config.timeout_s,
        "network": config.network.value,
        "asset": asset.value,
        "decimals": asset.decimals,
        "asset_price_usd_micros": found.asset_price_usd_micros,
        "rates": [asdict(rate) for rate in found.rates],
        "cheapest_units": cost_units(cheapest, config.timeout_s),
        "deposit_units": found.deposit_units,
        "fee_bps": found.fee_bps,
        "fee_units": split(found.deposit_units, found.deposit_units, found.fee_bps).fee_units,
        "nodes_online": found.nodes_online,
        "nodes_matching": found.nodes_matching,
        "misfits": misfits_to_json(found.misfits),
        "jobs_ahead": found.jobs_ahead,
        "slots": found.slots,
        "slots_free": found.slots_free,
        "wait_s": found.wait_s,
        "mean_run_s": found.mean_run_s if found.sampled_jobs else None,
        "sampled_jobs": found.sampled_jobs,
    }
