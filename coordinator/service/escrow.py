"""The escrow of a job that is submitted: is it open as agreed?"""

from __future__ import annotations

import trio

from coordinator.service.context import Context
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.core.agreement import run_limit_s
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import CHAIN_CLOCK_SLACK_S, CONFIRM_POLL_S, ESCROW_SEEN_S
from p2p.core.messages.jobs import Terms
from p2p.core.signing import Domain, statement_hash


class Escrow:
    """Reads of the chain on behalf of orders."""

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
                ("coordinator", job.coordinator == terms.coordinator_wallet),
                ("deadline", job.run_s >= run_limit_s(terms.timeout_s, self._context.on_chain.longest_job_s)),
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
