"""The top of a job's page: where it is, how far, how long, what it has cost."""

from __future__ import annotations

from typing import Any

from PyQt6.QtWidgets import QProgressBar, QWidget

from engine_gui.job_model import cost_of_escrow, job_row, percent, row_look, time_of_limit
from gui_kit.boxes import Card, column, row
from gui_kit.buttons import CopyLabel, IconButton
from gui_kit.labels import Badge, Label, StateLabel
from gui_kit.states import BADGES, look
from gui_kit.tokens import CONTROL_HEIGHT_PX, MARGIN_PX
from gui_kit.words import bytes_text, tr

Json = dict[str, Any]

_STEPS = 1000
_PEER_WIDTH_PX = 128


class JobHead(Card):
    """``more``: opens everything else that can be done."""

    def __init__(self) -> None:
        super().__init__()
        self.state = StateLabel()
        self.badge = Badge(look(BADGES, "verified"))
        self.badge.hide()
        self.doing = Label("", "muted")
        self.more = IconButton("dots-horizontal", tr("More actions for this job"))
        self._bar = QProgressBar()
        self._bar.setRange(0, _STEPS)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(tr("Progress"))
        self._time, self._cost, self._gpu = Label(), Label(), Label()
        for label in (self._time, self._cost, self._gpu):
            label.setMinimumHeight(CONTROL_HEIGHT_PX)  # as high as the one with a button
        self._node = CopyLabel("", tr("the node's peer id"))
        self._node.setFixedWidth(_PEER_WIDTH_PX)
        self._node_fact = _fact(tr("Node"), self._node)
        self.body.addLayout(row(self.state, self.badge, self.doing, None, self.more))
        self.body.addWidget(self._bar)
        self.body.addLayout(
            row(
                _fact(tr("Time / limit"), self._time),
                _fact(tr("Cost of escrow"), self._cost),
                _fact(tr("GPU"), self._gpu),
                self._node_fact,
                None,
                spacing_px=MARGIN_PX,
            )
        )

    def show_job(self, job: Json) -> None:
        """As it is now."""
        found = job_row(job)
        self.state.set_look(row_look(found))
        result = job["result"]
        self.badge.setVisible(result is not None and result["verified"])
        self._bar.setVisible(found.fraction is not None)
        self._bar.setValue(round(_STEPS * (found.fraction or 0.0)))
        self.doing.setText(doing_words(job))
        self._time.setText(time_of_limit(found.used_seconds, found.timeout_s))
        self._cost.setText(cost_of_escrow(found.used_units, found.deposit_units, found.asset))
        self._gpu.setText(found.gpu)
        self._node.set_text(found.node)
        self._node_fact.setVisible(bool(found.node))


def doing_words(job: Json) -> str:
    """What goes on just now, beside the state."""
    transfer = job["transfer"]
    if transfer:
        words = tr("Sending inputs") if transfer["direction"] == "up" else tr("Fetching results")
        done, total = bytes_text(transfer["done_bytes"]), bytes_text(transfer["total_bytes"])
        return tr("{what}: {done} of {total}", what=words, done=done, total=total)
    if job["topping_up"]:
        return tr("Adding time")
    if job["state"] == "running" and job["progress"] is not None:
        return percent(job["progress"])
    if job["attempt"] > 1 and not job["final"]:
        return tr("Attempt {number}", number=job["attempt"])
    return ""


def _fact(name: str, value: QWidget) -> QWidget:
    """A value below its name."""
    fact = QWidget()
    fact.setLayout(column(Label(name, "small"), value, spacing_px=0))
    return fact
