"""What became of a transaction, from nodes of which any may be silent, late, short of memory, or wrong.

A yes from one node is believed. A no, after which an action may be signed anew, takes all of them; where the
program itself refuses to do the action twice, all that can be asked.
"""

from __future__ import annotations

from p2p.chain.errors import chain_unexpected, error_word, program_number
from p2p.chain.reads import ChainReads
from p2p.chain.rpc import number_of, slot_of, value_of
from p2p.chain.transaction import Outcome, OutcomeKind
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import BLOCKHASH_BLOCKS

_LEVELS = {"processed": 0, "confirmed": 1, "finalized": 2}
_PENDING = Outcome(OutcomeKind.PENDING)
_EXPIRED = Outcome(OutcomeKind.EXPIRED)
_LANDED = (OutcomeKind.CONFIRMED, OutcomeKind.FAILED)
_SLOTS_PER_BLOCK_MAX = 2
"""At least every second slot has a block, on any day on which the cluster is worth its name."""


class _NoHistory(Exception):
    """The node has thrown away the blocks in which the transaction may be."""


class ChainOutcomes(ChainReads):
    """Finding out, for one deployment."""

    async def outcome(
        self,
        signature: str,
        last_valid_height: int,
        *,
        commitment: str | None = None,
        state_decides: bool = False,
    ) -> Outcome:
        """What became of a transaction.

        ``EXPIRED`` only if every configured node says so: its finalized height has passed the last valid
        one, and its history, searched after that, is empty. A node that cannot be asked may know better;
        one that has thrown away the history is no witness, but there must be one.

        :param commitment: how sure the chain must be before it counts; else as configured.
        :param state_decides: the caller looks at the accounts themselves before it signs anew, and the
            program refuses to do the action twice. So it is enough that the nodes that can be asked say that
            these bytes can land no more, whoever keeps the history: else one that is away for long would keep
            an action from ever being done.
        :raises EnvironmentFailure: no node can tell; ``history_gone`` if it is for want of history.
        """
        level = _LEVELS[commitment or self.chain.commitment]
        said: list[OutcomeKind] = []
        failure: EnvironmentFailure | None = None
        for url in self._rpc.in_order():
            undecided = failure is not None or OutcomeKind.PENDING in said
            if undecided and said and self._rpc.is_silent(url):
                continue  # its word would not make it a no, and to wait for it takes long
            try:
                found = await self._said_by(url, signature, last_valid_height, level)
            except EnvironmentFailure as error:
                failure = error
                continue
            except _NoHistory:
                if not state_decides:
                    continue
                found = _EXPIRED
            if found.kind in _LANDED:
                return found
            said.append(found.kind)
        if not said:
            raise failure or _history_is_gone()
        doubted = failure is not None and not state_decides
        return _PENDING if doubted or OutcomeKind.PENDING in said else _EXPIRED

    async def _said_by(self, url: str, signature: str, last_valid_height: int, level: int) -> Outcome:
        """:raises _NoHistory: the node cannot know."""
        found = await self._status(url, signature, level)
        if found is not None:
            return found
        height, slot = await self._finalized(url)
        if height <= last_valid_height:
            return _PENDING
        # Asked again after the height, so that a landing in between is seen; and of a node that has got as
        # far, for behind one URL there may be several.
        found = await self._status(url, signature, level, slot)
        if found is not None:
            return found
        oldest = slot - _SLOTS_PER_BLOCK_MAX * (height - last_valid_height + BLOCKHASH_BLOCKS)
        if number_of(await self._ask_at(url, "getFirstAvailableBlock")) > max(0, oldest):
            raise _NoHistory
        return _EXPIRED

    async def _finalized(self, url: str) -> tuple[int, int]:
        """Height and slot of the last block that is final."""
        reply = await self._ask_at(url, "getEpochInfo", {"commitment": "finalized"})
        if not isinstance(reply, dict):
            raise chain_unexpected("no epoch")
        return number_of(reply.get("blockHeight")), number_of(reply.get("absoluteSlot"))

    async def _status(self, url: str, signature: str, level: int, at_slot: int = 0) -> Outcome | None:
        """What a node that has seen ``at_slot`` knows of the signature; nothing if it knows none."""
        options = {"searchTransactionHistory": True}
        reply = await self._ask_at(url, "getSignatureStatuses", [signature], options)
        found = value_of(reply)
        if not isinstance(found, list) or len(found) != 1:
            raise chain_unexpected("no signature status")
        status = found[0]
        if status is None:
            return None if not at_slot or slot_of(reply) >= at_slot else _PENDING
        if not isinstance(status, dict):
            raise chain_unexpected("a signature status that cannot be read")
        if _LEVELS.get(str(status.get("confirmationStatus")), 0) < level:
            return _PENDING
        error = status.get("err")
        if error is not None:
            return Outcome(OutcomeKind.FAILED, program_number(error), error_word(error))
        return Outcome(OutcomeKind.CONFIRMED)


def _history_is_gone() -> EnvironmentFailure:
    return EnvironmentFailure(
        "history_gone",
        "No RPC node keeps the chain's history of the time when a transaction was sent.",
        "Whether it landed cannot be told, so it is not sent anew; no money moves twice.",
        "Add a node with the whole history to rpc_url in [chain].",
    )
