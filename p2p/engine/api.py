"""The agent's handlers for the commands of :mod:`p2p.engine.commands`: JSON in, JSON out."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import trio

from p2p.core.errors import Bug, CyxWizError, Refused
from p2p.core.limits import JOBS_LISTED_MAX, LOG_TOTAL_MAX_BYTES, TIMEOUT_MAX_S, WATCH_INTERVAL_S
from p2p.core.messages.jobs import OfferList, OffersRequest
from p2p.core.states import JobState
from p2p.engine import disputing, opening, planning, requests, retrieving, topping_up
from p2p.engine.commands import BY_NAME
from p2p.engine.context import Engine, view_of
from p2p.engine.insight_api import InsightApi
from p2p.engine.live import Direction, Transfer
from p2p.engine.log_reading import log_items
from p2p.engine.parameters import Params, count_of, job_of, package_request, text_of
from p2p.engine.supervisor import Supervisors
from p2p.engine.views import LOCALNET, job_details, job_to_json, plan_to_json
from p2p.engine.wallet_api import WalletApi
from p2p.engine.working import Report, items_of
from p2p.local.server import Handler, StreamHandler
from p2p.store.engine import JobRow
from p2p.store.stages import Stage

_WATCH_POLL_S = 1.0  # for what rings no bell: bytes that the node reads
_STOP_DELAY_S = 0.05  # for the answer to get away
_CANCELLABLE = (Stage.OPENING, Stage.OPENED, Stage.FOLLOWING)


class Api:
    """What windows and the CLI may ask."""

    def __init__(
        self,
        engine: Engine,
        supervisors: Supervisors,
        nursery: trio.Nursery,
        stop: Callable[[], None],
        version: str,
    ) -> None:
        self._engine = engine
        self._nursery = nursery
        self._supervisors = supervisors
        self._stop = stop
        self._version = version
        self._insight = InsightApi(engine, nursery)
        self._wallet = WalletApi(engine)

    def handlers(self) -> dict[str, Handler]:
        """The handlers of commands with one answer."""
        found: dict[str, Handler] = {
            "status": self.status,
            "stop": self.stop,
            "start": self.start,
            "discard": self.discard,
            "jobs": self.jobs,
            "show": self.show,
            "fetch": self.fetch,
            "cancel": self.cancel,
            "topup_terms": self.topup_terms,
            "topup": self.topup,
            "dispute_terms": self.dispute_terms,
            "dispute": self.dispute,
            "offers": self.offers,
            **self._insight.handlers(),
            **self._wallet.handlers(),
        }
        _require_all(found, streams=False)
        return found

    def streams(self) -> dict[str, StreamHandler]:
        """The handlers of commands that stream."""
        found: dict[str, StreamHandler] = {
            "plan": self.plan,
            "watch": self.watch,
            "logs": self.logs,
            **self._insight.streams(),
        }
        _require_all(found, streams=True)
        return found

    # -- the agent

    async def status(self, params: Params) -> Params:
        """``status``."""
        try:
            wallet: str | None = (await self._engine.wallets.account()).wallet
        except Refused:
            wallet = None
        return {
            "version": self._version,
            "pid": os.getpid(),
            "home": str(self._engine.home.root),
            "peer_id": self._engine.peer.peer_id,
            "addresses": list(self._engine.peer.addresses),
            "wallet": wallet,
            "jobs": self._supervisors.count,
        }

    async def stop(self, params: Params) -> Params:
        """``stop``."""
        self._nursery.start_soon(self._stop_soon)
        return {"stopping": True}

    async def _stop_soon(self) -> None:
        await trio.sleep(_STOP_DELAY_S)
        self._stop()

    async def offers(self, params: Params) -> list[Params]:
        """``offers``."""
        offers = await self._engine.link.call("offers.list", OffersRequest(), OfferList)
        return [
            {
                "gpu_class": offer.gpu_class,
                "nodes_online": offer.nodes_online,
                "nodes_free": offer.nodes_free,
                "vram_max_bytes": offer.vram_max_bytes,
                "usd_micros_per_hour": offer.usd_micros_per_hour,
            }
            for offer in offers.offers
        ]

    # -- sending jobs

    async def plan(self, params: Params) -> AsyncGenerator[Params, None]:
        """``plan``: items with ``progress`` (bytes done, bytes in all), then one with ``plan``."""
        request, out = package_request(params), Path(text_of(params, "out"))

        async def work(report: Report) -> Params:
            return {"plan": plan_to_json(await planning.make_plan(self._engine, request, out, report))}

        async with aclosing(items_of(self._nursery, work)) as items:
            async for item in items:
                yield item

    async def start(self, params: Params) -> Params:
        """``start``."""
        job = await job_of(self._engine, params)
        done = await opening.agree(self._engine, job)
        self._supervisors.start(done.job_id)
        self._engine.live.ring(done.job_id)
        return self._job(done)

    async def discard(self, params: Params) -> Params:
        """``discard``."""
        job = await job_of(self._engine, params)
        if job.stage not in (Stage.PACKAGED, Stage.QUOTED):
            raise Refused(
                "not_a_plan", f"Job {job.job_id} is not a plan any more.", hint="Cancel it instead."
            )
        await planning.drop(self._engine, job)
        return {"job_id": job.job_id}

    # -- looking at jobs

    async def jobs(self, params: Params) -> list[Params]:
        """``jobs``."""
        limit = min(JOBS_LISTED_MAX, max(1, int(params.get("limit") or JOBS_LISTED_MAX)))
        return [self._job(job) for job in await self._engine.tables.newest(limit)]

    async def show(self, params: Params) -> Params:
        """``show``."""
        job = await job_of(self._engine, params)
        events = await self._engine.tables.events(job.job_id)
        request = await requests.kept(self._engine.tables, job.job_id)
        details = job_details(job, self._engine.live[job.job_id], events, self._cluster())
        return {**details, "request": request}

    async def watch(self, params: Params) -> AsyncGenerator[Params, None]:
        """``watch``: until the job is final."""
        job = await job_of(self._engine, params)
        live = self._engine.live[job.job_id]
        while True:
            since = live.news.count
            job = await self._engine.job(job.job_id)
            self._count_served(job)
            events = await self._engine.tables.events(job.job_id)
            yield job_details(job, live, events, self._cluster())
            if job.stage.is_final:
                return
            await live.news.wait(since, _WATCH_POLL_S)
            await trio.sleep(WATCH_INTERVAL_S)

    async def logs(self, params: Params) -> AsyncGenerator[Params, None]:
        """``logs``."""
        job = await job_of(self._engine, params)
        begin = {name: count_of(params, name, 0, LOG_TOTAL_MAX_BYTES) for name in ("epoch", "offset")}
        async for item in log_items(self._engine, job.job_id, follow=bool(params.get("follow")), **begin):
            yield item

    # -- acting on jobs

    async def fetch(self, params: Params) -> Params:
        """``fetch``."""
        job = await job_of(self._engine, params)
        out = Path(params["out"]) if params.get("out") else None
        return self._job(await retrieving.fetch_to(self._engine, job, out))

    async def cancel(self, params: Params) -> Params:
        """``cancel``: written down, then done by the job's supervisor."""
        job = await job_of(self._engine, params)
        if job.stage in (Stage.PACKAGED, Stage.QUOTED):
            await planning.drop(self._engine, job)
            return {"job_id": job.job_id, "state": "dropped"}
        if job.stage not in _CANCELLABLE:
            raise Refused(
                "too_late",
                f"Job {job.job_id} can no longer be cancelled: it is {job.stage.value}.",
                "What was agreed stands.",
                "`cyxwiz show JOB` tells how it ended.",
            )
        job = await self._engine.tables.note(job.job_id, cancel_wanted=True)
        live = self._engine.live[job.job_id]
        live.retry.ring()
        self._engine.live.ring(job.job_id)
        return self._job(job)

    async def topup_terms(self, params: Params) -> Params:
        """``topup_terms``."""
        job = await job_of(self._engine, params)
        return await topping_up.terms_of_top_up(self._engine, job, _seconds(params))

    async def topup(self, params: Params) -> Params:
        """``topup``: written down, then done by the job's supervisor."""
        job = await job_of(self._engine, params)
        return self._job(await topping_up.begin(self._engine, job, _seconds(params)))

    async def dispute_terms(self, params: Params) -> Params:
        """``dispute_terms``."""
        return await disputing.terms_of_dispute(self._engine, await job_of(self._engine, params))

    async def dispute(self, params: Params) -> Params:
        """``dispute``: written down, then done by the job's supervisor."""
        job = await job_of(self._engine, params)
        return self._job(await disputing.begin(self._engine, job, text_of(params, "reason")))

    def _cluster(self) -> str:
        try:
            return self._engine.link.chain_config().cluster
        except CyxWizError:
            return LOCALNET  # no link is better than a wrong one

    def _job(self, job: JobRow) -> Params:
        return job_to_json(job, self._engine.live[job.job_id])

    def _count_served(self, job: JobRow) -> None:
        """How much of the inputs the node has read so far, while it still may."""
        live, view = self._engine.live[job.job_id], view_of(job)
        if live.transfer is None or live.transfer.direction is Direction.DOWN:
            return
        if view is None or view.state in (JobState.ASSIGNED, JobState.STAGING):
            done = min(live.transfer.total_bytes, self._engine.source.served_bytes(job.job_id))
            live.transfer = Transfer(Direction.UP, done, live.transfer.total_bytes)
        else:
            live.transfer = None


def _seconds(params: Params) -> int:
    return count_of(params, "seconds", 0, TIMEOUT_MAX_S)


def _require_all(found: Mapping[str, object], *, streams: bool) -> None:
    wanted = {name for name, command in BY_NAME.items() if command.streams is streams}
    if set(found) != wanted:
        raise Bug(f"commands and handlers differ: {sorted(set(found) ^ wanted)}")
