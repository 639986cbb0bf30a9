"""What the program says, read again and again: the coordinator's key, fee, bounds, pause, assets."""

from __future__ import annotations

import logging
import math
from dataclasses import fields

from coordinator.service.context import Context
from p2p.chain.accounts import OnChainConfig
from p2p.chain.administration import asset_taken
from p2p.core.errors import Refused
from p2p.core.limits import OFFICE_FRESH_S
from p2p.core.money import Asset

logger = logging.getLogger(__name__)


class Office:
    """Keeps ``context.on_chain``, ``context.stopped`` and ``context.signer`` as they are on chain."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._read_at_s = -math.inf

    async def look(self) -> None:
        """Read the program's configuration, and the keys that came since.

        :raises EnvironmentFailure: the chain cannot be reached; what was known stays.
        """
        context = self._context
        found = await context.chain.config()
        stopped = frozenset([asset for asset in Asset if not await asset_taken(context.chain, asset)])
        self._read_at_s = context.clock.monotonic_s()
        for name, before, after in _changes(context.on_chain, found):
            logger.info("the escrow program's %s is %s now, no longer %s", name, after, before)
        if stopped != context.stopped:
            symbols = ", ".join(asset.symbol for asset in Asset if asset in stopped)
            logger.info("new jobs are taken in every asset but: %s", symbols or "none")
        context.keyring.look_again()
        context.on_chain, context.stopped = found, stopped
        signer = context.keyring.find(found.coordinator)
        if signer is None:
            logger.error("no new job: the key of the program's coordinator %s is not here", found.coordinator)
        else:
            context.signer = signer

    async def check_open(self, asset: Asset) -> None:
        """Whether new jobs can be taken and paid in ``asset``, by what the chain said lately.

        :raises Refused: ``paused``, ``asset_stopped``.
        :raises EnvironmentFailure: the present coordinator's key is not here, or the chain does not answer.
        """
        context = self._context
        if context.clock.monotonic_s() - self._read_at_s > OFFICE_FRESH_S:
            await self.look()
        context.keyring.signer(context.on_chain.coordinator)
        if context.on_chain.paused:
            raise Refused(
                "paused",
                "The operator has paused deposits and new jobs.",
                "Nothing was paid. Jobs that run go on, and balances can be withdrawn.",
                "Try again later.",
            )
        if asset in context.stopped:
            raise Refused(
                "asset_stopped",
                f"The escrow program takes no deposits and no new jobs in {asset.symbol}.",
                "Nothing was paid. Jobs that run go on, and balances can be withdrawn.",
                "Pay in the other asset (`--asset`).",
            )


def _changes(before: OnChainConfig, after: OnChainConfig) -> list[tuple[str, object, object]]:
    pairs = [
        (field.name.replace("_", " "), getattr(before, field.name), getattr(after, field.name))
        for field in fields(OnChainConfig)
    ]
    return [(name, old, new) for name, old, new in pairs if old != new]
