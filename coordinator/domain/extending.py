"""How much longer a job may run than was agreed first, and the terms for that."""

from __future__ import annotations

from dataclasses import dataclass, replace

from coordinator.domain.pricing import deposit_units
from p2p.core.limits import ATTEMPT_SLACK_S, CLAIM_MARGIN_S, STAGING_MAX_S, TERMS_LIFETIME_S, TIMEOUT_MAX_S
from p2p.core.messages.jobs import Terms
from p2p.core.states import JobState

EXTENDABLE = (JobState.QUEUED, JobState.ASSIGNED, JobState.STAGING, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Deadline:
    """Of the escrow, which no top-up moves: ``at_s`` once a node was assigned on the chain, ``run_s`` after
    that until then."""

    run_s: int
    at_s: float | None

    def longest_s(self, state: JobState, running_at_s: float | None, now_s: float) -> int:
        """The longest limit with which an attempt still ends in time for its node to be paid.

        What is left after the run is for collecting and delivering the results, and for the claim.
        """
        ends_at_s = now_s + self.run_s if self.at_s is None else self.at_s
        begins_s = now_s + STAGING_MAX_S
        if state is JobState.RUNNING and running_at_s is not None:
            begins_s = running_at_s
        return min(TIMEOUT_MAX_S, int(ends_at_s - begins_s - ATTEMPT_SLACK_S - CLAIM_MARGIN_S))


def extended(terms: Terms, timeout_s: int, now_s: float) -> Terms:
    """The terms with another limit and what that takes; the rates are those that were agreed first.

    :raises UserError: ``deposit_too_large``.
    """
    return replace(
        terms,
        timeout_s=timeout_s,
        deposit_units=deposit_units(terms.rates, timeout_s),
        expires_at_s=int(now_s + TERMS_LIFETIME_S),
    )


def is_extension(offered: Terms, agreed: Terms) -> bool:
    """Whether terms that we signed differ from those agreed by a longer limit and its deposit alone."""
    return offered.timeout_s > agreed.timeout_s and offered == replace(
        agreed,
        timeout_s=offered.timeout_s,
        deposit_units=deposit_units(agreed.rates, offered.timeout_s),
        expires_at_s=offered.expires_at_s,
    )
