"""What the node's window and CLI may ask its agent; everything as JSON, see ``docs/node.md``."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from p2p.core.errors import UserError
from p2p.core.ids import parse_wallet
from p2p.core.limits import STATUS_INTERVAL_S, WATCH_INTERVAL_S
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.local.protocol import Json
from p2p.local.server import Handler, StreamHandler
from p2p.node.api_jobs import JobsApi
from p2p.node.api_machine import MachineApi
from p2p.node.api_money import MoneyApi
from p2p.node.api_support import SupportApi
from p2p.node.availability import Switch
from p2p.node.parameters import Params, count_of, seconds_of
from p2p.node.settings import LOGIN_SETTINGS
from p2p.node.views import error_json, login_json, payout_json, verdict_json

if TYPE_CHECKING:
    from p2p.node.agent import NodeAgent


class LocalApi:
    """Handlers over a running agent."""

    def __init__(self, agent: NodeAgent) -> None:
        self.agent = agent
        self.jobs = JobsApi(agent)
        self.money = MoneyApi(agent)
        self.machine = MachineApi(agent)
        self.support = SupportApi(self)
        self.asked_to_stop = trio.Event()
        self.stop_jobs = False

    def handlers(self) -> Mapping[str, Handler]:
        """By method name."""
        return {
            "status": self.status,
            "switch": self.switch,
            "pause": self.pause,
            "settings": self.settings,
            "set": self.set,
            "stop": self.stop,
            "login_challenge": self.login_challenge,
            "login_finish": self.login_finish,
            **self.jobs.handlers(),
            **self.money.handlers(),
            **self.machine.handlers(),
            **self.support.handlers(),
        }

    def streams(self) -> Mapping[str, StreamHandler]:
        """By method name: what answers with items."""
        return {"watch": self.watch, "news": self.news, **self.support.streams()}

    async def status(self, params: Params) -> Json:
        """How it stands: connection, offer, load, what runs."""
        agent = self.agent
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
            "earned": self.money.earned(),
            "news": agent.news.newest,
            "jobs": self.jobs.held(),
        }

    async def watch(self, params: Params) -> AsyncGenerator[Json, None]:
        """The status, and again when something has happened or, a second later, anything in it is another."""
        news, shown = self.agent.news, None
        while True:
            since = news.changed.count
            found = await self.status({})
            if found != shown:
                shown = found
                yield found
            await news.changed.wait(since, STATUS_INTERVAL_S)
            await trio.sleep(WATCH_INTERVAL_S)

    async def news(self, params: Params) -> AsyncGenerator[Json, None]:
        """What has happened after the item of number ``after``, and what happens from now on."""
        after = count_of(params, "after", self.agent.news.newest, 0, 2**53)
        async with aclosing(self.agent.news.follow(after)) as items:
            async for item in items:
                yield item.json()

    async def switch(self, params: Params) -> Json:
        """Turn the switch ``to`` available, finishing or off; off ends the jobs that run."""
        try:
            switch = Switch(params.get("to"))
        except ValueError:
            words = ", ".join(each.value for each in Switch)
            raise UserError("bad_switch", f"The switch knows {words}.", "Nothing was changed.") from None
        await self.agent.gate.turn(switch)
        return self._availability()

    async def pause(self, params: Params) -> Json:
        """Take no new job ``for_s`` seconds long."""
        await self.agent.gate.pause(seconds_of(params, "for_s"))
        return self._availability()

    def _availability(self) -> Json:
        agent = self.agent
        return verdict_json(agent.gate.switch, agent.gate.verdict(), agent.settings.paused_until_s)

    async def settings(self, params: Params) -> Json:
        """The settings as they are."""
        return asdict(self.agent.settings)

    async def set(self, params: Params) -> Json:
        """Change settings; says which of the changes wait for the next start."""
        if LOGIN_SETTINGS & params.keys():
            raise UserError("bad_settings", "A wallet is logged in, not set.", hint="See cyxwiz-node login.")
        old = self.agent.settings
        new = await self.agent.change_settings(params)
        waiting = [name for name in NEXT_START if getattr(old, name) != getattr(new, name)]
        return {"settings": asdict(new), "at_next_start": waiting}

    async def stop(self, params: Params) -> Json:
        """End the agent; ``jobs``: end its jobs too."""
        self.stop_jobs = bool(params.get("jobs", False))
        self.asked_to_stop.set()
        return {}

    async def login_challenge(self, params: Params) -> Json:
        """The text to sign for a wallet that is to be paid."""
        wallet = parse_wallet(str(params["wallet"]))
        return {"text": await self.agent.link.logins.challenge(wallet, str(params.get("domain") or ""))}

    async def login_finish(self, params: Params) -> Json:
        """What the wallet made of it; the node is paid to the wallet from now on."""
        before = self.agent.payout
        try:
            kind, signature = WalletKind(params["kind"]), b64decode(str(params["signature"]), validate=True)
        except (ValueError, binascii.Error):
            raise UserError("bad_message", "The login is malformed.") from None
        choice = WalletChoice(kind, Path(params["file"]) if params.get("file") else None)
        wallet = parse_wallet(str(params["wallet"]))
        reply = await self.agent.log_in(choice, wallet, str(params["text"]), signature)
        return login_json(before, self.agent.payout, reply)


NEXT_START = ("wallet_keypair", "listen", "private_data_urls")
"""Settings that only a new start of the agent takes up."""
