"""A QR code, such as of the address that a deposit goes to."""

from __future__ import annotations

import segno
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from gui_kit.words import tr

_QUIET_MODULES = 4  # ISO/IEC 18004, 6.3.8: an empty margin, without which it cannot be read
_MODULE_PX = 5


class QrCode(QWidget):
    """Always dark on white, whatever the theme: many readers see nothing else."""

    def __init__(self, text: str = "", name: str = "") -> None:
        super().__init__()
        self._rows: list[list[bool]] = []
        self.setAccessibleName(name or tr("QR code"))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        if text:
            self.set_text(text)

    def set_text(self, text: str) -> None:
        """Show another text, of up to about 1,000 characters."""
        made = segno.make(text, micro=False, error="m")
        self._rows = [[bool(module) for module in line] for line in made.matrix]
        self.setAccessibleDescription(text)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        side = (len(self._rows) + 2 * _QUIET_MODULES) * _MODULE_PX
        return QSize(side, side)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.white)
        if not self._rows:
            return
        size = min(self.width(), self.height()) / (len(self._rows) + 2 * _QUIET_MODULES)
        for y, line in enumerate(self._rows):
            for x, dark in enumerate(line):
                if dark:
                    at = QRectF((x + _QUIET_MODULES) * size, (y + _QUIET_MODULES) * size, size, size)
                    painter.fillRect(at, Qt.GlobalColor.black)
