"""What a window remembers of how a person set it up: theme, size. Nothing that matters to a job or to
money."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QByteArray, QSettings
from PyQt6.QtWidgets import QMainWindow

from gui_kit.theme import Mode


class Preferences:
    """Kept in a file of the window's own."""

    def __init__(self, path: Path) -> None:
        self._settings = QSettings(str(path), QSettings.Format.IniFormat)

    @property
    def mode(self) -> Mode:
        """Light, dark, or as the system has it."""
        value = str(self._settings.value("theme", Mode.SYSTEM.value))
        return next((mode for mode in Mode if mode.value == value), Mode.SYSTEM)

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._settings.setValue("theme", mode.value)

    def get(self, name: str, default: str = "") -> str:
        """A text that a page remembers."""
        return str(self._settings.value(f"page/{name}", default))

    def set(self, name: str, value: str) -> None:
        """Remember a text for a page."""
        self._settings.setValue(f"page/{name}", value)

    def restore_window(self, window: QMainWindow) -> None:
        """Put a window where it was."""
        geometry = self._settings.value("geometry")
        if isinstance(geometry, QByteArray):
            window.restoreGeometry(geometry)

    def save_window(self, window: QMainWindow) -> None:
        """Remember where a window is."""
        self._settings.setValue("geometry", window.saveGeometry())
