"""The machine: every GPU, processors and memory, now and over time; and which GPUs are offered."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QHideEvent, QShowEvent
from PyQt6.QtWidgets import QCheckBox, QGridLayout

from gui_kit.boxes import Card, KeyValues, column, row
from gui_kit.frame import Frame
from gui_kit.labels import Label
from gui_kit.page import Page
from gui_kit.segments import Segments
from gui_kit.tokens import GRID_PX
from gui_kit.words import clean, tr
from node_gui.machine import (
    GpuCard,
    Span,
    gpu_cards,
    machine_facts,
    offered_after,
    spans,
)
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import CyxWizError

if TYPE_CHECKING:
    from node_gui.machine_plots import MachinePlots

_EVERY_S = 5.0
_KEPT_EVERY_MS = 60_000
_LIVE_EVERY_MS = 5_000
_SAMPLES_MAX = 720
_ACROSS = 2


class HardwarePage(Page):
    """Asks only while it is to be seen."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(tr("Hardware"), "memory", scrolls=True)
        self._frame = frame
        self._hardware: dict[str, Any] = {}
        self._points: deque[dict[str, Any]] = deque(maxlen=_SAMPLES_MAX)
        self._cursor = self._asking = 0
        self._span: Span = spans()[0]
        self.facts = KeyValues(*((name, "–") for name, _ in machine_facts(_NOTHING)))
        self.problems = Label("", "muted", wrap=True)
        self.span = Segments(tr("Time shown"), [(span.key, span.word) for span in spans()])
        self.span.show_key(self._span.key)
        self.span.chosen.connect(self._choose_span)
        self.plots: MachinePlots | None = None
        self.cards: dict[str, _GpuBox] = {}
        self._gpus, self._place = QGridLayout(), column()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._ask_readings)
        self._build()
        self.show_loading(tr("Looking at this machine"))
        self._feed = frame.link.poll(self, "hardware", every_s=_EVERY_S)
        self._feed.item.connect(self._show_hardware)
        self._feed.failed.connect(self._show_problem)

    def reload(self) -> None:
        self._feed.refresh()
        self._begin_anew()

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._begin_anew()

    def hideEvent(self, event: QHideEvent | None) -> None:
        super().hideEvent(event)
        self._timer.stop()

    # -- inside

    def _build(self) -> None:
        self._gpus.setContentsMargins(0, 0, 0, 0)
        self._gpus.setSpacing(GRID_PX)
        self.problems.hide()
        self.body.addLayout(self._gpus)
        self.body.addWidget(Card(tr("The machine"), self.facts, self.problems))
        self.body.addLayout(row(Label(tr("Over time"), "title"), None, self.span))
        self.body.addLayout(self._place)
        self.body.addStretch(1)

    def _begin_anew(self) -> None:
        self._points.clear()
        self._cursor = 0
        self._asking += 1
        self._timer.start(_LIVE_EVERY_MS if self._is_live else _KEPT_EVERY_MS)
        self._ask_readings()

    @property
    def _is_live(self) -> bool:
        return self._span == spans()[0]

    def _choose_span(self, key: str) -> None:
        self.span.show_key(key)
        self._span = next(span for span in spans() if span.key == key)
        self._begin_anew()

    def _ask_readings(self) -> None:
        if not self.isVisible():
            return
        wanted: dict[str, Any] = {"after": self._cursor} if self._is_live else {"span_s": self._span.seconds}
        asking = self._asking
        self._frame.link.call(self, "readings", **wanted).then(lambda found: self._take(found, asking))

    def _take(self, found: dict[str, Any], asking: int) -> None:
        if asking != self._asking:
            return  # another stretch of time was asked for meanwhile
        if not self._is_live:
            self._points.clear()
        self._cursor = found["cursor"]
        self._points.extend(found["points"])
        self._draw()

    def _draw(self) -> None:
        if self._hardware:
            plots = self._the_plots()
            plots.draw(list(self._points), SYSTEM_CLOCK.now_s(), self._span, self._hardware)

    def _the_plots(self) -> MachinePlots:
        if self.plots is None:
            from node_gui.machine_plots import MachinePlots

            self.plots = MachinePlots()
            self._place.addWidget(self.plots)
        return self.plots

    def _show_hardware(self, hardware: dict[str, Any]) -> None:
        first, self._hardware = not self._hardware, hardware
        for name, value in machine_facts(hardware):
            self.facts.set(name, value)
        self.problems.setText("\n".join(hardware["problems"]))
        self.problems.setVisible(bool(hardware["problems"]))
        cards = gpu_cards(hardware)
        for gone in [uuid for uuid in self.cards if uuid not in {card.uuid for card in cards}]:
            self.cards.pop(gone).deleteLater()
        for at, card in enumerate(cards):
            if card.uuid not in self.cards:
                self.cards[card.uuid] = _GpuBox(card, self._offer)
                self._gpus.addWidget(self.cards[card.uuid], at // _ACROSS, at % _ACROSS)
            self.cards[card.uuid].show_card(card)
        if first:
            self._draw()
        self.show_content()

    def _offer(self, uuid: str, offered: bool) -> None:
        wanted = offered_after(self._hardware, uuid, offered)
        nothing = not offered and not any(
            gpu["offered"] for gpu in self._hardware["gpus"] if gpu["uuid"] != uuid
        )
        if nothing:
            self._frame.toasts.show(tr("One has to be offered. To take no jobs, switch off."), "warning")
            self._feed.refresh()
            self.cards[uuid].offered.setChecked(True)
            return
        self._frame.link.call(self, "set", gpus=wanted).then(lambda _: self._feed.refresh(), self._refused)

    def _refused(self, error: CyxWizError) -> None:
        self._frame.toasts.show(" ".join(error.lines()), "danger")
        self._feed.refresh()

    def _show_problem(self, error: CyxWizError) -> None:
        self.show_error(error, self.reload)


class _GpuBox(Card):
    """One GPU now, and whether it is offered."""

    def __init__(self, card: GpuCard, offer: Any) -> None:
        self._state = Label("", "muted")
        self._facts = KeyValues(*((name, "–") for name, _ in card.facts))
        self.offered = QCheckBox(tr("Offered"))
        self.offered.setAccessibleName(clean(tr("Offer {name}", name=card.name)))
        self.offered.clicked.connect(lambda on: offer(card.uuid, on))
        super().__init__(card.name, row(self._state, None, self.offered), self._facts)

    def show_card(self, card: GpuCard) -> None:
        self._state.setText(card.state)
        self.offered.setChecked(card.offered)
        for name, value in card.facts:
            self._facts.set(name, value)


_NOTHING: dict[str, Any] = {
    "reading": None,
    "cpu_count": 0,
    "memory_bytes": 0,
    "disk_free_bytes": 0,
    "driver_version": "",
}
