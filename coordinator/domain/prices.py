"""Whether a price of SOL is good enough to quote by."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.domain.settings import SolFeed
from p2p.core.limits import (
    SOL_PRICE_AHEAD_MAX_S,
    SOL_PRICE_CONFIDENCE_MAX_BPS,
    SOL_PRICE_JUMP_MAX_BPS,
)
from p2p.core.money import BPS, format_usd


@dataclass(frozen=True, slots=True)
class SolPrice:
    """USD micros per SOL as a feed gave them, ``age_s`` after they were true.

    ``age_max_s``: None where a price does not get old. A feed without doubts has a confidence interval of 0,
    and its own price as the mean.
    """

    source: SolFeed
    usd_micros: int
    age_s: float
    age_max_s: int | None
    confidence_usd_micros: int
    mean_usd_micros: int

    def fault(self) -> str:
        """Why nothing is quoted by this price, as the rest of a sentence; empty when it is good."""
        if self.age_max_s is not None and self.age_s > self.age_max_s:
            return f"is {self.age_s:.0f} s old, more than {self.age_max_s} s"
        if self.age_max_s is not None and self.age_s < -SOL_PRICE_AHEAD_MAX_S:
            return f"lies {-self.age_s:.0f} s in the future"
        if self.confidence_usd_micros * BPS > self.usd_micros * SOL_PRICE_CONFIDENCE_MAX_BPS:
            width = format_usd(self.confidence_usd_micros)
            return f"is known only to ± {width}, more than {_percent(SOL_PRICE_CONFIDENCE_MAX_BPS)}"
        jump = abs(self.usd_micros - self.mean_usd_micros)
        if jump * BPS > self.mean_usd_micros * SOL_PRICE_JUMP_MAX_BPS:
            mean = format_usd(self.mean_usd_micros)
            return f"is more than {_percent(SOL_PRICE_JUMP_MAX_BPS)} from its hourly mean of {mean}"
        return ""


def _percent(bps: int) -> str:
    return f"{bps // 100}.{bps % 100:02d} %"
