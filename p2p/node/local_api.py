"""What the node's window and CLI may ask its agent; everything as JSON, see ``docs/node.md``."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from p2p.core.earnings import pay_of
from p2p.core.errors import CyxWizError, UserError
from p2p.core.ids import parse_wallet
from p2p.core.limits import EARNINGS_LISTED_MAX, JOBS_LISTED_MAX
from p2p.core.messages.auth import LoginReply
from p2p.core.messages.nodes import Assignment, Earning, EarningsReply, EarningsRequest
from p2p.core.money import Asset
from p2p.core.text import clean_name
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.local.protocol import Json
from p2p.local.server import Handler
from p2p.node.checks import check_rows
from p2p.node.disputes import answer
from p2p.node.keeping import dispute_of
from p2p.node.payout import LoginState, Payout, login_words
from p2p.node.reports import run_seconds
from p2p.node.settings import LOGIN_SETTINGS, change_settings
from p2p.node.staging import Progress
from p2p.store.node import JobRecord
from p2p.wire.codec import decode

if TYPE_CHECKING:
    from p2p.node.agent import NodeAgent

_NAME_MAX_CHARS = 64


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
            "earnings": self.earnings,
            "answer": self.answer,
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
        await agent.survey.read()
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
            "image": agent.survey.image,
            "slots": capacity.slots,
            "slots_busy": len(agent.jobs.busy_slots()),
            "job_cpus": capacity.job_cpus,
            "job_memory_bytes": capacity.job_memory_bytes,
            "networks": [mode.value for mode in capacity.networks],
            "hardware": asdict(capacity.hardware),
            "reading": asdict(agent.survey.reading),
            "settings": asdict(agent.settings),
            "jobs": [
                job_json(found.record, agent.clock.now_s(), found.progress)
                for found in agent.jobs.supervisors()
            ],
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

    async def earnings(self, params: dict[str, Any]) -> Json:
        """What the coordinator says that jobs earned and how far their pay is, newest first; ``since_s``:
        only what has changed since."""
        limit, since_s = _limit(params, EARNINGS_LISTED_MAX), _since(params)
        found: list[Earning] = []
        before = 0
        while (wanted := min(limit - len(found), JOBS_LISTED_MAX)) > 0:
            request = EarningsRequest(wanted, since_s, before)
            page = (await self._agent.link.call("node.earnings", request, EarningsReply)).earnings
            found += page
            if len(page) < wanted or (before and page[-1].seq >= before):
                break
            before = page[-1].seq
        return [_earning_json(each) for each in sorted(found, key=lambda each: each.at_s, reverse=True)]

    async def answer(self, params: dict[str, Any]) -> Json:
        """Say something to the dispute about ``job``: ``text``."""
        job, text = params.get("job"), params.get("text")
        if not isinstance(job, str) or not isinstance(text, str):
            raise UserError("bad_message", "An answer needs a job and a text.")
        agent = self._agent
        record = await answer(agent.jobs, agent.peer.identity, agent.link, agent.clock, job, text)
        return {"job_id": record.job_id}

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


def job_json(record: JobRecord, now_s: float, progress: Progress | None) -> dict[str, Json]:
    """One attempt, for people and programs."""
    spec = decode(Assignment, record.assignment).spec
    return {
        "job_id": record.job_id,
        "epoch": record.epoch,
        "name": clean_name(spec.name, _NAME_MAX_CHARS),
        "phase": record.phase.value,
        "gpu_uuid": record.gpu_uuid,
        "accepted_at_s": record.accepted_at_s,
        "started_at_s": record.started_at_s,
        "finished_at_s": record.finished_at_s,
        "run_seconds": run_seconds(record, now_s),
        "timeout_s": spec.config.timeout_s,
        "exit_code": record.exit_code,
        "failure": record.failure.value if record.failure else None,
        "detail": record.detail or record.stop_reason or "",
        "log_bytes": record.log_bytes,
        "staged_bytes": progress.done_bytes if progress else None,
        "staging_bytes": progress.total_bytes if progress else None,
        "dispute": _dispute_json(record),
    }


def _dispute_json(record: JobRecord) -> Json:
    found = dispute_of(record)
    if found is None:
        return None
    return {
        "state": found.state.value,
        "reason": found.reason,
        "decide_until_s": found.keep_until_s,
        "decided_units": found.decided_units,
    }


def _earning_json(earning: Earning) -> dict[str, Json]:
    """One job's pay, for people and programs."""
    return {
        "job_id": earning.job_id,
        "name": clean_name(earning.name, _NAME_MAX_CHARS),
        "at_s": earning.at_s,
        "asset": earning.asset,
        "decimals": Asset(earning.asset).decimals,
        "net_units": earning.net_units,
        "fee_units": earning.fee_units,
        "used_seconds": earning.used_seconds,
        "state": earning.state.value,
        "pay": pay_of(earning.state, earning.review_ends_at_s, disputed=earning.disputed).value,
        "review_ends_at_s": earning.review_ends_at_s,
        "signature": earning.signature,
    }


def payout_json(payout: Payout, now_s: float) -> dict[str, Json]:
    """The wallet that is paid, and how its login stands."""
    state = payout.login(now_s)
    return {
        "wallet": payout.wallet,
        "kind": payout.choice.kind.value,
        "file": None if payout.choice.file is None else str(payout.choice.file),
        "own": payout.own,
        "login": None if state is None else state.value,
        "login_ends_at_s": payout.login_ends_at_s,
        "login_words": None if state is None else login_words(payout, state),
        "login_command": None if state in (None, LoginState.GOOD) else payout.login_command,
    }


def login_json(before: Payout, payout: Payout, reply: LoginReply) -> dict[str, Json]:
    """A login that was done; ``before``: who was paid until then."""
    return {
        "wallet": payout.wallet,
        "kind": payout.choice.kind.value,
        "file": None if payout.choice.file is None else str(payout.choice.file),
        "expires_at_s": reply.expires_at_s,
        "cluster": reply.cluster,
        "before": {
            "wallet": before.wallet,
            "kind": before.choice.kind.value,
            "file": None if before.choice.file is None else str(before.choice.file),
        },
    }


def error_json(error: CyxWizError | None) -> Json:
    """An error as a value."""
    if error is None:
        return None
    return {"code": error.code, "what": error.what, "meaning": error.meaning, "hint": error.hint}


def _limit(params: dict[str, Any], most: int = JOBS_LISTED_MAX) -> int:
    limit = params.get("limit", 50)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= most:
        raise UserError("bad_limit", f"limit must be a whole number from 1 to {most}.")
    return limit


def _since(params: dict[str, Any]) -> float:
    since_s = params.get("since_s", 0.0)
    if isinstance(since_s, bool) or not isinstance(since_s, (int, float)):
        raise UserError("bad_since", "since_s must be a number of seconds.")
    return float(since_s)
