"""Whether this node takes jobs: its owner's switch, pause and conditions, over what the machine does now."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import trio

from p2p.core.errors import CyxWizError
from p2p.core.limits import SAMPLE_INTERVAL_S
from p2p.core.messages.nodes import Assignment
from p2p.core.money import format_usd
from p2p.node.availability import (
    Facts,
    Reason,
    Switch,
    Verdict,
    check_pause,
    decide,
    runs_into_maintenance,
    switch_of,
)
from p2p.node.news import Kind
from p2p.node.payout import LoginState
from p2p.node.stopping import STOPPED_BY_OWNER
from p2p.node.surroundings import Key, Surroundings
from p2p.node.tools import known_error
from p2p.store.node import Phase

if TYPE_CHECKING:
    from p2p.node.agent import NodeAgent

_LOG = logging.getLogger(__name__)


class Gate:
    """Asked before each job; keeps looking while :meth:`watch` runs."""

    def __init__(self, agent: NodeAgent) -> None:
        self._agent = agent
        self._surroundings = Surroundings(agent.clock)

    # -- what holds now

    def facts(self) -> Facts:
        """What counts now."""
        agent, seen = self._agent, self._surroundings.seen
        now_s, problem = agent.clock.now_s(), agent.survey.problem
        link_problem = agent.link.status.problem
        return Facts(
            now_s=now_s,
            slots=agent.survey.capacity.slots,
            busy=len(agent.jobs.busy_slots()),
            leaving=agent.jobs.leaving,
            cannot_run="" if agent.survey.image else _cannot_run(problem),
            apps=seen.apps,
            battery=seen.battery,
            quiet_s=self._surroundings.quiet_s(),
            input_idle_s=seen.input_idle_s,
            registered=agent.link.status.registered,
            link_problem="" if link_problem is None else link_problem.what,
            login_ended=agent.payout.login(now_s) is LoginState.ENDED,
            offer=self._offer(),
        )

    def verdict(self) -> Verdict:
        """Whether another job is taken, and why not or why none comes."""
        return decide(self._agent.settings, self.facts())

    @property
    def switch(self) -> Switch:
        """Available, finishing or off."""
        return switch_of(self._agent.settings, len(self._agent.jobs.busy_slots()))

    def refusal(self, job: Assignment) -> str:
        """Why this job cannot be taken now, in words for its coordinator; empty if it may.

        They do not say what the owner does with the machine.
        """
        facts = self.facts()
        verdict = decide(self._agent.settings, facts)
        if verdict.reason is Reason.STOPPING:
            return verdict.words
        if not verdict.takes:
            return "The node takes no jobs now."
        if runs_into_maintenance(self._agent.settings, job.limit_s, facts):
            return "The node's owner needs the machine before the job's time limit is over."
        return ""

    def _offer(self) -> str:
        agent = self._agent
        price = format_usd(agent.settings.min_price_usd_micros_per_hour)
        return f"{', '.join(agent.survey.capacity.classes)} at {price} an hour or more"

    # -- what the owner wants

    async def turn(self, switch: Switch) -> None:
        """Available: take jobs, which ends a pause. Finishing: no new ones. Off: end those that run, too.

        :raises EnvironmentFailure: the settings cannot be written.
        """
        agent = self._agent
        on = switch is Switch.AVAILABLE
        await agent.change_settings({"available": on, "paused_until_s": 0.0})
        if switch is Switch.OFF:
            await agent.jobs.give_up_all(STOPPED_BY_OWNER)

    async def pause(self, for_s: float) -> float:
        """Take no new job for so long; until when.

        :raises UserError: ``bad_pause``.
        """
        check_pause(for_s)
        agent = self._agent
        until_s = agent.clock.now_s() + for_s
        await agent.change_settings({"paused_until_s": until_s})
        return until_s

    # -- looking

    async def watch(self) -> None:
        """Look every few seconds, and tell the coordinator when the answer changes, until cancelled."""
        takes = self._agent.available
        while True:
            try:
                await self.look()
            except Exception as problem:  # a machine that cannot be read must not end the jobs on it
                _LOG.warning("the machine could not be looked at: %s", known_error(problem).what)
            if self._agent.available is not takes:
                takes = self._agent.available
                words = "Jobs are taken." if takes else f"No new jobs. {self.verdict().words}"
                _LOG.info("%s", words)
                self._agent.news.tell(Kind.AVAILABILITY, words)
                self._agent.link.announce()
            await trio.sleep(SAMPLE_INTERVAL_S)

    async def look(self) -> None:
        """Look once, and end jobs beside a program that wants the machine for itself."""
        agent = self._agent
        sample = await agent.survey.read()
        await agent.history.add(sample)
        await agent.progress.look(agent.jobs.supervisors())
        cpu_count = agent.survey.capacity.hardware.cpu_count
        spent_s, own_gpus = await self._spent_s(), agent.jobs.busy_slots()
        await self._surroundings.look(agent.settings, sample, cpu_count, spent_s, own_gpus)
        apps = self._surroundings.seen.apps
        if apps and agent.settings.exclusive_stops:
            await agent.jobs.give_up_all(STOPPED_BY_OWNER)

    async def _spent_s(self) -> Mapping[Key, float] | None:
        """CPU seconds of each job that runs; None while one is made ready or cleared away."""
        spent_s: dict[Key, float] = {}
        for supervisor in self._agent.jobs.supervisors():
            if not supervisor.record.phase.takes_slot:
                continue
            if supervisor.record.phase is not Phase.RUNNING:
                return None
            try:
                usage = await self._agent.runner.stats(supervisor.spec)
            except CyxWizError:
                return None
            if usage is None:
                return None
            spent_s[supervisor.record.key] = usage.cpu_s
        return spent_s


def _cannot_run(problem: CyxWizError | None) -> str:
    if problem is None:
        return "The machine has not been looked at yet."
    return " ".join(part for part in (problem.what, problem.hint) if part)
