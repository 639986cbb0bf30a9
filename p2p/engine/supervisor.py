"""One supervisor per job: takes the job from stage to stage, and begins again where the journal stands."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from p2p.core.errors import Bug, CyxWizError, EnvironmentFailure
from p2p.core.limits import ENGINE_RETRY_FIRST_S, ENGINE_RETRY_MAX_S
from p2p.engine import delivery, disputing, following, opening, topping_up
from p2p.engine.context import Engine
from p2p.engine.log_follower import follow_log
from p2p.store.engine import JobRow
from p2p.store.stages import Stage

_LOG = logging.getLogger(__name__)

Step = Callable[[Engine, JobRow], Awaitable[JobRow]]

STEPS: dict[Stage, Step] = {
    Stage.OPENING: opening.open_escrow,
    Stage.OPENED: opening.submit,
    Stage.WITHDRAWING: opening.take_back,
    Stage.FOLLOWING: following.follow,
    Stage.FETCHING: delivery.fetch,
    Stage.VERIFIED: delivery.sign_receipt,
    Stage.RECEIPTED: delivery.settle,
    Stage.CLOSING: following.close,
}
"""What is to be done in each stage that needs work. A step may be repeated at any time."""

_WAITING = (
    "log_incomplete",
    "open_pending",
    "not_on_chain_yet",
    "dispute_not_seen",
    "disputed",
    "deposit_not_seen",
)
"""Failures that only mean: a moment, please."""


def _step(job: JobRow) -> Step:
    """What comes next; what the buyer has agreed to meanwhile comes before the stage's own."""
    if disputing.is_underway(job):
        return disputing.pursue
    return topping_up.pursue if topping_up.is_underway(job) else STEPS[job.stage]


class Supervisors:
    """The supervisors of all jobs that need one."""

    def __init__(self, engine: Engine, nursery: trio.Nursery) -> None:
        self._engine = engine
        self._nursery = nursery
        self._running: set[str] = set()

    async def resume(self) -> None:
        """Go on with every job where the journal has it."""
        for job in await self._engine.tables.unfinished():
            self.start(job.job_id)

    def start(self, job_id: str) -> None:
        """Go on with a job; once is enough."""
        if job_id not in self._running:
            self._running.add(job_id)
            self._nursery.start_soon(self._supervise, job_id, name=f"job {job_id}")

    @property
    def count(self) -> int:
        """How many jobs are gone on with."""
        return len(self._running)

    async def _supervise(self, job_id: str) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(follow_log, self._engine, job_id)
                await self._steps(job_id)
                nursery.cancel_scope.cancel()
        except Exception:
            # A mistake with one job must not end the others; this one stands still, with its money in escrow.
            _LOG.exception("job %s stands still", job_id)
            bug = Bug("The engine made a mistake with this job; its log has the details.")
            await self._engine.note_problem(job_id, bug)
        finally:
            self._running.discard(job_id)
            self._engine.live.ring(job_id)

    async def _steps(self, job_id: str) -> None:
        engine = self._engine
        wait_s = ENGINE_RETRY_FIRST_S
        while (job := await engine.job(job_id)).stage in STEPS:
            since = engine.live[job_id].retry.count
            try:
                step = _step(job)
                after = await step(engine, job)
            except Bug:
                raise
            except CyxWizError as error:
                wait_s = await self._wait(job_id, error, wait_s, since)
                continue
            wait_s = ENGINE_RETRY_FIRST_S
            if after.problem is not None:
                await engine.note_problem(job_id, None)
            if after.stage is not job.stage:
                _LOG.info("job %s: %s -> %s", job_id, job.stage.value, after.stage.value)
                engine.live.ring(job_id)

    async def _wait(self, job_id: str, error: CyxWizError, wait_s: float, since: int) -> float:
        """Until it is worth trying again, or somebody does something about it; the next wait."""
        engine = self._engine
        if error.code in _WAITING:
            await trio.sleep(ENGINE_RETRY_FIRST_S)
            return ENGINE_RETRY_FIRST_S
        if (await engine.job(job_id)).problem is None:
            _LOG.warning("job %s: %s", job_id, error.what)
        await engine.note_problem(job_id, error)
        retry = isinstance(error, EnvironmentFailure) and error.retryable
        await engine.live[job_id].retry.wait(since, wait_s if retry else ENGINE_RETRY_MAX_S)
        return min(2 * wait_s, ENGINE_RETRY_MAX_S)
