"""What the node's window and CLI may ask its agent; everything as JSON, see ``docs/node.md``."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from p2p.core.errors import UserError
from p2p.core.ids import parse_wallet
from p2p.core.limits import EARNINGS_LISTED_MAX, JOBS_LISTED_MAX
from p2p.core.messages.nodes import Earning, EarningsReply, EarningsRequest
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.local.protocol import Json
from p2p.local.server import Handler
from p2p.node.availability import Switch
from p2p.node.checks import check_rows
from p2p.node.disputes import answer
from p2p.node.settings import LOGIN_SETTINGS, change_settings
from p2p.node.stopping import find_held, stop_job
from p2p.node.supervisor import Supervisor
from p2p.node.views import earning_json, error_json, job_json, login_json, payout_json, verdict_json

if TYPE_CHECKING:
    from p2p.node.agent import NodeAgent


class LocalApi:
    """Handlers over a running agent."""

    def __init__(self, agent: NodeAgent) -> None:
        self._agent = agent
        self.asked_to_stop = trio.Event()
        self.stop_jobs = False

    def handlers(self) -> Mapping[str, Handler]:
        """By method name."""
        return {
            "status": self.status,
            "jobs": self.jobs,
            "job": self.job,
            "stop_job": self.stop_job,
            "earnings": self.earnings,
            "answer": self.answer,
            "switch": self.switch,
            "pause": self.pause,
            "settings": self.settings,
            "set": self.set,
            "check": self.check,
            "stop": self.stop,
            "login_challenge": self.login_challenge,
            "login_finish": self.login_finish,
        }

    async def status(self, params: dict[str, Any]) -> Json:
        """How it stands: connection, offer, load, what runs."""
        agent = self._agent
        link, capacity = agent.link.status, agent.survey.capacity
        return {
            "registered": link.registered,
            "last_contact_s": link.last_contact_s,
            "problem": error_json(link.problem or agent.survey.problem),
            "peer_id": agent.peer.peer_id,
            "wallet": agent.payout.wallet,
            "payout": payout_json(agent.payout, agent.clock.now_s()),
            "addresses": list(agent.peer.addresses),
            "coordinator": agent.network.coordinator_address,
            "cluster": link.login.cluster if link.login else "",
            "available": agent.available,
            "availability": self._availability(),
            "image": agent.survey.image,
            "slots": capacity.slots,
            "slots_busy": len(agent.jobs.busy_slots()),
            "job_cpus": capacity.job_cpus,
            "job_memory_bytes": capacity.job_memory_bytes,
            "networks": [mode.value for mode in capacity.networks],
            "hardware": asdict(capacity.hardware),
            "reading": asdict(agent.survey.reading),
            "settings": asdict(agent.settings),
            "jobs": [self._job_json(found) for found in agent.jobs.supervisors()],
        }

    async def jobs(self, params: dict[str, Any]) -> Json:
        """The last jobs, newest first."""
        limit = _limit(params)
        now_s = self._agent.clock.now_s()
        found = []
        for record in await self._agent.tables.newest(limit):
            supervisor = self._agent.jobs.find(*record.key)
            found.append(job_json(record, now_s, supervisor.progress if supervisor else None))
        return found

    async def job(self, params: dict[str, Any]) -> Json:
        """One job that is here now."""
        return self._job_json(find_held(self._agent.jobs, str(params.get("job"))))

    async def stop_job(self, params: dict[str, Any]) -> Json:
        """End a job that runs; it begins again elsewhere, unpaid here."""
        return self._job_json(await stop_job(self._agent.jobs, str(params.get("job"))))

    def _job_json(self, supervisor: Supervisor) -> Json:
        return job_json(supervisor.record, self._agent.clock.now_s(), supervisor.progress)

    async def earnings(self, params: dict[str, Any]) -> Json:
        """What the coordinator says that jobs earned and how far their pay is, newest first; ``since_s``:
        only what has changed since."""
        limit, since_s = _limit(params, EARNINGS_LISTED_MAX), _seconds(params, "since_s")
        found: list[Earning] = []
        before = 0
        while (wanted := min(limit - len(found), JOBS_LISTED_MAX)) > 0:
            request = EarningsRequest(wanted, since_s, before)
            page = (await self._agent.link.call("node.earnings", request, EarningsReply)).earnings
            found += page
            if len(page) < wanted or (before and page[-1].seq >= before):
                break
            before = page[-1].seq
        return [earning_json(each) for each in sorted(found, key=lambda each: each.at_s, reverse=True)]

    async def answer(self, params: dict[str, Any]) -> Json:
        """Say something to the dispute about ``job``: ``text``."""
        job, text = params.get("job"), params.get("text")
        if not isinstance(job, str) or not isinstance(text, str):
            raise UserError("bad_message", "An answer needs a job and a text.")
        agent = self._agent
        record = await answer(agent.jobs, agent.peer.identity, agent.link, agent.clock, job, text)
        return {"job_id": record.job_id}

    async def switch(self, params: dict[str, Any]) -> Json:
        """Turn the switch ``to`` available, finishing or off; off ends the jobs that run."""
        try:
            switch = Switch(params.get("to"))
        except ValueError:
            words = ", ".join(each.value for each in Switch)
            raise UserError("bad_switch", f"The switch knows {words}.", "Nothing was changed.") from None
        await self._agent.gate.turn(switch)
        return self._availability()

    async def pause(self, params: dict[str, Any]) -> Json:
        """Take no new job ``for_s`` seconds long."""
        await self._agent.gate.pause(_seconds(params, "for_s"))
        return self._availability()

    def _availability(self) -> Json:
        agent = self._agent
        return verdict_json(agent.gate.switch, agent.gate.verdict(), agent.settings.paused_until_s)

    async def settings(self, params: dict[str, Any]) -> Json:
        """The settings as they are."""
        return asdict(self._agent.settings)

    async def set(self, params: dict[str, Any]) -> Json:
        """Change settings; says which of the changes wait for the next start."""
        if LOGIN_SETTINGS & params.keys():
            raise UserError("bad_settings", "A wallet is logged in, not set.", hint="See cyxwiz-node login.")
        old = self._agent.settings
        new = change_settings(old, params)
        await self._agent.change_settings(new)
        waiting = [name for name in NEXT_START if getattr(old, name) != getattr(new, name)]
        return {"settings": asdict(new), "at_next_start": waiting}

    async def check(self, params: dict[str, Any]) -> Json:
        """The self-test."""
        agent = self._agent
        await agent.survey.look()
        rows = check_rows(agent.survey, agent.settings, agent.payout, agent.clock.now_s())
        return [asdict(row) for row in (*rows, agent.coordinator_row())]

    async def stop(self, params: dict[str, Any]) -> Json:
        """End the agent; ``jobs``: end its jobs too."""
        self.stop_jobs = bool(params.get("jobs", False))
        self.asked_to_stop.set()
        return {}

    async def login_challenge(self, params: dict[str, Any]) -> Json:
        """The text to sign for a wallet that is to be paid."""
        wallet = parse_wallet(str(params["wallet"]))
        return {"text": await self._agent.link.logins.challenge(wallet, str(params.get("domain") or ""))}

    async def login_finish(self, params: dict[str, Any]) -> Json:
        """What the wallet made of it; the node is paid to the wallet from now on."""
        before = self._agent.payout
        try:
            kind, signature = WalletKind(params["kind"]), b64decode(str(params["signature"]), validate=True)
        except (ValueError, binascii.Error):
            raise UserError("bad_message", "The login is malformed.") from None
        choice = WalletChoice(kind, Path(params["file"]) if params.get("file") else None)
        wallet = parse_wallet(str(params["wallet"]))
        reply = await self._agent.log_in(choice, wallet, str(params["text"]), signature)
        return login_json(before, self._agent.payout, reply)


NEXT_START = ("wallet_keypair", "listen", "private_data_urls")
"""Settings that only a new start of the agent takes up."""


def _limit(params: dict[str, Any], most: int = JOBS_LISTED_MAX) -> int:
    limit = params.get("limit", 50)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= most:
        raise UserError("bad_limit", f"limit must be a whole number from 1 to {most}.")
    return limit


def _seconds(params: dict[str, Any], name: str, default: float = 0.0) -> float:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError("bad_seconds", f"{name} must be a number of seconds.")
    return float(value)
