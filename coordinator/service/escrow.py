"""The escrow of a job that is submitted: is it open as agreed?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from coordinator.service.context import Context
from p2p.chain.accounts import JobStatus, OnChainJob
from p2p.core.agreement import run_limit_s
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import CHAIN_CLOCK_SLACK_S, CONFIRM_POLL_S, ESCROW_SEEN_S, ESCROWS_AWAITED_MAX
from p2p.core.messages.jobs import Terms
from p2p.core.signing import Domain, statement_hash

JobKey = tuple[Wallet, JobId]


class Escrow:
    """Reads of the chain on behalf of orders: one read for all that wait, however many they are. Anybody may
    submit, and what they cost must not be what the coordinator's own actions lack."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._awaited: Counter[JobKey] = Counter()
        self._turn = trio.Lock()
        self._found: dict[JobKey, bytes | None] = {}
        self._looked_at_s = -math.inf

    async def check_open(self, terms: Terms, payload: bytes) -> None:
        """Wait until the job's escrow is seen on chain, and check it against the terms.

        :raises EnvironmentFailure: ``escrow_not_seen``.
        :raises Refused: ``escrow_differs``, ``escrow_over``.
        """
        deadline_s = self._context.clock.monotonic_s() + ESCROW_SEEN_S
        key = Wallet(terms.buyer), JobId(terms.job_id)
        with self._awaiting(key):
            while (job := self._context.chain.job_in(await self._look(key), key[1])) is None:
                if self._context.clock.monotonic_s() >= deadline_s:
                    raise _not_seen()
                await trio.sleep(CONFIRM_POLL_S)
        self._check(job, terms, payload)

    @contextmanager
    def _awaiting(self, key: JobKey) -> Iterator[None]:
        if len(self._awaited) >= ESCROWS_AWAITED_MAX:
            raise _not_seen()
        self._awaited[key] += 1
        try:
            yield
        finally:
            self._awaited[key] -= 1
            if not self._awaited[key]:
                del self._awaited[key]

    async def _look(self, key: JobKey) -> bytes | None:
        """The account of a job as it was a moment ago, at most."""
        async with self._turn:
            left_s = self._looked_at_s + CONFIRM_POLL_S - trio.current_time()
            if left_s <= 0 or key not in self._found:
                await trio.sleep(max(0.0, left_s))
                keys = list(self._awaited)
                addresses = [self._context.chain.addresses.job(*each) for each in keys]
                found = await self._context.chain.program_accounts(addresses)
                self._found = dict(zip(keys, found, strict=True))
                self._looked_at_s = trio.current_time()
            return self._found[key]

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


def _not_seen() -> EnvironmentFailure:
    return EnvironmentFailure(
        "escrow_not_seen",
        "The job's escrow is not on the chain yet.",
        "The job is not queued; if the escrow was opened, its money is safe there.",
        "Submit it again in a moment.",
    )
