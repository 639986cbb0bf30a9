from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from p2p.core.text import clean_bytes, clean_line, clean_name, is_clean

HOSTILE = [
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b]0;title\x07after", "after"),
    ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
    ('\x1bP$q"p\x1b\\x', "x"),
    ("\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\y", "y"),
    ("\x9b2Jclear \x9d0;t\x9cok", "clear ok"),
    ("\x1b[200~paste\x1b[201~", "paste"),
    ("\x1b(0lqk", "lqk"),
    ("\x1bcreset", "reset"),
    ("\x1b[6n\x1b[c\x1b[>0q", ""),
    ("bell\x07 back\x08space \x00nul \x7fdel", "bell backspace nul del"),
    ("user\u202egpj.exe\u2066x\u2069", "usergpj.exex"),
    ("pay\u200bpal\u2060\ufeff\u00ad\u034f", "paypal"),
    ("a\u2028b\u2029c\u00a0d", "a b c d"),
    ("\U000e0041\U000e0042tag", "tag"),
    ("bad\ud800surrogate", "bad\ufffdsurrogate"),
    ("Z" + "\u0300" * 50, "Z" + "\u0300" * 4),
    ("10%\r20%\r30%\r", "30%"),
    ("kept\ttab\n", "kept\ttab"),
    ("\x1b]unterminated title", "unterminated title"),
    ("\x1b\x1b[[31mnested", "nested"),
]


@pytest.mark.parametrize(("text", "expected"), HOSTILE)
def test_the_corpus_comes_out_harmless(text: str, expected: str) -> None:
    cleaned = clean_line(text, 200)
    assert "\x1b" not in cleaned
    assert cleaned.endswith(expected) or cleaned == expected


_NASTY = "\x1b[]()0;m\x07\x9b\x9d\x90\x9c\\\r\n\u202e\u200b"


@example("\x1b\x1b[31m", 10)
@example("\x9d" * 100, 10)
@given(st.text(st.characters() | st.sampled_from(_NASTY), max_size=400), st.integers(0, 100))
def test_nothing_that_steers_a_terminal_or_hides_survives(text: str, max_chars: int) -> None:
    cleaned = clean_line(text, max_chars)
    assert len(cleaned) <= max_chars
    assert all(
        character == "\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        for character in cleaned
    )
    assert is_clean(cleaned)
    name = clean_name(text, max_chars)
    assert len(name) <= max_chars
    assert "\t" not in name
    assert "  " not in name


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_cleaned(data: bytes) -> None:
    assert is_clean(clean_bytes(data, 300))


def test_ordinary_text_of_any_script_is_left_alone() -> None:
    for text in ("loss 0.25 ████▌ 45%", "größer naïve", "日本語 한국어 العربية हिन्दी ไทย", "emoji 🚀 ok"):
        assert clean_line(text, 100) == text


def test_a_long_line_is_cut_and_says_so() -> None:
    assert clean_line("x" * 50, 10) == "x" * 9 + "…"
    assert clean_line("x" * 10, 10) == "x" * 10
    assert clean_line("xx", 0) == ""
