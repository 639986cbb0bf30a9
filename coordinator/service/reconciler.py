"""Compares ledger and chain all the time, and raises an alarm about every unit that it cannot explain.

The totals in every round, people's accounts and escrows a part in each: a few questions to the chain, however
many they are. Only the history of an account that differs is read in full. An alarm stays in the database,
where ``status`` shows it, and goes by itself when the unit is explained.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

import trio

from coordinator.domain import ledger as rules
from coordinator.service.account_history import Evidence, evidence_of
from coordinator.service.audit import broken_link
from coordinator.service.comparison import Account, Difference, account_of, compare
from coordinator.service.follower import Follower
from coordinator.store import ledger
from coordinator.store.database import Database, Overdrawn, Tx
from p2p.chain.config import FINALIZED
from p2p.chain.escrow import EscrowClient
from p2p.chain.holdings import read_all_holdings
from p2p.chain.transaction import OutcomeKind
from p2p.core.clock import Clock
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import (
    LEDGER_ACCOUNTS_PER_ROUND_MAX,
    LEDGER_EXPLAINED_PER_ROUND_MAX,
    LEDGER_FOUND_MAX,
    LEDGER_LATE_S,
    LEDGER_LINKS_PER_ROUND_MAX,
    LEDGER_LOOK_AGAIN_S,
    LEDGER_LOOKS_MAX,
    LEDGER_STALLED_S,
    LEDGER_UNPOSTED_MAX,
)
from p2p.core.money import Asset

logger = logging.getLogger(__name__)

Subject = tuple[str, str]
"""What an alarm is about: an account and its asset, or something that has none."""

CHAIN_OF_HASHES = "chain of hashes", ""
HISTORY = "history of the program", ""


class Reconciler:
    """The ledger's watch in one coordinator."""

    def __init__(self, db: Database, chain: EscrowClient, clock: Clock, follower: Follower) -> None:
        self._db = db
        self._chain = chain
        self._clock = clock
        self.follower = follower
        self._seen: Account | None = None
        self._verified_seq = 0
        self._followed_at_s = clock.monotonic_s()

    async def run_once(self) -> int:
        """One round; how many alarms stand after it.

        :raises EnvironmentFailure: the chain or the database cannot be reached.
        """
        await self._check_links()  # whatever becomes of the rest
        await self._follow()
        wanted = await self._next_accounts()
        found = await self._explained(wanted)
        await self._db.run(lambda tx: self._keep(tx, wanted, found))
        await self._check_unposted()
        return len(await self._db.run(lambda tx: tx.rows("ledger.alarms", limit=LEDGER_FOUND_MAX)))

    async def _follow(self) -> None:
        """A history that cannot be read for long is an alarm of its own: nothing else would be noticed."""
        try:
            await self.follower.follow()
        except EnvironmentFailure as failure:
            silent_s, text = self._clock.monotonic_s() - self._followed_at_s, failure.what
            if silent_s >= LEDGER_STALLED_S:
                words = f"the program's history cannot be read, so that nothing is compared: {text}"
                await self._db.run(lambda tx: self._raise(tx, HISTORY, words))
            raise
        self._followed_at_s = self._clock.monotonic_s()
        await self._db.run(lambda tx: self._clear(tx, {HISTORY}))

    async def _next_accounts(self) -> list[Account]:
        """The totals, whatever an alarm is about, and the accounts whose turn it is."""

        def work(tx: Tx) -> tuple[list[Account], list[Account]]:
            name, asset = (self._seen[0], self._seen[1].value) if self._seen else ("", "")
            page = ledger.accounts_after(tx, name, asset, LEDGER_ACCOUNTS_PER_ROUND_MAX)
            alarms = tx.rows("ledger.alarms", limit=LEDGER_FOUND_MAX)
            return list(page), [(row["subject"], Asset(row["asset"])) for row in alarms if row["asset"]]

        page, alarmed = await self._db.run(work)
        self._seen = page[-1] if len(page) == LEDGER_ACCOUNTS_PER_ROUND_MAX else None
        return [*((rules.CHAIN, asset) for asset in Asset), *alarmed, *page]

    async def _explained(self, wanted: Sequence[Account]) -> list[Difference]:
        """What differs after everything that could be explained was posted."""
        found = await self._compare(wanted)
        if found and all(difference.account == rules.CHAIN for difference in found):
            wanted = [*wanted, *await self._everybody()]
            found = await self._compare(wanted)
        for difference in [d for d in found if d.account != rules.CHAIN][:LEDGER_EXPLAINED_PER_ROUND_MAX]:
            await self._explain(difference)
        if not found:
            return []
        left = []
        for difference in await self._compare(wanted):
            if difference.account == rules.CHAIN:
                left.append(difference)
                continue
            evidence = await evidence_of(
                self._db, self.follower.history, (difference.account, difference.asset)
            )
            left.append(replace(difference, signature=evidence.signature()))
        return left

    async def _everybody(self) -> list[Account]:
        """Who has something on chain, as far as one reply holds them: somebody is missing here."""
        try:
            return [account_of(holding) for holding in await read_all_holdings(self.follower.history.chain)]
        except EnvironmentFailure as error:
            logger.warning("the program's accounts: %s", error.what)
            return []

    async def _compare(self, wanted: Iterable[Account]) -> list[Difference]:
        """The accounts that differ, and go on to for a while: a node may be behind another for a moment."""
        left = list(wanted)
        found: list[Difference] = []
        for look in range(LEDGER_LOOKS_MAX):
            if look:
                await trio.sleep(LEDGER_LOOK_AGAIN_S)
            found = (await compare(self._db, self.follower.history, left, self._clock.now_s())).differences
            left = [(difference.account, difference.asset) for difference in found]
            if not left:
                break
        return found

    async def _explain(self, difference: Difference) -> None:
        account = difference.account, difference.asset
        evidence = await evidence_of(self._db, self.follower.history, account)
        if evidence.missing:
            await self.follower.take(evidence.missing)
        elif evidence.unknown:
            await self._take_back(difference, evidence)

    async def _take_back(self, difference: Difference, evidence: Evidence) -> None:
        """Reverse postings whose transactions never landed, if that explains the difference to the unit."""
        named = [transfer for transfer in evidence.unknown if transfer.signature]
        gone = [transfer for transfer in named if await self._never_landed(transfer.signature)]
        units = sum(line.units for t in gone for line in t.lines if line.account == difference.account)
        if not gone or units != difference.ledger_units - difference.chain_units:
            return
        now_s = int(self._clock.now_s())
        try:
            await self._db.run(lambda tx: ledger.post(tx, [rules.reversal(t, now_s) for t in gone]))
        except Overdrawn:  # somebody else has it by now, which the chain does not know either
            return
        for transfer in gone:
            logger.error("transaction %s is not on the chain: its posting is reversed", transfer.signature)

    async def _never_landed(self, signature: str) -> bool:
        """Whether every node says so, of what may be as old as the chain."""
        try:
            outcome = await self._chain.outcome(signature, 0, commitment=FINALIZED)
        except EnvironmentFailure:  # no node keeps so old a history: an alarm is better than a guess
            return False
        return outcome.kind in (OutcomeKind.EXPIRED, OutcomeKind.FAILED)

    def _keep(self, tx: Tx, wanted: Sequence[Account], found: Sequence[Difference]) -> None:
        differing = {(difference.account, difference.asset.value) for difference in found}
        self._clear(tx, {(name, asset.value) for name, asset in wanted} - differing)
        for difference in found:
            self._raise(
                tx,
                (difference.account, difference.asset.value),
                difference.text,
                difference.ledger_units,
                difference.chain_units,
                difference.signature,
            )

    async def _check_links(self) -> None:
        """A part of the chain of hashes, from the start again after its end."""
        after = self._verified_seq
        seq, broken = await self._db.run(lambda tx: ledger.verify(tx, after, LEDGER_LINKS_PER_ROUND_MAX))

        def work(tx: Tx) -> None:
            if broken is not None:
                problem = broken_link(broken)
                self._raise(tx, CHAIN_OF_HASHES, problem.text, signature=problem.signature)
            elif not seq:  # the end was reached, and from the start on nothing was broken
                self._clear(tx, {CHAIN_OF_HASHES})

        await self._db.run(work)
        self._verified_seq = seq

    async def _check_unposted(self) -> None:
        """What is final and still not explained after a while."""

        def work(tx: Tx) -> None:
            now_s = self._clock.now_s()
            waiting = tx.rows("ledger.unposted", limit=LEDGER_UNPOSTED_MAX)
            late = {row["signature"]: row for row in waiting if now_s - row["since_s"] >= LEDGER_LATE_S}
            raised = tx.rows("ledger.alarms", limit=LEDGER_FOUND_MAX)
            transactions = {(r["subject"], "") for r in raised if r["subject"].startswith("transaction ")}
            self._clear(tx, transactions - {(f"transaction {signature}", "") for signature in late})
            for signature, row in late.items():
                text = f"transaction {signature} is final, but cannot be explained: {row['reason']}"
                self._raise(tx, (f"transaction {signature}", ""), text, signature=signature)

        await self._db.run(work)

    def _raise(
        self,
        tx: Tx,
        subject: Subject,
        text: str,
        ledger_units: int = 0,
        chain_units: int = 0,
        signature: str = "",
    ) -> None:
        logger.error("the ledger cannot explain: %s", text)
        tx.execute(
            "ledger.raise_alarm",
            subject=subject[0],
            asset=subject[1],
            ledger_units=ledger_units,
            chain_units=chain_units,
            signature=signature,
            detail=text,
            now_s=self._clock.now_s(),
        )

    def _clear(self, tx: Tx, subjects: set[Subject]) -> None:
        pairs = list(subjects)
        if tx.execute(
            "ledger.clear_alarms", subjects=[name for name, _ in pairs], assets=[asset for _, asset in pairs]
        ):
            logger.info("an alarm of the ledger is over")
