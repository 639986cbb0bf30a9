"""The local API's part about jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from p2p.core.errors import UserError
from p2p.core.limits import JOBS_LISTED_MAX
from p2p.local.protocol import Json
from p2p.local.server import Handler
from p2p.node.disputes import answer
from p2p.node.parameters import Params, count_of
from p2p.node.stopping import find_held, stop_job
from p2p.node.supervisor import Supervisor
from p2p.node.views import job_json
from p2p.store.node import JobRecord

if TYPE_CHECKING:
    from p2p.node.agent import NodeAgent


class JobsApi:
    """Handlers over a running agent."""

    def __init__(self, agent: NodeAgent) -> None:
        self._agent = agent

    def handlers(self) -> Mapping[str, Handler]:
        """By method name."""
        return {"jobs": self.jobs, "job": self.job, "stop_job": self.stop_job, "answer": self.answer}

    def held(self) -> list[Json]:
        """What is here now."""
        return [self._json(found.record, found) for found in self._agent.jobs.supervisors()]

    async def jobs(self, params: Params) -> Json:
        """The last jobs, newest first."""
        records = await self._agent.tables.newest(count_of(params, "limit", 50, 1, JOBS_LISTED_MAX))
        return [self._json(record, self._agent.jobs.find(*record.key)) for record in records]

    async def job(self, params: Params) -> Json:
        """One job that is here now."""
        found = find_held(self._agent.jobs, str(params.get("job")))
        return self._json(found.record, found)

    async def stop_job(self, params: Params) -> Json:
        """End a job that runs; it begins again elsewhere, unpaid here."""
        found = await stop_job(self._agent.jobs, str(params.get("job")))
        return self._json(found.record, found)

    def _json(self, record: JobRecord, supervisor: Supervisor | None) -> dict[str, Any]:
        agent = self._agent
        progress = None if supervisor is None else supervisor.progress
        earning, fraction = agent.books.find(record.job_id), agent.progress.fraction(record.key)
        return job_json(record, agent.clock.now_s(), progress, earning, fraction)

    async def answer(self, params: Params) -> Json:
        """Say something to the dispute about ``job``: ``text``."""
        job, text = params.get("job"), params.get("text")
        if not isinstance(job, str) or not isinstance(text, str):
            raise UserError("bad_message", "An answer needs a job and a text.")
        agent = self._agent
        record = await answer(agent.jobs, agent.peer.identity, agent.link, agent.clock, job, text)
        return {"job_id": record.job_id}
