"""What the program says of the coordinator's office, read again and again: its key, fee, bounds, pause."""

from __future__ import annotations

import logging
from dataclasses import fields

from coordinator.service.context import Context
from p2p.chain.accounts import OnChainConfig
from p2p.core.errors import Refused
from p2p.core.limits import OFFICE_FRESH_S

logger = logging.getLogger(__name__)


class Office:
    """Keeps ``context.on_chain`` and ``context.signer`` as they are on chain."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._read_at_s = context.clock.monotonic_s()

    async def look(self) -> None:
        """Read the program's configuration, and the keys that came since.

        :raises EnvironmentFailure: the chain cannot be reached; what was known stays.
        """
        context = self._context
        found = await context.chain.config()
        self._read_at_s = context.clock.monotonic_s()
        for name, before, after in _changes(context.on_chain, found):
            logger.info("the escrow program's %s is %s now, no longer %s", name, after, before)
        context.keyring.look_again()
        context.on_chain = found
        signer = context.keyring.find(found.coordinator)
        if signer is None:
            logger.error("no new job: the key of the program's coordinator %s is not here", found.coordinator)
        else:
            context.signer = signer

    async def check_open(self) -> None:
        """Whether new jobs can be taken, by what the chain said lately.

        :raises Refused: ``paused``.
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


def _changes(before: OnChainConfig, after: OnChainConfig) -> list[tuple[str, object, object]]:
    pairs = [
        (field.name.replace("_", " "), getattr(before, field.name), getattr(after, field.name))
        for field in fields(OnChainConfig)
    ]
    return [(name, old, new) for name, old, new in pairs if old != new]
