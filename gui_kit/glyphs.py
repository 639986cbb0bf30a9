"""The icon font: characters by name, drawn in a given colour.

The font and its names are those that come with qtawesome (Material Design Icons). Its code is not run: it
loads every font that it has, which costs a fifth of the second in which a window has to be there.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PyQt6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFont, QFontDatabase, QPainter, QPixmap

from gui_kit.tokens import DARK, ICON_PX, LIGHT, Token

_FONT = "materialdesignicons6-webfont-6.9.96.ttf"
_NAMES = "materialdesignicons6-webfont-charmap-6.9.96.json"
_FILL = 0.96
"""How much of the square a glyph takes."""
_SHEET_GLYPHS: tuple[tuple[str, Token], ...] = (
    ("check", "on_fill"),
    ("circle-medium", "on_fill"),
    ("chevron-down", "muted"),
    ("chevron-up", "muted"),
)
"""Those that the style sheet names as ``glyph:NAME-light.png`` and ``glyph:NAME-dark.png``."""


def character(name: str) -> str:
    """The character of an icon.

    :raises KeyError: the font has none of that name.
    """
    return chr(int(_codes()[name], 16))


def draw(painter: QPainter, rect: QRect, glyph: str, colour: QColor) -> None:
    """Draw a character in the middle of ``rect``, as large as fits."""
    font = QFont(_family())
    font.setPixelSize(max(1, round(min(rect.width(), rect.height()) * _FILL)))
    painter.save()
    painter.setPen(colour)
    painter.setFont(font)
    painter.drawText(QRectF(rect), Qt.AlignmentFlag.AlignCenter, glyph)
    painter.restore()


def picture(glyph: str, colour: QColor, size: QSize) -> QPixmap:
    """A picture of a character on nothing."""
    made = QPixmap(size)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    draw(painter, QRect(QPoint(0, 0), size), glyph, colour)
    painter.end()
    return made


def write_sheet_glyphs(folder: Path) -> None:
    """Write the pictures that the style sheet names, which can take them only from files, for screens of
    single and double density."""
    for name, token in _SHEET_GLYPHS:
        for tokens in (LIGHT, DARK):
            for scale, mark in ((1, ""), (2, "@2x")):
                shade = "dark" if tokens.dark else "light"
                size = QSize(ICON_PX * scale, ICON_PX * scale)
                made = picture(character(name), QColor(tokens[token]), size)
                made.save(str(folder / f"{name}-{shade}{mark}.png"))


@cache
def _codes() -> dict[str, str]:
    found: dict[str, str] = json.loads((_folder() / _NAMES).read_text())
    return found


@cache
def _family() -> str:
    number = QFontDatabase.addApplicationFont(str(_folder() / _FONT))
    return QFontDatabase.applicationFontFamilies(number)[0]


def _folder() -> Path:
    spec = find_spec("qtawesome")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("qtawesome")
    return Path(spec.origin).parent / "fonts"
