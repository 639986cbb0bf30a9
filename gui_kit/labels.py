"""Everything that shows text: plain text only, cleaned, with tabular digits."""

from __future__ import annotations

from typing import Literal

from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QFontMetrics, QGuiApplication, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStyleOption,
    QStylePainter,
    QWidget,
)

from gui_kit.icons import icon_pixmap
from gui_kit.look import set_look
from gui_kit.states import Look
from gui_kit.theme import mono_font, theme
from gui_kit.tokens import GRID_PX, HALF_PX, ICON_PX, SMALL_PX, Token
from gui_kit.words import breakable, clean, tooltip, tr
from p2p.core.money import Asset, format_amount

LabelLook = Literal["body", "muted", "small", "title", "heading", "display", "problem"]
COPIED_MS = 1500


class Label(QLabel):
    """A text. Whatever it is given is shown as it is, never read as HTML, and cannot harm.

    ``wrap``: on to the next line where it doesn't fit; ``selectable``: with mouse and keyboard.
    """

    def __init__(
        self,
        text: str = "",
        look: LabelLook = "body",
        *,
        wrap: bool = False,
        selectable: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(wrap)
        if wrap:
            self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        if selectable:
            self.setTextInteractionFlags(
                Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
            )
        set_look(self, look=look)
        self.setText(text)

    def setText(self, text: str | None) -> None:
        cleaned = clean(text or "")
        copied = self.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse
        shown = breakable(cleaned) if self.wordWrap() and not copied else cleaned
        if shown != self.text():
            super().setText(shown)
            self.setAccessibleName(cleaned)

    def set_token(self, token: Token) -> None:
        """Its colour, for a text that says what the colour says."""
        set_look(self, token=token)


class Elided(Label):
    """One line that is cut with an ellipsis where there is no room; the whole is in the tooltip."""

    def __init__(
        self,
        text: str = "",
        look: LabelLook = "body",
        *,
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
        parent: QWidget | None = None,
    ) -> None:
        self._mode = mode
        super().__init__(text, look, parent=parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        return QSize(self.fontMetrics().horizontalAdvance("MMMM…"), super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QStylePainter(self)
        shown = self.fontMetrics().elidedText(self.text(), self._mode, self.contentsRect().width())
        style, option = self.style(), QStyleOption()
        option.initFrom(self)
        if style is not None:
            flags = int(self.alignment())
            style.drawItemText(painter, self.contentsRect(), flags, option.palette, self.isEnabled(), shown,
                               self.foregroundRole())  # fmt: skip

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._explain()

    def setText(self, text: str | None) -> None:
        super().setText(text)
        self._explain()

    def _explain(self) -> None:
        fits = QFontMetrics(self.font()).horizontalAdvance(self.text()) <= self.width()
        self.setToolTip("" if fits else tooltip(self.text()))


class Money(Label):
    """An amount to the last unit, aligned right, so that a column of them reads like a bill; ``alone``: it
    stands by itself among other values, on the left as they do."""

    def __init__(
        self, units: int = 0, asset: Asset = Asset.USDC, look: LabelLook = "body", *, alone: bool = False
    ) -> None:
        super().__init__("", look, selectable=True)
        side = Qt.AlignmentFlag.AlignLeft if alone else Qt.AlignmentFlag.AlignRight
        self.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        self.set_amount(units, asset)

    def set_amount(self, units: int, asset: Asset) -> None:
        """Show base units of an asset."""
        self.setText(format_amount(units, asset))

    def clear_amount(self) -> None:
        """Show that the amount is not known, which is not the same as nothing."""
        self.setText("–")


class IconLabel(QLabel):
    """An icon that follows the theme. It is beside a word, so it says nothing by itself."""

    def __init__(self, name: str, token: Token = "text", size_px: int = ICON_PX) -> None:
        super().__init__()
        self._name, self._token, self._size_px = name, token, size_px
        self.setFixedSize(size_px, size_px)
        theme().changed.connect(self._draw)
        self._draw()

    def set_icon(self, name: str, token: Token) -> None:
        """Another icon."""
        if (name, token) != (self._name, self._token):
            self._name, self._token = name, token
            self._draw()

    def _draw(self) -> None:
        self.setPixmap(icon_pixmap(self._name, self._token, self._size_px, self.devicePixelRatioF()))

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() is QEvent.Type.DevicePixelRatioChange:
            self._draw()


class StateLabel(QWidget):
    """Icon and word of a state, in its colour: :mod:`gui_kit.states` has them all."""

    def __init__(self, look: Look | None = None) -> None:
        super().__init__()
        self._icon, self._word = IconLabel("circle", "muted"), Label()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID_PX)
        row.addWidget(self._icon)
        row.addWidget(self._word, 1)
        if look is not None:
            self.set_look(look)

    def set_look(self, look: Look) -> None:
        """Show a state."""
        self._icon.set_icon(look.icon, look.token)
        self._word.setText(look.word)
        self._word.set_token(look.token)
        self.setAccessibleName(clean(look.word))

    def text(self) -> str:
        """The word shown."""
        return self._word.text()


class Badge(QFrame):
    """A small mark such as *Verified*."""

    def __init__(self, look: Look | None = None) -> None:
        super().__init__()
        set_look(self, look="badge")
        self._state = StateLabel(look)
        row = QHBoxLayout(self)
        row.setContentsMargins(GRID_PX, HALF_PX // 2, GRID_PX, HALF_PX // 2)
        row.addWidget(self._state)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def set_look(self, look: Look) -> None:
        """Show another."""
        self._state.set_look(look)
        self.setAccessibleName(clean(look.word))


class Hash(Elided):
    """An address, id or signature in the fixed font, cut in its middle: beginning and end are what people
    compare."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text, mode=Qt.TextElideMode.ElideMiddle)
        self.setFont(mono_font(SMALL_PX + 1))


def copy_text(text: str) -> str:
    """Put a text on the clipboard; returns the word that says so."""
    clipboard = QGuiApplication.clipboard()
    if clipboard is None:
        return tr("This system has no clipboard")
    clipboard.setText(text)
    return tr("Copied")
