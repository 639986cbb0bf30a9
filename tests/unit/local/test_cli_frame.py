"""What every CLI prints: errors in three parts, whole tables in pipes, cleaned text, exit codes."""

from __future__ import annotations

import io
import json
import sys

import click
import pytest
import trio
from rich.console import Console

from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.local import cli


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    file = io.StringIO()
    monkeypatch.setattr(cli, "out", Console(file=file, width=40))
    return file


def test_a_table_in_a_pipe_is_never_cut(printed: io.StringIO) -> None:
    cli.print_table(("NAME", ">VALUE"), [["n" * 150, 1]], "none")
    assert "n" * 150 in printed.getvalue()


def test_cells_carry_no_escape_codes_and_no_markup(printed: io.StringIO) -> None:
    cli.print_table(("NAME",), [["\x1b[31mred\x1b]0;title\x07 [bold]x[/bold] \u202e"]], "none")
    assert "\x1b" not in printed.getvalue()
    assert "\u202e" not in printed.getvalue()
    assert "[bold]x[/bold]" in printed.getvalue()


def test_an_empty_table_is_a_sentence(printed: io.StringIO) -> None:
    cli.print_table(("NAME",), [], "No jobs yet.")
    assert printed.getvalue() == "No jobs yet.\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x", "What.", "Meaning.", "Hint."), 2),
        (Refused("x", "What.", "Meaning.", "Hint."), 4),
        (EnvironmentFailure("x", "What.", "Meaning.", "Hint."), 3),
    ],
)
def test_an_error_deep_in_a_nursery_keeps_its_parts_and_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail() -> None:
        raise error

    async def body() -> None:
        async with trio.open_nursery() as outer, trio.open_nursery() as inner:
            outer.start_soon(trio.sleep_forever)
            inner.start_soon(fail)

    @click.command()
    def command() -> None:
        cli.run_async(body)

    monkeypatch.setattr(sys, "argv", ["x"])
    monkeypatch.setattr(cli, "err", Console(file=sys.stderr))
    with pytest.raises(SystemExit) as ended:
        cli.main(command, "x")
    assert ended.value.code == code
    assert capsys.readouterr().err.splitlines() == ["error: What.", "  Meaning.", "  Hint."]


def test_a_mistake_of_ours_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def command() -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(sys, "argv", ["x"])
    monkeypatch.setattr(cli, "err", Console(file=sys.stderr))
    with pytest.raises(SystemExit) as ended:
        cli.main(command, "x")
    assert ended.value.code == 1
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert "--debug" in shown


def test_json_carries_no_escape_codes_and_means_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_is_utf8", lambda: True)
    value = {"name": "a\x1b[31m\x7f\x9b2J\u202egnp.\u2028\U000e0041 größe 模型 🦀", "n": [1, None, True]}
    cli.print_json(value)
    shown = capsys.readouterr().out
    assert json.loads(shown) == value
    assert "größe 模型 🦀" in shown
    assert all(character.isprintable() for character in shown.replace("\n", ""))
