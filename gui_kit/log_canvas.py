"""The lines of a log on the screen. Only what is to be seen is painted, so a million lines cost as much as
ten."""

from __future__ import annotations

import math

from PyQt6.QtCore import QEvent, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import (
    QFontMetricsF,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PyQt6.QtWidgets import QAbstractScrollArea, QScrollBar

from gui_kit.labels import copy_text
from gui_kit.log_layout import LogLayout, Place
from gui_kit.log_search import LogSearch, places
from gui_kit.log_store import LogStore
from gui_kit.theme import mono_font, theme
from gui_kit.tokens import GRID_PX, HALF_PX, Token
from gui_kit.words import tr

_COPY_MAX_LINES = 200_000
_SELECTION_OPACITY = 0.3
_MOVES = {
    Qt.Key.Key_Up: -1,
    Qt.Key.Key_Down: 1,
}


class LogCanvas(QAbstractScrollArea):
    """``followed``: whether the end stays in sight, changed by scrolling too."""

    followed = pyqtSignal(bool)

    def __init__(self, store: LogStore, search: LogSearch) -> None:
        super().__init__()
        self.setObjectName("log")
        self.setAccessibleName(tr("Log"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setFont(mono_font())
        self._store, self._search = store, search
        self._layout = LogLayout(store)
        self._wraps = False
        self.follows = True
        self.hit: int | None = None
        self._anchor: Place | None = None
        self._caret = Place(0, 0)
        metrics = QFontMetricsF(mono_font())
        self._row_px = round(metrics.height()) + 2
        self._char_px = metrics.horizontalAdvance("0")
        self._ascent_px = metrics.ascent() + 1
        port = self.viewport()
        if port is not None:
            port.setCursor(Qt.CursorShape.IBeamCursor)
        theme().changed.connect(self._paint_all)
        for bar in (self._across(), self._down()):
            bar.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._down().sliderMoved.connect(self._on_scroll)
        self._down().actionTriggered.connect(self._on_scroll)
        self._down().setSingleStep(3)

    # -- what is shown

    def refresh(self) -> None:
        """The store has changed: show it, and stay where the reader is, or at the end."""
        gone_rows = self._layout.update()
        keep = self._down().value() - gone_rows
        self._set_ranges()
        self._down().setValue(self._down().maximum() if self.follows else max(0, keep))
        self._paint_all()

    def reset(self) -> None:
        """The store was emptied."""
        self._anchor, self.hit = None, None
        self._layout.reset()
        self.refresh()

    def set_wrap(self, on: bool) -> None:
        """Whether long lines go on in the next row."""
        self._wraps = on
        self._lay_out_anew()

    def set_follow(self, on: bool) -> None:
        """Keep the end in sight, or stay."""
        if on != self.follows:
            self.follows = on
            self.followed.emit(on)
        if on:
            self._down().setValue(self._down().maximum())

    def show_line(self, line: int) -> None:
        """Bring a line into sight, in the upper third."""
        self.set_follow(False)
        self._down().setValue(max(0, self._layout.row_of_line(line) - self._rows_shown() // 3))
        self._paint_all()

    def top_line(self) -> int:
        """The first line in sight."""
        return self._layout.place_of_row(self._down().value()).line

    def selected_text(self) -> str:
        """What is selected; nothing if it is more than anybody pastes."""
        if self._anchor is None:
            return ""
        start, end = sorted((self._anchor, self._caret), key=lambda place: (place.line, place.column))
        if end.line - start.line > _COPY_MAX_LINES:
            return ""
        lines = list(self._store.texts(start.line, end.line + 1))
        if lines:
            lines[-1] = lines[-1][: end.column]
            lines[0] = lines[0][start.column :]
        return "\n".join(lines)

    # -- painting

    def paintEvent(self, event: QPaintEvent | None) -> None:
        port = self.viewport()
        if port is None:
            return
        painter = QPainter(port)
        painter.setFont(self.font())
        painter.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        painter.fillRect(port.rect(), theme().colour("surface"))
        left = GRID_PX - self._across().value()
        top = self._down().value()
        for row in range(top, min(top + self._rows_shown() + 1, self._layout.rows)):
            place = self._layout.place_of_row(row)
            self._paint_row(painter, place, left, (row - top) * self._row_px + HALF_PX)

    def _paint_row(self, painter: QPainter, place: Place, left: float, y: float) -> None:
        line = self._store.line(place.line)
        end = place.column + self._layout.columns if self._layout.columns else len(line)
        marker = place.line in self._store.markers
        if marker:
            self._fill(painter, (0, self._columns_shown() + len(line)), left, y, "raised")
        for at in places(line, self._search.word):
            token: Token = "warning" if place.line == self.hit else "raised"
            start = at - place.column
            self._fill(painter, (start, start + len(self._search.word)), left, y, token)
        self._paint_selection(painter, place, len(line), left, y)
        painter.setPen(theme().colour("muted" if marker else "text"))
        if place.line == self.hit:
            self._paint_hit(painter, line, place, end, left, y)
            return
        painter.drawText(
            QPointF(left, y + self._ascent_px), line[place.column : min(end, self._seen_to(place, left))]
        )

    def _seen_to(self, place: Place, left: float) -> int:
        """The place in a row of which nothing is seen any more: shaping a long line costs. Marks that stand
        on other letters take no room, so it is twice as far as letters go."""
        return place.column + 2 * (math.ceil((self.width() - left) / self._char_px) + 1)

    def _paint_hit(self, painter: QPainter, line: str, place: Place, end: int, left: float, y: float) -> None:
        """The line that the search stands at: the word in the colour that goes with its ground."""
        found, size = places(line, self._search.word), len(self._search.word)
        marks = {at + n for at in found for n in range(size)}
        start = place.column
        while start < min(end, len(line)):
            inside = start in marks
            stop = start
            while stop < min(end, len(line)) and (stop in marks) is inside:
                stop += 1
            painter.setPen(theme().colour("on_fill" if inside else "text"))
            x = left + (start - place.column) * self._char_px
            painter.drawText(QPointF(x, y + self._ascent_px), line[start:stop])
            start = stop

    def _paint_selection(self, painter: QPainter, place: Place, length: int, left: float, y: float) -> None:
        if self._anchor is None:
            return
        start, end = sorted((self._anchor, self._caret), key=lambda p: (p.line, p.column))
        if start.line <= place.line <= end.line:
            first = start.column if place.line == start.line else 0
            last = end.column if place.line == end.line else length + 1
            span = (first - place.column, last - place.column)
            self._fill(painter, span, left, y, "accent", _SELECTION_OPACITY)

    def _fill(
        self,
        painter: QPainter,
        span: tuple[int, int],
        left: float,
        y: float,
        token: Token,
        opacity: float = 1,
    ) -> None:
        start, end = max(0, span[0]), span[1]
        if self._layout.columns:
            end = min(end, self._layout.columns)
        if end > start:
            colour = theme().colour(token)
            colour.setAlphaF(opacity)
            box = QRectF(left + start * self._char_px, y, (end - start) * self._char_px, self._row_px)
            painter.fillRect(box, colour)

    # -- keyboard and mouse

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        key, shift = event.key(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.matches(QKeySequence.StandardKey.Copy):
            copy_text(self.selected_text())
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self._select(Place(self._store.first, 0), self._end_place())
        elif key in _MOVES and shift:
            self._extend(_MOVES[Qt.Key(key)])
        elif key == Qt.Key.Key_End:
            self.set_follow(True)
        elif key == Qt.Key.Key_Home:
            self._scroll_to(0)
        elif key in _MOVES:
            self._scroll_to(self._down().value() + _MOVES[Qt.Key(key)])
        elif key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            step = self._rows_shown() - 1
            self._scroll_to(self._down().value() + (step if key == Qt.Key.Key_PageDown else -step))
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() is Qt.MouseButton.LeftButton:
            place = self._place_at(event.position())
            self._select(place, place)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton and self._anchor is not None:
            y = event.position().y()
            if y < 0 or y > self._height():
                self._scroll_to(self._down().value() + (1 if y > 0 else -1))
            self._select(self._anchor, self._place_at(event.position()))

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self._store.end > self._store.first:
            line = self._place_at(event.position()).line
            self._select(Place(line, 0), Place(line, len(self._store.line(line))))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._lay_out_anew()

    def viewportEvent(self, event: QEvent | None) -> bool:
        if event is not None and event.type() is QEvent.Type.Wheel:
            handled = super().viewportEvent(event)
            self._on_scroll()
            return handled
        return super().viewportEvent(event)

    # -- inside

    def _lay_out_anew(self) -> None:
        place = self._layout.place_of_row(self._down().value())
        self._layout.set_columns(max(20, self._columns_shown()) if self._wraps else 0)
        self._set_ranges()
        row = self._down().maximum() if self.follows else self._layout.row_of_line(place.line)
        self._down().setValue(row)
        self._paint_all()

    def _set_ranges(self) -> None:
        self._down().setPageStep(self._rows_shown())
        self._down().setRange(0, max(0, self._layout.rows - self._rows_shown()))
        wide = 0 if self._wraps else (self._store.longest + 2) * self._char_px + 2 * GRID_PX
        self._across().setPageStep(self._width())
        self._across().setRange(0, max(0, round(wide) - self._width()))
        self._across().setSingleStep(round(4 * self._char_px))

    def _on_scroll(self, *_: object) -> None:
        at_end = self._down().sliderPosition() >= self._down().maximum()
        if at_end != self.follows:
            self.follows = at_end
            self.followed.emit(at_end)

    def _scroll_to(self, row: int) -> None:
        self._down().setValue(row)
        self._on_scroll()

    def _select(self, anchor: Place, caret: Place) -> None:
        self._anchor, self._caret = anchor, caret
        self._paint_all()

    def _extend(self, lines: int) -> None:
        if self._anchor is None:
            start = Place(self.top_line(), 0)
            self._anchor = self._caret = start
        line = min(max(self._caret.line + lines, self._store.first), self._store.end)
        self._select(self._anchor, Place(line, 0) if line < self._store.end else self._end_place())
        row = self._layout.row_of(self._caret)
        if not self._down().value() <= row < self._down().value() + self._rows_shown():
            self._scroll_to(self._down().value() + lines)

    def _end_place(self) -> Place:
        last = self._store.end - 1
        return Place(last, len(self._store.line(last))) if last >= self._store.first else Place(0, 0)

    def _place_at(self, point: QPointF) -> Place:
        row = self._down().value() + int((point.y() - HALF_PX) // self._row_px)
        if row >= self._layout.rows:
            return self._end_place()
        place = self._layout.place_of_row(max(0, row))
        column = round((point.x() - GRID_PX + self._across().value()) / self._char_px)
        if self._layout.columns:
            column = min(column, self._layout.columns)
        return Place(place.line, max(0, min(place.column + column, len(self._store.line(place.line)))))

    def _paint_all(self) -> None:
        port = self.viewport()
        if port is not None:
            port.update()

    def _rows_shown(self) -> int:
        return max(1, (self._height() - HALF_PX) // self._row_px)

    def _columns_shown(self) -> int:
        return int((self._width() - 2 * GRID_PX) / self._char_px)

    def _width(self) -> int:
        port = self.viewport()
        return 0 if port is None else port.width()

    def _height(self) -> int:
        port = self.viewport()
        return 0 if port is None else port.height()

    def _across(self) -> QScrollBar:
        bar = self.horizontalScrollBar()
        assert bar is not None
        return bar

    def _down(self) -> QScrollBar:
        bar = self.verticalScrollBar()
        assert bar is not None
        return bar
