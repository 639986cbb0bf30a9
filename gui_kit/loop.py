"""The trio loop beside a window: health of the agent, questions, streams. No widget is touched from here."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from functools import partial
from threading import Event, Thread
from typing import Any, Protocol

import trio

from gui_kit.call import Call
from gui_kit.feed import Feed
from gui_kit.mailbox import Mailbox
from gui_kit.states import LinkState
from p2p.core.errors import Bug, CyxWizError, EnvironmentFailure
from p2p.core.limits import AGENT_START_TIMEOUT_S
from p2p.local.client import AGENT_AWAY
from p2p.local.protocol import Json

_LOG = logging.getLogger(__name__)

HEALTH_S = 2.0  # how often the agent is asked how it is
HEALTH_TIMEOUT_S = 10.0
RESTART_GRACE_S = 1.5  # for an agent that somebody else is about to start again
RESTART_POLL_S = 0.1
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 15.0
CLOSE_TIMEOUT_S = 2.0
_SWITCH_S = 0.001
"""How long this thread may keep the interpreter from the window's: a fifth of what Python does by itself."""

_SILENT = EnvironmentFailure(
    "agent_silent",
    "The agent runs but does not answer.",
    "Jobs and money are not touched by that.",
    "If it stays so, its log has the details.",
)
_AWAY = EnvironmentFailure(
    "agent_away",
    "The agent is not there.",
    "What was asked was not sent.",
    "Try again once the window is connected.",
)


_MISTAKE = Bug("The window made a mistake of its own; its log has the details.")

Task = Callable[..., Awaitable[Any]]


class AgentClient(Protocol):
    """:class:`p2p.engine.client.EngineClient` or :class:`p2p.node.client.NodeClient`."""

    async def call(self, name: str, /, **params: Json) -> Json: ...

    def stream(self, name: str, /, **params: Json) -> AsyncGenerator[Json, None]: ...

    async def ensure_running(self) -> None: ...


