"""What this node's wallet earned, as the coordinator said when it was last asked; asked again regularly."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from p2p.core.earnings import Pay, Pays, pay_of
from p2p.core.errors import CyxWizError
from p2p.core.limits import EARNINGS_LISTED_MAX, EARNINGS_LOOK_S, JOBS_LISTED_MAX
from p2p.core.messages.nodes import Earning, EarningsReply, EarningsRequest
from p2p.core.money import Asset, format_amount
from p2p.core.text import clean_name
from p2p.node.coordinator_link import CoordinatorLink
from p2p.node.news import Kind, News

_LOG = logging.getLogger(__name__)

_NAME_MAX_CHARS = 64
_ASSETS = frozenset(asset.value for asset in Asset)
"""What this version can count; a newer coordinator may know more."""
_SLACK_S = 1.0
_BREATH_S = 2.0  # between two questions, whatever happens meanwhile


async def fetch(link: CoordinatorLink, limit: int, since_s: float) -> list[Earning]:
    """What jobs earned and how far their pay is, newest first; ``since_s``: only what has changed since.

    :raises CyxWizError: as :meth:`CoordinatorLink.call`.
    """
    found: list[Earning] = []
    before = 0
    while (wanted := min(limit - len(found), JOBS_LISTED_MAX)) > 0:
        request = EarningsRequest(wanted, since_s, before)
        page = (await link.call("node.earnings", request, EarningsReply)).earnings
        found += page
        if len(page) < wanted or (before and page[-1].seq >= before):
            break
        before = page[-1].seq
    return sorted(found, key=lambda each: each.at_s, reverse=True)


def pay_state(earning: Earning) -> Pay:
    """How far the pay of a job is."""
    return pay_of(earning.state, earning.review_ends_at_s, disputed=earning.disputed)


def pays_of(earning: Earning) -> Pays:
    """An earning, as far as sums need it."""
    return Pays(earning.at_s, Asset(earning.asset), earning.net_units, earning.fee_units, pay_state(earning))


class Books:
    """The earnings by job; ``as_of_s`` is None until they came for the first time."""

    def __init__(self, link: CoordinatorLink, wallet: Callable[[], str], news: News) -> None:
        self._link = link
        self._wallet = wallet
        self._news = news
        self._of = ""
        self._by_job: dict[str, Earning] = {}
        self.as_of_s: float | None = None

    def all(self) -> list[Earning]:
        """Newest first."""
        return sorted(self._by_job.values(), key=lambda each: each.at_s, reverse=True)

    def find(self, job_id: str) -> Earning | None:
        """What is known of one job's pay."""
        return self._by_job.get(job_id)

    async def keep(self, now_s: Callable[[], float]) -> None:
        """Ask again and again, and soon after something has happened, until cancelled."""
        while True:
            await self._link.until_registered()
            since = self._news.changed.count
            try:
                await self.look(now_s())
            except CyxWizError as error:
                _LOG.info("the earnings could not be asked for: %s", error.what)
            await self._news.changed.wait(since, EARNINGS_LOOK_S)
            await trio.sleep(_BREATH_S)

    async def look(self, now_s: float) -> None:
        """Ask once for what may have changed.

        :raises CyxWizError: as :func:`fetch`.
        """
        wallet = self._wallet()
        if wallet != self._of:
            self._of, self._by_job, self.as_of_s = wallet, {}, None
        first = self.as_of_s is None
        open_at_s = [each.at_s for each in self._by_job.values() if pay_state(each) is not Pay.PAID]
        newest_s = max((each.at_s for each in self._by_job.values()), default=0.0)
        since_s = max(0.0, min([newest_s, *open_at_s]) - _SLACK_S)
        found = await fetch(self._link, EARNINGS_LISTED_MAX, since_s)
        if wallet != self._wallet():
            return
        self._take([each for each in found if each.asset in _ASSETS], since_s, tell=not first)
        self.as_of_s = now_s

    def _take(self, found: list[Earning], since_s: float, *, tell: bool) -> None:
        before = dict(self._by_job)
        # What is not paid and not listed any more has failed meanwhile.
        for job_id, old in before.items():
            if old.at_s >= since_s and pay_state(old) is not Pay.PAID:
                del self._by_job[job_id]
        for earning in found:
            self._by_job[earning.job_id] = earning
            old_one = before.get(earning.job_id)
            was_paid = old_one is not None and pay_state(old_one) is Pay.PAID
            if tell and pay_state(earning) is Pay.PAID and not was_paid:
                amount = format_amount(earning.net_units, Asset(earning.asset))
                name = clean_name(earning.name, _NAME_MAX_CHARS) or earning.job_id[:12]
                self._news.tell(Kind.JOB_PAID, f"{amount} paid for the job {name}.", earning.job_id)
