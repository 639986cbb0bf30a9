"""Text from strangers, made harmless before a terminal or a window sees it.

A job's output and its file names come from whoever wrote the script, and a node's name from whoever
runs it. Terminal escape sequences can move the cursor, set the title or answer questions into the
reader's shell; bidirectional and invisible characters make text read as what it is not; stacked
combining marks paint over neighbouring lines. None of it survives :func:`clean_line`.
"""

from __future__ import annotations

import re
import unicodedata

COMBINING_MARKS_MAX = 4
"""Combining marks kept after one another; no written language needs more."""

ELLIPSIS = "…"

_FIRST_MARK = "\u0300"
"""No character before this one is a combining mark."""

_INTRODUCERS = "\x07\x1b\x90\x98\x9c\x9d\x9e\x9f"
# Strings to the terminal (OSC, DCS, SOS, PM, APC) up to their end, control sequences (CSI), and the
# remaining two- and three-byte escapes; each in its 7-bit and its 8-bit form (ECMA-48, 5.6 and 8.3).
_ESCAPES = re.compile(
    rf"(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^{_INTRODUCERS}]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]+[0-~]"
    r"|\x1b[0-~]"
)
_INVISIBLE_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5")


class _Table(dict[int, int | str | None]):
    """What each character becomes; filled as characters are met."""

    def __missing__(self, code: int) -> int | str | None:
        value = self[code] = _replacement(chr(code))
        return value


def _replacement(character: str) -> int | str | None:
    category = unicodedata.category(character)
    if category in ("Cc", "Cf") or character in _INVISIBLE_LETTERS:
        return None
    if category in ("Zl", "Zp", "Zs"):
        return " "
    if category in ("Cs", "Cn", "Co"):
        return "\ufffd"
    return ord(character)


_TABLE = _Table({ord("\t"): ord("\t")})


def clean_line(text: str, max_chars: int) -> str:
    """One line of ``text`` that is safe to print.

    Of a line redrawn with carriage returns the last drawing is kept. Tabs stay, line ends do not.
    A longer text is cut and ends in an ellipsis; the result never exceeds ``max_chars``.
    """
    if "\r" in text:
        text = _last_drawing(text)
    if not (text.isascii() and text.isprintable()):
        text = _ESCAPES.sub("", text).translate(_TABLE)
        if not text.isascii():
            text = _limit_marks(text)
    if len(text) > max_chars:
        return text[: max(0, max_chars - 1)] + ELLIPSIS[:max_chars]
    return text


def clean_name(text: str, max_chars: int) -> str:
    """``text`` as a name or label: like :func:`clean_line`, with runs of white space as one space."""
    joined = " ".join(text.split())
    return clean_line(" ".join(clean_line(joined, len(joined)).split()), max_chars)


def clean_bytes(data: bytes, max_chars: int) -> str:
    """:func:`clean_line` of bytes that should be UTF-8; what is not becomes U+FFFD."""
    return clean_line(data.decode("utf-8", "replace"), max_chars)


def is_clean(text: str) -> bool:
    """Whether ``text`` would come through :func:`clean_line` unchanged but for its length."""
    return clean_line(text, len(text)) == text


def _last_drawing(text: str) -> str:
    for part in reversed(text.rstrip("\r\n").split("\r")):
        if part.strip():
            return part
    return ""


def _limit_marks(text: str) -> str:
    if max(text, default="") < _FIRST_MARK:
        return text
    kept: list[str] = []
    run = 0
    for character in text:
        run = run + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if run <= COMBINING_MARKS_MAX:
            kept.append(character)
    return "".join(kept)
