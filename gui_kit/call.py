"""A question to the agent that a part of a window waits for."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import trio
from PyQt6 import sip
from PyQt6.QtCore import QObject, pyqtSignal

from gui_kit.endings import when_destroyed
from p2p.core.errors import CyxWizError
from p2p.local.protocol import Json


class CallStatus(Enum):
    """How far a call is."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"  # the agent answered
    FAILED = "failed"  # it said no, or isn't there
    CANCELLED = "cancelled"  # nobody wants to know any more


class Call(QObject):
    """Exactly one of ``succeeded`` and ``failed`` comes, from the event loop, unless the call is cancelled.

    It belongs to its receiver: when that dies, the question is withdrawn and the answer dropped. A command
    that the agent has begun is not undone by that.
    """

    succeeded = pyqtSignal(object)
    failed = pyqtSignal(object)
    """With a :class:`~p2p.core.errors.CyxWizError`."""

    def __init__(self, receiver: QObject, withdraw: Callable[[trio.CancelScope], None]) -> None:
        super().__init__(receiver)
        self.scope = trio.CancelScope()
        self.status = CallStatus.PENDING
        self._withdraw = withdraw
        scope = self.scope
        when_destroyed(self, lambda: withdraw(scope))

    def then(
        self, done: Callable[[Json], object], failed: Callable[[CyxWizError], object] | None = None
    ) -> Call:
        """Have ``done`` called with the answer, ``failed`` with the error."""
        self.succeeded.connect(done)
        if failed is not None:
            self.failed.connect(failed)
        return self

    def cancel(self) -> None:
        """Want no answer any more."""
        if self.status is CallStatus.PENDING:
            self.status = CallStatus.CANCELLED
            self._withdraw(self.scope)
            self.deleteLater()

    def answer(self, value: Json) -> None:
        """Deliver the answer; in the thread of the window. Without effect if nobody waits any more."""
        self._end(CallStatus.SUCCEEDED, self.succeeded.emit, value)

    def fail(self, error: CyxWizError) -> None:
        """Deliver an error, as :meth:`answer`."""
        self._end(CallStatus.FAILED, self.failed.emit, error)

    def _end(self, status: CallStatus, emit: Callable[[object], None], value: object) -> None:
        if sip.isdeleted(self) or self.status is not CallStatus.PENDING:
            return
        self.status = status
        emit(value)
        if not sip.isdeleted(self):
            self.deleteLater()
