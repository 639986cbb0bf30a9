"""The fee that a job was opened under, when its account is closed: the last that was set before."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from p2p.chain.calls import calls_in, mentions_of
from p2p.chain.instructions import Tag
from p2p.core.limits import HISTORY_ENTRIES_MAX

if TYPE_CHECKING:
    from p2p.chain.sending import ChainSending

FEE_AT = {Tag.INIT_CONFIG: 129, Tag.SET_CONFIG: 33}
"""Where the fee is in the data of the instructions that set it."""


class FeeHistory:
    """Fees in force at openings, as far back as ``HISTORY_ENTRIES_MAX`` transactions of the program.

    Whatever depends on the settings names their account, so each step back is one transaction.
    """

    def __init__(self, chain: ChainSending) -> None:
        self._chain = chain
        self._known: dict[str, int | None] = {}

    async def at(self, opening: str) -> int | None:
        """The fee in force at the transaction that opened a job; nothing if that is too long ago.

        :raises EnvironmentFailure: the chain cannot be reached.
        """
        passed = [opening]
        config = str(self._chain.addresses.config)
        fee_bps = None
        for mention in await mentions_of(self._chain, config, HISTORY_ENTRIES_MAX, before=opening):
            if mention.signature in self._known:
                fee_bps = self._known[mention.signature]
                break
            passed.append(mention.signature)
            if not mention.failed and (set_to := await self._set_by(mention.signature)) is not None:
                fee_bps = set_to
                break
        # The next opening that is asked for stops where this one began.
        self._known |= dict.fromkeys(passed[:-1] if fee_bps is not None else passed, fee_bps)
        return fee_bps

    async def _set_by(self, signature: str) -> int | None:
        for call in reversed(await calls_in(self._chain, signature)):
            if call.tag in FEE_AT:
                return int(struct.unpack_from("<H", call.data, FEE_AT[call.tag])[0])
        return None
