"""What a person with a keyboard, a screen reader or large text would trip over in a window, as a list of
words.

Tests of every page call :func:`problems`; an empty list is a pass.
"""

from __future__ import annotations

from collections.abc import Iterator

from PyQt6.QtCore import QPoint, QRect, QSize, Qt
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QApplication,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QScrollBar,
    QTabBar,
    QWidget,
)

from gui_kit.labels import Elided
from gui_kit.tokens import contrast

TEXT_CONTRAST_MIN = 4.5
_TABS_MAX = 20_000  # labels are in that chain, too
_LAYOUT_ROUNDS = 4  # a change goes up one level of boxes in each


def problems(window: QWidget) -> list[str]:
    """Everything that is wrong with what ``window`` shows now. It has to be the active window."""
    for _ in range(_LAYOUT_ROUNDS):
        QApplication.processEvents()  # what has just been shown has its place only then
    return [*unnamed(window), *unreachable(window), *clipped(window), *pale(window)]


def unnamed(window: QWidget) -> list[str]:
    """What takes the focus has to say what it is."""
    return [f"no accessible name: {_path(widget)}" for widget in focusable(window) if not _name(widget)]


def unreachable(window: QWidget) -> list[str]:
    """What takes the focus has to be reached by Tab, or by arrows from its neighbour as in a group of radio
    buttons."""
    reached = set(tab_order(window))
    return [f"not reached by Tab: {_path(widget)}" for widget in focusable(window) if widget not in reached]


def clipped(window: QWidget) -> list[str]:
    """No text is cut off, unless with an ellipsis and a tooltip."""
    found = []
    for widget in _visible(window):
        if isinstance(widget, Elided) or not isinstance(widget, QLabel | QAbstractButton):
            continue
        needed = widget.sizeHint()
        wraps = isinstance(widget, QLabel) and widget.wordWrap()
        height = widget.heightForWidth(widget.width()) if wraps else needed.height()
        if widget.text() and ((not wraps and widget.width() < needed.width()) or widget.height() < height):
            found.append(f"text is cut: {_path(widget)} {widget.text()[:60]!r}")
    return found


def pale(window: QWidget) -> list[str]:
    """Every label stands out from what is behind it (WCAG 2.2, 1.4.3)."""
    found = []
    for widget in _visible(window):
        if isinstance(widget, QLabel) and widget.text() and widget.isEnabled():
            ink = widget.palette().color(QPalette.ColorRole.WindowText).name()
            ratio = contrast(ink, _ground(widget))
            if ratio < TEXT_CONTRAST_MIN:
                found.append(f"contrast {ratio:.1f}: {_path(widget)} {widget.text()[:60]!r}")
    return found


def focusable(window: QWidget) -> list[QWidget]:
    """What takes the focus by Tab."""
    return [
        widget
        for widget in _visible(window)
        if widget.isEnabled()
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.focusProxy() is None
    ]


def tab_order(window: QWidget) -> list[QWidget]:
    """The widgets that Tab comes by, in its order, from where the focus is now."""
    order: list[QWidget] = []
    at: QWidget | None = window.nextInFocusChain()
    wanted = set(focusable(window))
    for _ in range(_TABS_MAX):
        if at is None or at is window:
            break
        if at in wanted:
            order.append(at)
        at = at.nextInFocusChain()
    return order


def _visible(window: QWidget) -> Iterator[QWidget]:
    inner = (QScrollBar, QHeaderView)
    for widget in window.findChildren(QWidget):
        inside = isinstance(widget.parent(), QLineEdit | QTabBar | QComboBox | QAbstractScrollArea)
        if widget.isVisibleTo(window) and widget.isVisible() and not isinstance(widget, inner) and not inside:
            yield widget


def _name(widget: QWidget) -> str:
    if widget.accessibleName():
        return widget.accessibleName()
    return widget.text() if isinstance(widget, QAbstractButton | QLabel) else ""


def _ground(widget: QWidget) -> str:
    """The colour behind a label, as painted: of the first thing behind its corner that is not transparent."""
    behind: QWidget | None = widget
    while behind is not None:
        at = QRect(widget.mapTo(behind, QPoint(0, 0)), QSize(1, 1))
        pixel = behind.grab(at).toImage().pixelColor(0, 0)
        if pixel.alpha() == 255:
            return pixel.name()
        behind = behind.parentWidget()
    return widget.palette().color(QPalette.ColorRole.Window).name()


def _path(widget: QWidget) -> str:
    names: list[str] = []
    at: QWidget | None = widget
    while at is not None and len(names) < 4:
        names.append(at.objectName() or type(at).__name__)
        at = at.parentWidget()
    return "/".join(reversed(names))
