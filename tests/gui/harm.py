"""Text from a stranger wherever a window may show some, and what of it would act instead of being read."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Any

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QLabel,
    QLineEdit,
    QTableView,
    QTabWidget,
    QWidget,
)

HOSTILE = (
    "\x1b]0;title\x07\x1b[2J\x9b31m<img src='http://example.org/x.png'><b>bold</b> & \u202egpj.exe\u2066"
    "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\r\n\x00\x07\ud800" + "long" * 2000
)
FOREIGN = frozenset(
    ("address", "answer", "by", "data_url", "detail", "failure_words", "file", "found", "fix", "gpu_class",
     "gpu_type", "hint", "host", "job_name", "key", "ledger_words", "line", "lines", "login_words", "meaning",
     "name", "needed", "out", "path", "peer_id", "node_peer_id", "reason", "role", "script", "signature",
     "what", "why", "words")
)  # fmt: skip
"""Names of fields whose text somebody else may have written. The others are ours: numbers, states, times."""
SHOWN_MAX_CHARS = 5000


def hostile(answer: Any, *, is_foreign: bool = False) -> Any:
    """The answer of an agent with hostile text in every field that could have some."""
    if isinstance(answer, dict):
        return {name: hostile(value, is_foreign=name in FOREIGN) for name, value in answer.items()}
    if isinstance(answer, list):
        return [hostile(each, is_foreign=is_foreign) for each in answer]
    return HOSTILE if is_foreign and isinstance(answer, str) else answer


def acting(window: QWidget) -> list[str]:
    """What is shown, or read out, and would be more than text."""
    found = []
    for widget in (window, *window.findChildren(QWidget)):
        if (
            isinstance(widget, QLabel)
            and widget.text()
            and widget.textFormat() is not Qt.TextFormat.PlainText
        ):
            found.append(f"a label that reads HTML: {widget.text()[:60]!r}")
        for where, text in _texts(widget):
            found += [f"{type(widget).__name__} {where}: {problem}" for problem in _problems(text)]
    return found


def _problems(text: str) -> Iterator[str]:
    bad = sorted({c for c in text if not c.isprintable() and c not in "\n\t\u200b"})
    if bad:
        yield f"{bad} in {text[:60]!r}"
    if len(text) > SHOWN_MAX_CHARS:
        yield f"{len(text)} characters of {text[:60]!r}"


def _texts(widget: QWidget) -> Iterator[tuple[str, str]]:
    yield "title", widget.windowTitle()
    yield "name", widget.accessibleName()
    yield "description", widget.accessibleDescription()
    tip = widget.toolTip()
    yield "tooltip", unescape(tip)
    if tip.startswith("<") and "<" in tip.removeprefix("<qt>").removesuffix("</qt>"):
        yield "tooltip that reads HTML", "\0"
    match widget:
        case QLabel() | QAbstractButton() | QLineEdit():
            yield "text", widget.text()
        case QComboBox():
            yield from (("item", widget.itemText(at)) for at in range(widget.count()))
        case QTabWidget():
            yield from (("tab", widget.tabText(at)) for at in range(widget.count()))
        case QTableView():
            yield from _cells(widget)


def _cells(table: QTableView) -> Iterator[tuple[str, str]]:
    model = table.model()
    assert model is not None
    for at in range(model.rowCount()):
        for column in range(model.columnCount()):
            index = model.index(at, column)
            yield f"cell {at}/{column}", str(index.data() or "")
            yield (
                f"tooltip of cell {at}/{column}",
                unescape(str(index.data(Qt.ItemDataRole.ToolTipRole) or "")),
            )
