"""The look in force: light, dark, or as the system has it; switched without restart.

``theme().tokens`` are the colours now; what paints itself connects ``theme().changed`` to its ``update``.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from pathlib import Path

from PyQt6.QtCore import QDir, QObject, Qt, QTemporaryDir, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PyQt6.QtWidgets import QApplication

from gui_kit.glyphs import write_sheet_glyphs
from gui_kit.stylesheet import stylesheet
from gui_kit.tokens import BODY_PX, DARK, FONTS, LIGHT, MONO_FONTS, Token, Tokens

_ROLES: tuple[tuple[QPalette.ColorRole, Token], ...] = (
    (QPalette.ColorRole.Window, "window"),
    (QPalette.ColorRole.WindowText, "text"),
    (QPalette.ColorRole.Base, "surface"),
    (QPalette.ColorRole.AlternateBase, "raised"),
    (QPalette.ColorRole.Text, "text"),
    (QPalette.ColorRole.PlaceholderText, "muted"),
    (QPalette.ColorRole.Button, "raised"),
    (QPalette.ColorRole.ButtonText, "text"),
    (QPalette.ColorRole.BrightText, "danger"),
    (QPalette.ColorRole.Light, "surface"),
    (QPalette.ColorRole.Midlight, "raised"),
    (QPalette.ColorRole.Mid, "border"),
    (QPalette.ColorRole.Dark, "border"),
    (QPalette.ColorRole.Highlight, "accent"),
    (QPalette.ColorRole.HighlightedText, "on_fill"),
    (QPalette.ColorRole.Accent, "accent"),
    (QPalette.ColorRole.Link, "accent"),
    (QPalette.ColorRole.LinkVisited, "accent"),
    (QPalette.ColorRole.ToolTipBase, "raised"),
    (QPalette.ColorRole.ToolTipText, "text"),
)
_DISABLED = (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText)


class Mode(Enum):
    """What the person chose."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Theme(QObject):
    """``changed`` comes after palette and style sheet are in force."""

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.mode = Mode.SYSTEM
        self.tokens: Tokens = LIGHT
        self._applied = False
        self._pictures = QTemporaryDir()

    def install(self, app: QApplication, mode: Mode = Mode.SYSTEM) -> None:
        """Take over the look of the application; once, before its first window."""
        app.setStyle("Fusion")
        app.setFont(text_font())
        write_sheet_glyphs(Path(self._pictures.path()))
        QDir.setSearchPaths("glyph", [self._pictures.path()])
        if (hints := QGuiApplication.styleHints()) is not None:
            hints.colorSchemeChanged.connect(self._on_system_change)
        self.set_mode(mode)

    def set_mode(self, mode: Mode) -> None:
        """Choose; takes effect at once."""
        self.mode = mode
        self._apply()

    def colour(self, token: Token) -> QColor:
        """The colour that a token has now."""
        return QColor(self.tokens[token])

    def _on_system_change(self) -> None:
        if self.mode is Mode.SYSTEM:
            self._apply()

    def _apply(self) -> None:
        tokens = DARK if self._wants_dark() else LIGHT
        if self._applied and tokens is self.tokens:
            return
        self.tokens, self._applied = tokens, True
        QApplication.setPalette(palette(tokens))
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.setStyleSheet(stylesheet(tokens))
        self.changed.emit()

    def _wants_dark(self) -> bool:
        return system_is_dark() if self.mode is Mode.SYSTEM else self.mode is Mode.DARK


def system_is_dark() -> bool:
    """Whether the desktop is set to dark; one that does not say counts as light."""
    hints = QGuiApplication.styleHints()
    return hints is not None and hints.colorScheme() is Qt.ColorScheme.Dark


@cache
def theme() -> Theme:
    """The application's one theme."""
    return Theme()


def palette(tokens: Tokens) -> QPalette:
    """The same colours for what no style sheet reaches: native dialogs, plots, text that Qt paints itself."""
    made = QPalette()
    for role, token in _ROLES:
        made.setColor(role, QColor(tokens[token]))
    for role in _DISABLED:
        made.setColor(QPalette.ColorGroup.Disabled, role, QColor(tokens.muted))
    return made


def text_font(size_px: int = BODY_PX) -> QFont:
    """The font of text, with digits of equal width so that numbers don't jump while they change."""
    return _font(FONTS, QFontDatabase.SystemFont.GeneralFont, size_px)


def mono_font(size_px: int = BODY_PX - 1) -> QFont:
    """The font of logs, ids and code."""
    return _font(MONO_FONTS, QFontDatabase.SystemFont.FixedFont, size_px)


@cache
def _family(wanted: tuple[str, ...], fallback: QFontDatabase.SystemFont) -> str:
    present = set(QFontDatabase.families())
    system = QFontDatabase.systemFont(fallback).family()
    return next((name for name in wanted if name in present), system)


def _font(wanted: tuple[str, ...], fallback: QFontDatabase.SystemFont, size_px: int) -> QFont:
    font = QFont(_family(wanted, fallback))
    font.setPixelSize(size_px)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font
