"""Where passwords come from."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from p2p.chain.passwords import VARIABLE, Passwords
from p2p.chain.secret import Secret
from p2p.core.errors import UserError


def typed(*answers: str) -> Passwords:
    waiting: Iterator[str] = iter(answers)
    return Passwords({}, prompt=lambda question: next(waiting), is_terminal=lambda: True)


def piped(text: bytes) -> Passwords:
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    return Passwords({VARIABLE: str(reading)}, is_terminal=lambda: False)


def test_a_terminal_is_asked() -> None:
    assert typed("secret words").ask("Password") == Secret("secret words")
    assert typed("secret words", "secret words").ask_new("New password") == Secret("secret words")


def test_a_slip_is_noticed() -> None:
    with pytest.raises(UserError) as caught:
        typed("secret words", "secret wodrs").ask_new("New password")
    assert caught.value.code == "passwords_differ"


def test_a_descriptor_gives_one_line_for_each_question() -> None:
    passwords = piped(b"old one\r\nnew one\n")
    assert passwords.ask("Password") == Secret("old one")
    assert passwords.ask_new("New password") == Secret("new one")
    with pytest.raises(UserError):
        passwords.ask("Password")


@pytest.mark.parametrize("text", [b"", b"\n"])
def test_an_empty_line_is_no_password(text: bytes) -> None:
    with pytest.raises(UserError) as caught:
        piped(text).ask("Password")
    assert caught.value.code == "no_password"


@pytest.mark.parametrize("descriptor", ["", "three", "-1", "987654"])
def test_a_descriptor_that_is_none(descriptor: str) -> None:
    with pytest.raises(UserError):
        Passwords({VARIABLE: descriptor}, is_terminal=lambda: False).ask("Password")


def test_without_terminal_and_descriptor_it_says_what_to_do() -> None:
    with pytest.raises(UserError, match="no terminal") as caught:
        Passwords({}, is_terminal=lambda: False).ask("Password")
    assert VARIABLE in caught.value.hint
