"""Pictures of every page of a window, light and dark: each window keeps a list of :class:`Shot`.

``scripts/screenshots`` runs it under a screen in memory, on a real network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from PyQt6.QtCore import QDeadlineTimer, QEventLoop
from PyQt6.QtWidgets import QApplication, QWidget

from gui_kit.frame import FIRST_SIZE, Frame
from gui_kit.preferences import Preferences
from gui_kit.states import LinkState
from gui_kit.theme import Mode, theme
from p2p.core.errors import EnvironmentFailure

_READY_MS = 60_000
_SETTLE_MS = 400
"""For what comes without being waited for, such as the last layout."""


@dataclass(frozen=True, slots=True)
class Shot:
    """``go`` leads to what is to be seen; ``ready`` says whether it is there; ``of``: the widget to take
    instead of the whole window, such as a dialog."""

    name: str
    go: Callable[[Frame], object]
    ready: Callable[[Frame], bool] = lambda frame: True
    of: Callable[[Frame], QWidget] = lambda frame: frame


def take(
    product: str, make: Callable[[Preferences], Frame], shots: Sequence[Shot], folder: Path
) -> list[Path]:
    """Write ``folder``/``product``-``shot``-``light|dark``.png; the files.

    :raises EnvironmentFailure: a page did not become ready.
    """
    app = QApplication([product])
    theme().install(app, Mode.LIGHT)
    with TemporaryDirectory() as nobodys:  # what a person has chosen is not in the pictures
        return _taken(app, product, make(Preferences(Path(nobodys) / "window.ini")), shots, folder)


def _taken(app: QApplication, product: str, frame: Frame, shots: Sequence[Shot], folder: Path) -> list[Path]:
    frame.resize(*FIRST_SIZE)
    frame.show()
    _wait(lambda: frame.link.state is LinkState.CONNECTED, "the agent", app)
    written = []
    for mode in (Mode.LIGHT, Mode.DARK):
        theme().set_mode(mode)
        for shot in shots:
            shot.go(frame)
            _wait(partial(shot.ready, frame), shot.name, app)
            app.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, _SETTLE_MS)
            path = folder / f"{product}-{shot.name}-{mode.value}.png"
            shot.of(frame).grab().save(str(path), "PNG")
            written.append(path)
    frame.close()
    return written


def _wait(ready: Callable[[], bool], what: str, app: QApplication) -> None:
    deadline = QDeadlineTimer(_READY_MS)
    while not ready():
        if deadline.hasExpired():
            raise EnvironmentFailure("no_picture", f"{what} was not ready within {_READY_MS // 1000} s.")
        app.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 50)
