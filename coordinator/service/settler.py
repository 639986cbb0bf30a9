"""Does the outbox's chain actions, so that a crash at any point neither loses nor doubles one.

Signed bytes, their signature and their last valid height are stored before they are sent. The same bytes
are sent until they are finalized, or until they can never land; only then is the action signed anew.
What the coordinator alone signs and is due at one time shares a transaction: a group, stored for all its
actions at once and followed as one.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from coordinator.service import signing
from coordinator.service.context import Context
from coordinator.service.effects import of_action
from coordinator.service.endings import Endings
from coordinator.service.loops import surviving
from coordinator.store import outbox
from coordinator.store.database import Tx
from coordinator.store.records import ActionRow
from p2p.chain.config import FINALIZED
from p2p.chain.errors import ProgramRefused
from p2p.chain.instructions import Step
from p2p.chain.transaction import Outcome, OutcomeKind, SignedTransaction
from p2p.core.errors import Bug, EnvironmentFailure, Refused
from p2p.core.limits import (
    CLOSE_AGAIN_S,
    GROUP_ACTIONS_MAX,
    SETTLER_BACKOFF_MAX_S,
    SETTLER_BATCH_MAX,
    SETTLER_IDLE_S,
    SETTLER_POLL_S,
    SETTLER_TAKE_S,
    SWEEP_BATCH_MAX,
)

logger = logging.getLogger(__name__)

_QUICK_TRIES = 20
"""Tries at ``SETTLER_POLL_S`` before the pauses grow: what lands at all lands within seconds."""
_DOUBLINGS_MAX = 16


class Settler:
    """The outbox worker. Several, in several coordinators, may run on one database."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._endings = Endings(context)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            wait_s = SETTLER_IDLE_S
            with surviving("settler"):
                await self._work_on_all("outbox.due", SETTLER_BATCH_MAX)
                wait_s = await self._until_next_s()
            await self._context.settle.wait(wait_s)

    async def close_accounts(self) -> int:
        """The sweep over escrows that have ended, for whose rent nobody waits; how many were looked at."""
        return await self._work_on_all("outbox.due_closes", SWEEP_BATCH_MAX)

    async def _work_on_all(self, query: str, limit: int) -> int:
        now_s = self._context.now_s()
        due = await self._context.run(lambda tx: tx.all_as(ActionRow, query, now_s=now_s, limit=limit))
        for group in groups_of(due):
            await self.work_on(*(action.action_id for action in group))
        return len(due)

    async def _until_next_s(self) -> float:
        row = await self._context.run(lambda tx: tx.row("outbox.next_due"))
        if row is None or row["at_s"] is None:
            return SETTLER_IDLE_S
        return float(min(max(row["at_s"] - self._context.now_s(), 0.0) + 0.01, SETTLER_IDLE_S))

    async def work_on(self, *action_ids: int) -> None:
        """One step of these actions, each of another job, as far as no other worker has them."""
        now_s = self._context.now_s()
        taken = await self._context.run(
            lambda tx: tx.all_as(
                ActionRow,
                "outbox.take",
                action_ids=list(action_ids),
                now_s=now_s,
                until_s=now_s + SETTLER_TAKE_S,
            )
        )
        for group in groups_of(taken):
            await self._reached(group, "taken")
            if group[0].state == "prepared":
                group = await self._sign(group)
            async with self._surviving(group):
                await self._follow(group)

    async def _reached(self, actions: list[ActionRow], step: str) -> None:
        for boundary in sorted({of_action(action, step) for action in actions}, key=lambda b: b.number):
            await self._context.effect(boundary)

    # -- signing

    async def _sign(self, group: list[ActionRow]) -> list[ActionRow]:
        """Sign and store one transaction for those that are still to be done and may be done now."""
        wanted: list[ActionRow] = []
        steps: list[Step] = []
        for action in group:
            async with self._surviving([action]):
                on_chain = await self._endings.still_open(action)
                if on_chain is not None:
                    steps.append(await signing.step(self._context, action, on_chain))
                    wanted.append(action)
        stored: list[ActionRow] = []
        if wanted:
            async with self._surviving(wanted):
                stored = await self._sign_together(wanted, steps)
        return stored

    async def _sign_together(self, actions: list[ActionRow], steps: list[Step]) -> list[ActionRow]:
        try:
            transaction = await self._context.chain.prepare(
                steps, self._context.signer, self._context.keyring
            )
            if len(actions) > 1:
                await self._context.chain.rehearse(transaction.raw)
        except (ProgramRefused, Bug) as error:
            if len(actions) == 1:
                raise
            await self._take_apart(actions, error.what)
            return []
        await self._reached(actions, "signed")
        stored = await self._context.run(lambda tx: self._store(tx, actions, transaction))
        await self._reached(actions, "stored")
        return stored

    async def _take_apart(self, actions: list[ActionRow], error: str) -> None:
        """Nothing was stored or sent: one that cannot be done must not hold up the others."""
        logger.info("%d actions are tried one by one: %s", len(actions), error)
        ids, now_s = [action.action_id for action in actions], self._context.now_s()
        await self._context.run(
            lambda tx: tx.execute("outbox.apart", action_ids=ids, error=error[:500], now_s=now_s)
        )

    def _store(self, tx: Tx, actions: list[ActionRow], transaction: SignedTransaction) -> list[ActionRow]:
        """For all of them at once or for none."""
        stored = tx.all_as(
            ActionRow,
            "outbox.signed",
            action_ids=[action.action_id for action in actions],
            signed_bytes=transaction.raw,
            signature=transaction.signature,
            last_valid_height=transaction.last_valid_height,
            now_s=self._context.now_s(),
        )
        if len(stored) != len(actions):
            raise signing.NotDue(0.0)  # one was called back meanwhile: without it, then
        return stored

    # -- following

    async def _follow(self, group: list[ActionRow]) -> None:
        """Bytes are stored: find out what became of them, and send them (again) if nothing did."""
        if not group:
            return
        outcome = await self._outcome(group[0])
        if outcome.kind is OutcomeKind.PENDING:
            if not await self._broadcast(group):
                return
            await self._reached(group, "sent")
            outcome = await self._outcome(group[0])
        for action in group:
            async with self._surviving([action]):
                await self._conclude(action, outcome, alone=len(group) > 1)

    async def _outcome(self, action: ActionRow) -> Outcome:
        return await self._context.chain.outcome(
            action.signature, action.last_valid_height or 0, commitment=FINALIZED, state_decides=True
        )

    async def _broadcast(self, group: list[ActionRow]) -> bool:
        """Whether a node took the bytes. If not, they may have landed before: the chain's state tells."""
        try:
            await self._context.chain.broadcast(group[0].signed_bytes or b"")
        except ProgramRefused as refusal:
            for action in group:
                async with self._surviving([action]):
                    if await self._endings.still_open(action) is not None:
                        raise refusal from None
            return False
        return True

    async def _conclude(self, action: ActionRow, outcome: Outcome, *, alone: bool) -> None:
        if outcome.kind is OutcomeKind.CONFIRMED:
            await self._endings.finish(action)
        elif outcome.kind is OutcomeKind.PENDING:
            await self._postpone(action, "")
        elif await self._endings.still_open(action) is not None:
            alone = alone and outcome.kind is OutcomeKind.FAILED
            await self._again(action, outcome.error or outcome.kind.value, alone=alone)

    async def _again(self, action: ActionRow, error: str, *, alone: bool) -> None:
        now_s = self._context.now_s()
        await self._context.run(
            lambda tx: tx.execute(
                "outbox.again",
                action_id=action.action_id,
                signature=action.signature,
                error=error,
                alone=alone,
                now_s=now_s,
            )
        )
        if action.kind == outbox.SETTLE:
            await self._endings.tell_buyer(action)
        self._context.settle.set()

    # -- what goes wrong

    @asynccontextmanager
    async def _surviving(self, actions: list[ActionRow]) -> AsyncIterator[None]:
        """What goes wrong is kept with these actions, where `status` shows it; that of others goes on."""
        try:
            yield
        except signing.NotDue as pause:
            for action in actions:
                await self._postpone_for(action, pause.wait_s, "")
        except signing.TooLate as error:
            for action in actions:
                await self._endings.give_up(action, str(error))
        except (EnvironmentFailure, Refused) as error:
            for action in actions:
                logger.warning("%s of job %s: %s", action.kind, action.job_id, error.what)
                await self._postpone(action, error.what)
        except Exception as mistake:
            logger.exception("%s", ", ".join(f"{action.kind} of job {action.job_id}" for action in actions))
            for action in actions:
                await self._postpone(action, f"a mistake of the coordinator's: {mistake!r}")

    async def _postpone(self, action: ActionRow, error: str) -> None:
        doublings = min(max(0, action.attempts - _QUICK_TRIES), _DOUBLINGS_MAX)
        pause_s = min(SETTLER_POLL_S * 2.0**doublings, SETTLER_BACKOFF_MAX_S)
        if action.kind == outbox.CLOSE:
            pause_s = CLOSE_AGAIN_S
        await self._postpone_for(action, pause_s, error)

    async def _postpone_for(self, action: ActionRow, pause_s: float, error: str) -> None:
        now_s = self._context.now_s()
        await self._context.run(
            lambda tx: tx.execute(
                "outbox.postpone",
                action_id=action.action_id,
                until_s=now_s + pause_s,
                error=error[:500],
                now_s=now_s,
            )
        )


def groups_of(actions: Iterable[ActionRow]) -> list[list[ActionRow]]:
    """What shares a transaction: what was sent together, and what is to be signed together."""
    sent: dict[str, list[ActionRow]] = {}
    fresh: list[list[ActionRow]] = [[]]
    for action in actions:
        if action.state == "sent":
            sent.setdefault(action.signature, []).append(action)
        elif action.alone:
            fresh.insert(0, [action])
        else:
            if len(fresh[-1]) == GROUP_ACTIONS_MAX:
                fresh.append([])
            fresh[-1].append(action)
    return [*sent.values(), *filter(None, fresh)]
