"""The escrow as the coordinator reads it: is it open as agreed, and what moved that the ledger has not."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from coordinator.domain import ledger as rules
from coordinator.service.context import Context
from coordinator.store import ledger
from coordinator.store.database import Overdrawn, Tx, UniqueBroken
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.chain.history import HistoryEntry
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import CONFIRM_POLL_S, ESCROW_SEEN_S, HISTORY_ENTRIES_MAX
from p2p.core.messages.jobs import Terms
from p2p.core.money import Asset
from p2p.core.signing import Domain, statement_hash

CHAIN_CLOCK_SLACK_S = 120
"""How far the chain's clock may be from ours: validators agree on time only roughly."""

_RETURNED = ("cancel", "refund", "reclaim")


class Escrow:
    """Reads of the chain on behalf of orders and ledger."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def check_open(self, terms: Terms, payload: bytes) -> None:
        """Wait until the job's escrow is seen on chain, and check it against the terms.

        :raises EnvironmentFailure: ``escrow_not_seen``.
        :raises Refused: ``escrow_differs``, ``escrow_over``.
        """
        deadline_s = self._context.clock.monotonic_s() + ESCROW_SEEN_S
        while True:
            job = await self._context.chain.job(Wallet(terms.buyer), JobId(terms.job_id))
            if job is not None:
                self._check(job, terms, payload)
                return
            if self._context.clock.monotonic_s() >= deadline_s:
                raise EnvironmentFailure(
                    "escrow_not_seen",
                    "The job's escrow is not on the chain yet.",
                    "The job is not queued; if the escrow was opened, its money is safe there.",
                    "Submit it again in a moment.",
                )
            await trio.sleep(CONFIRM_POLL_S)

    def _check(self, job: OnChainJob, terms: Terms, payload: bytes) -> None:
        if job.status is not JobStatus.OPEN:
            raise Refused(
                "escrow_over",
                f"The job's escrow is {job.status.name.lower()}, not open.",
                "The job cannot be queued.",
                "Submit it as a new job.",
            )
        differs = [
            name
            for name, same in (
                ("terms", job.terms_hash == statement_hash(Domain.TERMS, payload)),
                ("deposit", job.deposit_units == terms.deposit_units),
                ("asset", self._context.chain.asset_of(job) is terms.asset),
                ("fee", job.fee_bps == terms.fee_bps),
                ("coordinator", job.coordinator == self._context.signer.address),
                ("deadline", job.run_s >= terms.timeout_s),
                ("age of the quote", job.opened_at_s <= terms.expires_at_s + CHAIN_CLOCK_SLACK_S),
            )
            if not same
        ]
        if differs:
            raise Refused(
                "escrow_differs",
                f"The escrow on the chain differs from the terms in: {', '.join(differs)}.",
                "The job is not queued; nobody was assigned, so everything can be had back at once.",
                "Cancel the escrow and ask for a new quote.",
            )

    async def fund(self, terms: Terms) -> None:
        """Make sure that the ledger knows the money behind an escrow that is open on chain."""

        def enough(tx: Tx) -> bool:
            held = ledger.balance(tx, rules.user(terms.buyer), terms.asset)
            return held >= terms.deposit_units

        if not await self._context.run(enough):
            await self.sync(Wallet(terms.buyer))

    async def sync(self, wallet: Wallet) -> int:
        """Post what moved on chain for a wallet and the ledger does not have; how many entries."""
        entries = await self._context.chain.history(wallet, limit=HISTORY_ENTRIES_MAX)
        fee_owner = wallet == self._context.on_chain.fee_owner
        transfers = list(transfers_of(wallet, entries, fee_owner=fee_owner))
        if not transfers:
            return 0
        ids = [transfer.transfer_id for transfer in transfers]
        known = await self._context.run(
            lambda tx: {row["transfer_id"] for row in tx.rows("ledger.known", transfer_ids=ids)}
        )
        posted = 0
        for transfer in transfers:
            if transfer.transfer_id in known:
                continue
            if not await self._post(transfer):
                break
            posted += 1
        return posted

    async def _post(self, transfer: rules.Transfer) -> bool:
        """False if it has to wait for something that the ledger does not know yet, such as a settlement."""

        def work(tx: Tx) -> None:
            if transfer.kind is rules.Kind.REFUND and not _needs_refund(tx, transfer):
                return
            ledger.post(tx, transfer, self._context.now_s())

        try:
            await self._context.run(work)
        except (Overdrawn, UniqueBroken):
            return False
        return True


def _needs_refund(tx: Tx, transfer: rules.Transfer) -> bool:
    """Whether an escrow that was given back on chain is still pending here, and of no job that we run."""
    job_id = transfer.job_id or ""
    ours = tx.row("jobs.by_id", job_id=job_id) is not None
    return not ours and not ledger.has_verdict(tx, job_id)


def transfers_of(
    wallet: Wallet, entries: Iterable[HistoryEntry], *, fee_owner: bool
) -> Iterable[rules.Transfer]:
    """History (newest first) as transfers, oldest first; within a transaction in its own order.

    Settlements are not among them: the settler posts those with the job's state.
    """
    account = rules.FEES if fee_owner else ""
    groups: dict[str, list[HistoryEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.signature, []).append(entry)
    for signature in reversed(groups):
        seen: dict[str, int] = {}
        for entry in groups[signature]:
            count = seen[entry.kind] = seen.get(entry.kind, 0) + 1
            reference = signature if count == 1 else f"{signature}:{count}"
            transfer = _transfer(wallet, entry, reference, account)
            if transfer is not None:
                yield transfer


def _transfer(wallet: Wallet, entry: HistoryEntry, reference: str, account: str) -> rules.Transfer | None:
    asset: Asset | None = entry.asset
    if asset is None or entry.units <= 0:
        return None
    if entry.kind == "deposit":
        return rules.deposit(wallet, asset, entry.units, reference, account)
    if entry.kind == "withdraw":
        return rules.withdraw(wallet, asset, entry.units, reference, account)
    if entry.job_id is None:
        return None
    if entry.kind == "open":
        return rules.open_job(wallet, entry.job_id, asset, entry.units, entry.signature)
    if entry.kind in _RETURNED:
        return rules.refund(wallet, entry.job_id, asset, entry.units, entry.signature)
    return None
