"""Colours, spacing and type sizes as data. Nothing else in the windows names a colour or a size.

The values of :data:`LIGHT` and :data:`DARK` are the product's; ``tests/gui`` computes the WCAG contrast of
every pair in :data:`TEXT_PAIRS` and :data:`SHAPE_PAIRS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Token = Literal[
    "window",
    "surface",
    "raised",
    "text",
    "muted",
    "accent",
    "success",
    "warning",
    "danger",
    "border",
    "on_fill",
]
"""A colour by its meaning."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One palette. ``on_fill``: text on a button that is filled with accent or danger."""

    dark: bool
    window: str
    surface: str
    raised: str
    text: str
    muted: str
    accent: str
    success: str
    warning: str
    danger: str
    border: str
    on_fill: str

    def __getitem__(self, token: Token) -> str:
        value: str = getattr(self, token)
        return value


LIGHT = Tokens(
    dark=False,
    window="#F6F7F9",
    surface="#FFFFFF",
    raised="#EEF0F3",
    text="#1A1D23",
    muted="#59616E",
    accent="#2F5BEA",
    success="#14713A",
    warning="#8A5A00",
    danger="#C0292B",
    border="#7C8492",
    on_fill="#FFFFFF",
)
DARK = Tokens(
    dark=True,
    window="#14161A",
    surface="#1C1F25",
    raised="#262A32",
    text="#E8EAEE",
    muted="#A3ABB8",
    accent="#8AA4FF",
    success="#4CC38A",
    warning="#E5B454",
    danger="#FF7B72",
    border="#6B7482",
    on_fill="#14161A",
)

_INKS: tuple[Token, ...] = ("text", "muted", "accent", "success", "warning", "danger")
_GROUNDS: tuple[Token, ...] = ("window", "surface", "raised")

TEXT_PAIRS: tuple[tuple[Token, Token], ...] = (
    *((ink, ground) for ink in _INKS for ground in _GROUNDS),
    ("on_fill", "accent"),
    ("on_fill", "danger"),
    ("on_fill", "warning"),
)
"""Every (text, background) that is used: 4.5 to 1 at least (WCAG 2.2, 1.4.3)."""

SHAPE_PAIRS: tuple[tuple[Token, Token], ...] = (
    ("border", "surface"),
    ("border", "window"),
    ("accent", "surface"),
    ("accent", "window"),
    ("accent", "raised"),
)
"""Every (outline, background) that one must see to use a control: 3 to 1 at least (WCAG 2.2, 1.4.11)."""


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two ``#RRGGBB`` colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# -- spacing, on a grid of 8 (4 inside of a control)
HALF_PX = 4
GRID_PX = 8
MARGIN_PX = 16
SECTION_PX = 24
CONTROL_HEIGHT_PX = 32
ROW_HEIGHT_PX = 40
RAIL_WIDTH_PX = 200
RADIUS_PX = 6
ICON_PX = 18
FORM_WIDTH_PX = 640
"""No line of a form is wider: long lines are hard to read."""

# -- type
SMALL_PX = 12
BODY_PX = 14
TITLE_PX = 16
HEADING_PX = 22
DISPLAY_PX = 30

FONTS = ("Inter", "Segoe UI", "SF Pro Text", "Noto Sans", "DejaVu Sans")
"""For text, best first; the first that the system has is taken."""
MONO_FONTS = ("JetBrains Mono", "Cascadia Mono", "SF Mono", "Noto Sans Mono", "DejaVu Sans Mono")
"""For logs, ids and code."""
