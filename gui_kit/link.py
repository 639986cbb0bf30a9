"""The bridge from a window to its agent: one trio loop in one thread beside the window.

The agent is a process of its own, so closing a window ends no job and no transfer. This thread only carries
questions and answers; everything that a window gets to see comes through its mailbox, in the window's thread.
"""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, pyqtSignal
from PyQt6.QtWidgets import QWidget

from gui_kit.call import Call
from gui_kit.feed import Feed
from gui_kit.loop import AgentClient, Loop
from gui_kit.mailbox import Mailbox
from gui_kit.states import LinkState
from p2p.core.errors import CyxWizError
from p2p.local.protocol import Json


class AgentLink(QObject):
    """Asks the agent of ``client``, starts it when it does not run, and finds it again when it was
    restarted."""

    state_changed = pyqtSignal()
    status_changed = pyqtSignal()
    """The agent's ``status`` is another one: see :attr:`status`."""

    def __init__(self, client: AgentClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = LinkState.STARTING
        self.error: CyxWizError | None = None
        self.status: dict[str, Json] = {}
        self._loop = Loop(client, Mailbox(self), self._set_state, self._set_status)

    # -- life

    def start(self) -> None:
        """Start the thread, and the agent if it does not run."""
        self._loop.start()

    def retry(self) -> None:
        """Try again now to reach or start the agent."""
        self._loop.run(self._loop.look_now)

    def set_auto_start(self, on: bool) -> None:
        """Whether the agent is started when it is away: not after the person has stopped it."""
        self._loop.run(lambda: self._loop.set_auto_start(on))

    def close(self) -> None:
        """Withdraw every question and end the thread; the agent and its jobs go on."""
        self._loop.close()

    # -- asking

    def call(self, receiver: QObject, name: str, /, **params: Json) -> Call:
        """Ask once. Waits for an agent that is being started; is never sent twice."""
        call = Call(receiver, lambda scope: self._loop.run(scope.cancel))
        self._loop.spawn(self._loop.ask, call, name, params)
        return call

    def follow(self, receiver: QObject, name: str, /, *, every: bool = False, **params: Json) -> Feed:
        """Follow a stream; it is taken up again after the agent was away. ``every``: see :class:`Feed`."""
        feed = Feed(receiver, self._loop.mailbox, self._loop.run, every=every)
        self._loop.spawn(self._loop.stream, feed, name, params)
        return feed

    def poll(self, receiver: QWidget, name: str, /, *, every_s: float, **params: Json) -> Feed:
        """Ask again and again while ``receiver`` is to be seen; an item comes when the answer is another
        one."""
        feed = Feed(receiver, self._loop.mailbox, self._loop.run, every=False)
        feed.set_paused(not receiver.isVisible())
        receiver.installEventFilter(_Watcher(feed))
        self._loop.spawn(self._loop.poll, feed, name, params, every_s)
        return feed

    # -- news from the loop

    def _set_state(self, state: LinkState, error: CyxWizError | None) -> None:
        if (state, error) != (self.state, self.error):
            self.state, self.error = state, error
            self.state_changed.emit()

    def _set_status(self, status: dict[str, Json]) -> None:
        if status != self.status:
            self.status = status
            self.status_changed.emit()


class _Watcher(QObject):
    """Pauses a feed while its receiver is not to be seen."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._feed = feed

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            self._feed.set_paused(event.type() is QEvent.Type.Hide)
        return False
