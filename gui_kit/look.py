"""Dynamic properties of the style sheet, set so that the change is seen."""

from __future__ import annotations

from PyQt6.QtWidgets import QWidget


def set_look(widget: QWidget, **properties: str) -> None:
    """Set properties that :mod:`gui_kit.stylesheet` selects by, such as ``look="card"`` or
    ``token="danger"``."""
    changed = False
    for name, value in properties.items():
        if widget.property(name) != value:
            widget.setProperty(name, value)
            changed = True
    style = widget.style()
    if changed and style is not None:
        style.unpolish(widget)
        style.polish(widget)
        widget.update()
