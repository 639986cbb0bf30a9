"""Quitting while a job runs: it goes on without the window, unless the person wants otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtWidgets import QApplication, QRadioButton

from gui_kit.boxes import column
from gui_kit.dialogs import Confirm
from gui_kit.frame import Frame
from gui_kit.words import tr
from node_gui.attempts import AttemptRow
from node_gui.standing import FINISHING, OFF
from p2p.core.errors import CyxWizError

_STAY, _NAMES_MAX = "stay", 3


class QuitQuestion(Confirm):
    """Three ways, of which the first changes nothing."""

    def __init__(self, frame: Frame, jobs: Sequence[AttemptRow]) -> None:
        names = ", ".join(job.title for job in jobs[:_NAMES_MAX]) + ("…" if len(jobs) > _NAMES_MAX else "")
        super().__init__(
            frame,
            tr("Quit while a job runs?"),
            tr("This machine works on {names}. The agent needs no window.", names=names),
            yes=tr("Quit"),
            no=tr("Stay"),
        )
        self._frame = frame
        self.ways = {
            _STAY: QRadioButton(tr("Let it run, and take the next one too")),
            FINISHING: QRadioButton(tr("Let it finish, then take no other")),
            OFF: QRadioButton(tr("End it now: its results are lost, and nothing is earned for it")),
        }
        self.ways[_STAY].setChecked(True)
        self.body.addLayout(column(*self.ways.values()))
        self.accepted.connect(self._quit)

    def _quit(self) -> None:
        way = next(key for key, button in self.ways.items() if button.isChecked())
        if way == _STAY:
            QApplication.quit()
            return
        self._frame.link.call(self._frame, "switch", to=way).then(_go, _tell(self._frame))


def _go(answer: object) -> None:
    QApplication.quit()


def _tell(frame: Frame) -> Callable[[CyxWizError], object]:
    return lambda error: frame.toasts.show(" ".join(error.lines()), "danger")
