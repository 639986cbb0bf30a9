"""Icons by name, in the colours of the theme: an icon that was made stays right when the theme changes."""

from __future__ import annotations

from PyQt6.QtCore import QRect, QSize
from PyQt6.QtGui import QIcon, QIconEngine, QPainter, QPixmap

from gui_kit import glyphs
from gui_kit.theme import theme
from gui_kit.tokens import ICON_PX, Token


class _Glyph(QIconEngine):
    """Draws one character in the colour that its token has when it is drawn; ``on``: of a checked button."""

    def __init__(self, character: str, token: Token, on: Token) -> None:
        super().__init__()
        self._character = character
        self._token = token
        self._on = on

    def paint(self, painter: QPainter | None, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        if painter is not None:
            glyphs.draw(painter, rect, self._character, theme().colour(self._token_of(mode, state)))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        return glyphs.picture(self._character, theme().colour(self._token_of(mode, state)), size)

    def clone(self) -> QIconEngine:
        return _Glyph(self._character, self._token, self._on)

    def _token_of(self, mode: QIcon.Mode, state: QIcon.State) -> Token:
        if mode is QIcon.Mode.Disabled:
            return "muted"
        return self._on if state is QIcon.State.On else self._token


def icon(name: str, token: Token = "text", on: Token | None = None) -> QIcon:
    """The icon ``name`` of Material Design Icons; ``on``: its colour in a button that is checked.

    :raises KeyError: the font has none of that name.
    """
    return QIcon(_Glyph(glyphs.character(name), token, on or token))


def icon_pixmap(name: str, token: Token = "text", size_px: int = ICON_PX, ratio: float = 1.0) -> QPixmap:
    """The icon as it looks now, for what cannot take a :class:`QIcon`."""
    return icon(name, token).pixmap(QSize(size_px, size_px), ratio)
