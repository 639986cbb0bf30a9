"""From rates to the terms that a buyer signs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from p2p.core.errors import Bug, Refused, UserError
from p2p.core.jobspec import ANY_GPU, JobConfig
from p2p.core.limits import AMOUNT_MAX_UNITS, TERMS_LIFETIME_S
from p2p.core.messages.jobs import RateTerm, Terms
from p2p.core.money import USD_MICROS, Asset, cost_units, format_usd, usd_to_units


@dataclass(frozen=True, slots=True)
class PriceList:
    """USD micros per hour of each class; USD micros per SOL, where SOL is asked for."""

    usd_micros_per_hour: Mapping[str, int]
    sol_usd_micros: int | None = None

    def asset_price(self, asset: Asset) -> int:
        """USD micros per whole asset. A USDC is taken as a dollar."""
        if asset is not Asset.SOL:
            return USD_MICROS
        if self.sol_usd_micros is None:
            raise Bug("a price in SOL is asked for without the price of SOL")
        return self.sol_usd_micros


def rate_terms(config: JobConfig, prices: PriceList, asset: Asset) -> tuple[RateTerm, ...]:
    """Every class that the job may land on with its rate, cheapest first.

    :raises UserError: ``unknown_gpu_type``: there is no rate for the class that was asked for.
    :raises Refused: ``price_too_low``: ``max_price`` is below every rate that would do.
    """
    wanted = _wanted(config, prices.usd_micros_per_hour)
    cap = config.max_price_usd_micros_per_hour
    affordable = {name: usd for name, usd in wanted.items() if cap is None or usd <= cap}
    if not affordable:
        name, usd = min(wanted.items(), key=lambda item: (item[1], item[0]))
        raise Refused(
            "price_too_low",
            f"max_price is {format_usd(cap or 0)} an hour, but the cheapest that would do ({name}) "
            f"costs {format_usd(usd)}.",
            "Nothing was submitted and nothing was paid.",
            f"Set max_price to at least {format_usd(usd)}, or ask for another gpu_type.",
        )
    price = prices.asset_price(asset)
    return tuple(
        RateTerm(name, usd, usd_to_units(usd, asset, price))
        for name, usd in sorted(affordable.items(), key=lambda item: (item[1], item[0]))
    )


def _wanted(config: JobConfig, rates: Mapping[str, int]) -> Mapping[str, int]:
    if config.gpu_type == ANY_GPU and rates:
        return rates
    if config.gpu_type not in rates:
        known = ", ".join([ANY_GPU, *sorted(rates)])
        raise UserError(
            "unknown_gpu_type",
            f"There is no GPU type {config.gpu_type!r} here.",
            "Nothing was submitted and nothing was paid.",
            f"The known types are: {known}.",
        )
    return {config.gpu_type: rates[config.gpu_type]}


def deposit_units(rates: Iterable[RateTerm], timeout_s: int) -> int:
    """The most that a job can cost: the dearest rate for the whole timeout.

    :raises UserError: ``deposit_too_large``: more than can be moved.
    """
    deposit = cost_units(max(rate.units_per_hour for rate in rates), timeout_s)
    if deposit > AMOUNT_MAX_UNITS:
        raise UserError("deposit_too_large", "A job this long at this rate costs more than can be moved.")
    return deposit


def make_terms(
    *,
    job_id: str,
    buyer: str,
    asset: Asset,
    config: JobConfig,
    prices: PriceList,
    fee_bps: int,
    spec_hash: bytes,
    coordinator_wallet: str,
    now_s: float,
) -> Terms:
    """Terms for a job at today's rates, open for ``TERMS_LIFETIME_S``.

    :raises UserError: as :func:`rate_terms` and :func:`deposit_units`.
    """
    rates = rate_terms(config, prices, asset)
    deposit = deposit_units(rates, config.timeout_s)
    return Terms(
        job_id=job_id,
        buyer=buyer,
        asset=asset,
        rates=rates,
        timeout_s=config.timeout_s,
        deposit_units=deposit,
        fee_bps=fee_bps,
        spec_hash=spec_hash,
        coordinator_wallet=coordinator_wallet,
        expires_at_s=int(now_s + TERMS_LIFETIME_S),
        asset_price_usd_micros=prices.asset_price(asset),
    )