class Loop:
    """``tell_state`` and ``tell_status`` are called by way of the mailbox."""

    def __init__(
        self,
        client: AgentClient,
        mailbox: Mailbox,
        tell_state: Callable[[LinkState, CyxWizError | None], None],
        tell_status: Callable[[dict[str, Json]], None],
    ) -> None:
        self.mailbox = mailbox
        self._client = client
        self._tell_state = tell_state
        self._tell_status = tell_status
        self._auto_start = True
        self._was_there = False
        self._ready = Event()
        self._thread: Thread | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._nursery: trio.Nursery | None = None

    # -- from the window's thread

    def start(self) -> None:
        """Start the thread; returns once it takes work."""
        if self._thread is None:
            sys.setswitchinterval(_SWITCH_S)
            self._thread = Thread(target=trio.run, args=(self._main,), name="agent link", daemon=True)
            self._thread.start()
            self._ready.wait()

    def close(self) -> None:
        """Cancel everything and wait for the thread to end."""
        self.mailbox.close()
        if self._thread is not None and self._nursery is not None:
            self.run(self._nursery.cancel_scope.cancel)
            self._thread.join(CLOSE_TIMEOUT_S)

    def run(self, work: Callable[[], object]) -> None:
        """Have ``work`` done in the loop; nothing is done before it was started and after it has ended."""
        if self._token is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(work)

    def spawn(self, task: Task, asker: Call | Feed, *arguments: object) -> None:
        """Start a task for somebody who asks; an error that it ends with is theirs.

        :raises Bug: the loop was not started.
        """
        nursery = self._nursery
        if nursery is None:
            raise Bug("the link was asked before it was started")
        self.run(lambda: nursery.start_soon(self._serve, task, asker, *arguments))

    # -- the loop

    async def _main(self) -> None:
        self._connected, self._look = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery:
            self._nursery, self._token = nursery, trio.lowlevel.current_trio_token()
            self._ready.set()
            nursery.start_soon(self._supervise)

    def look_now(self) -> None:
        """Look after the agent now instead of in a while."""
        self._look.set()

    def set_auto_start(self, on: bool) -> None:
        """Whether an agent that is away is started."""
        self._auto_start = on
        self.look_now()

    async def _supervise(self) -> None:
        retry_s = RETRY_FIRST_S
        while True:
            wait_s = HEALTH_S
            try:
                await self._ask_health()
                retry_s = RETRY_FIRST_S
            except EnvironmentFailure as error:
                if error.code not in AGENT_AWAY:
                    self._lose(LinkState.RECONNECTING, error)
                elif await self._bring_back():
                    wait_s = 0
                else:
                    wait_s, retry_s = retry_s, min(2 * retry_s, RETRY_MAX_S)
            except CyxWizError as error:
                self._lose(LinkState.FAILED, error)
            with trio.move_on_after(wait_s):
                await self._look.wait()
            self._look = trio.Event()

    async def _ask_health(self) -> None:
        try:
            with trio.fail_after(HEALTH_TIMEOUT_S):
                status = await self._client.call("status")
        except trio.TooSlowError:
            raise _SILENT from None
        self._connected.set()
        self._was_there = True
        self.mailbox.post(lambda: self._tell_status(status))
        self.mailbox.post(lambda: self._tell_state(LinkState.CONNECTED, None))

    async def _bring_back(self) -> bool:
        """Whether the agent runs again."""
        was_there, self._was_there = self._was_there, False
        if was_there:
            self._lose(LinkState.RECONNECTING)
            if await self._comes_back():
                return True
        if not self._auto_start:
            self._lose(LinkState.STOPPED)
            return False
        try:
            await self._client.ensure_running()
        except CyxWizError as error:
            self._lose(LinkState.FAILED, error)
            return False
        return True

    async def _comes_back(self) -> bool:
        """An agent that is being restarted by somebody else must not be started twice."""
        with trio.move_on_after(RESTART_GRACE_S):
            while True:
                try:
                    await self._client.call("status")
                except EnvironmentFailure:
                    await trio.sleep(RESTART_POLL_S)
                else:
                    return True
        return False

    def _lose(self, state: LinkState, error: CyxWizError | None = None) -> None:
        if self._connected.is_set():
            self._connected = trio.Event()
        self.mailbox.post(lambda: self._tell_state(state, error))

    def _note(self, error: EnvironmentFailure) -> bool:
        """Whether the error says that the agent is away; then somebody looks after it."""
        away = error.code in AGENT_AWAY
        if away:
            self._lose(LinkState.RECONNECTING)
            self.look_now()
        return away

    # -- what the window asks

    async def _serve(self, task: Task, asker: Call | Feed, *arguments: object) -> None:
        with asker.scope:
            try:
                await task(asker, *arguments)
            except CyxWizError as error:
                self.mailbox.post(partial(asker.fail, error))
            except Exception:
                _LOG.exception("a question failed: %s", arguments)
                self.mailbox.post(partial(asker.fail, _MISTAKE))

    async def ask(self, call: Call, name: str, params: dict[str, Json]) -> None:
        """One question of :meth:`gui_kit.link.AgentLink.call`."""
        with trio.move_on_after(AGENT_START_TIMEOUT_S):
            await self._connected.wait()
        if not self._connected.is_set():
            raise _AWAY
        try:
            answer = await self._client.call(name, **params)
        except EnvironmentFailure as error:
            self._note(error)
            raise
        self.mailbox.post(partial(call.answer, answer))

    async def stream(self, feed: Feed, name: str, params: dict[str, Json]) -> None:
        """One stream of :meth:`gui_kit.link.AgentLink.follow`."""
        again = False
        while True:
            await self._connected.wait()
            if again:
                feed.tell_restarted()
            try:
                async with aclosing(self._client.stream(name, **params)) as items:
                    async for item in items:
                        await feed.deliver(item)
                feed.tell_ended()
                return
            except EnvironmentFailure as error:
                if not self._note(error):
                    raise
                again = True

    async def poll(self, feed: Feed, name: str, params: dict[str, Json], every_s: float) -> None:
        """One question of :meth:`gui_kit.link.AgentLink.poll`."""
        last: Json = _UNKNOWN
        while True:
            await self._connected.wait()
            while feed.paused:
                await feed.wait_until_asked(every_s)
            try:
                answer = await self._client.call(name, **params)
                if answer != last:
                    last = answer
                    await feed.deliver(answer)
            except CyxWizError as error:
                last = _UNKNOWN
                if not (isinstance(error, EnvironmentFailure) and self._note(error)):
                    self.mailbox.post(partial(feed.fail, error))
            await feed.wait_until_asked(every_s)


_UNKNOWN = object()
