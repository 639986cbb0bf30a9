"""The local API's part about looking after the node: self-test, remedies, log, bundle, start at login."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from p2p.core.errors import UserError
from p2p.local.autostart import Autostart
from p2p.local.protocol import Json
from p2p.local.server import Handler, StreamHandler
from p2p.node import agent_log, remedies
from p2p.node.availability import Switch
from p2p.node.checks import check_rows
from p2p.node.parameters import Params, count_of
from p2p.node.starting import autostart
from p2p.node.support import write_bundle

if TYPE_CHECKING:
    from p2p.node.local_api import LocalApi


class SupportApi:
    """Handlers over a running agent; ``api``: what the bundle asks."""

    def __init__(self, api: LocalApi) -> None:
        self._api = api
        self._agent = api.agent

    def handlers(self) -> Mapping[str, Handler]:
        """By method name."""
        return {"check": self.check, "support_bundle": self.support_bundle, "autostart": self.autostart}

    def streams(self) -> Mapping[str, StreamHandler]:
        """By method name."""
        return {"fix": self.fix, "log": self.log}

    async def check(self, params: Params) -> Json:
        """The self-test, with what mends each row."""
        agent = self._agent
        before = agent.survey.rows
        await agent.survey.look()
        agent.news.checks_changed(before, agent.survey.rows)
        rows = check_rows(agent.survey, agent.settings, agent.payout, agent.clock.now_s())
        return [remedies.check_json(row) for row in (*rows, agent.coordinator_row())]

    async def fix(self, params: Params) -> AsyncGenerator[Json, None]:
        """Mend the row ``id``; ``file``: the image to load. Items: lines of what does it, then the row."""
        identity, file = str(params.get("id")), params.get("file")
        command = remedies.command_of(identity, None if file is None else str(file))
        if command is not None:
            async with aclosing(remedies.output_of(command)) as lines:
                async for line in lines:
                    yield {"line": line}
        else:
            await self._mend(identity)
        rows = await self.check({})
        self._agent.link.announce()
        row = next((row for row in rows if row["id"] == identity), None)
        if row is None:  # such as that of the image, while Docker does not answer
            raise remedies.without_row(identity)
        yield {"row": row}

    async def _mend(self, identity: str) -> None:
        agent = self._agent
        if identity == remedies.GPU:
            await agent.change_settings({"gpus": []})
        elif identity == remedies.SWITCH:
            await agent.gate.turn(Switch.AVAILABLE)
        else:
            agent.link.announce()
            with trio.move_on_after(_COORDINATOR_PATIENCE_S):
                await agent.link.until_registered()

    async def log(self, params: Params) -> AsyncGenerator[Json, None]:
        """The agent's log from the offset ``after`` on, else from some way before its end; ``follow``: and
        what comes."""
        offset = None if params.get("after") is None else count_of(params, "after", 0, 0, 2**53)
        pieces = agent_log.follow(self._agent.home.node.log, offset, forever=bool(params.get("follow")))
        async with aclosing(pieces):
            async for piece in pieces:
                yield {"offset": piece.offset, "lines": list(piece.lines), "anew": piece.anew}

    async def support_bundle(self, params: Params) -> Json:
        """Write the bundle to ``file``; what is in it."""
        file = params.get("file")
        if not isinstance(file, str) or not Path(file).is_absolute():
            raise UserError("bad_message", "A support bundle needs the full path of a file.")
        api, agent = self._api, self._agent
        parts = {
            "status": await api.status({}),
            "check": await self.check({}),
            "jobs": await api.jobs.jobs({}),
            "hardware": await api.machine.hardware({}),
        }
        write = write_bundle
        found = await trio.to_thread.run_sync(write, agent.home, Path(file), agent.settings, parts)
        return bundle_json(Path(file), found)

    async def autostart(self, params: Params) -> Json:
        """Whether the agent starts at login; ``to``: true or false."""
        to = params.get("to")
        if to is not None and not isinstance(to, bool):
            raise UserError("bad_message", "Start at login is true or false.")
        return autostart_json(await trio.to_thread.run_sync(autostart, self._agent.home, to))


_COORDINATOR_PATIENCE_S = 10.0


def bundle_json(file: Path, found: list[tuple[str, int]]) -> dict[str, Json]:
    """What a bundle holds."""
    return {"file": str(file), "parts": [{"name": name, "size_bytes": size} for name, size in found]}


def autostart_json(found: Autostart) -> dict[str, Json]:
    """Whether the agent starts at login, and what says so."""
    return {**asdict(found), "how": found.how.value}
