"""What every CLI shares: errors in three parts, exit codes, tables, JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import click
import trio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from p2p.core.errors import CyxWizError, ExitCode, UserError
from p2p.core.money import Asset
from p2p.core.text import clean_line
from p2p.local.protocol import Json

T = TypeVar("T")

_CELL_MAX_CHARS = 200
_PIPE_WIDTH_CHARS = 10_000

out = Console(highlight=False, soft_wrap=True)
"""Standard output: what was asked for."""
err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error: errors, progress, questions."""


ASSETS = click.Choice([asset.value for asset in Asset])
"""What ``--asset`` takes."""


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--json`` on a read command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON; see docs/cli.md.")(function)


def print_json(value: Json) -> None:
    """One JSON document on standard output; nothing in it, a stranger's name for one, steers a terminal."""
    click.echo(_harmless(json.dumps(value, indent=2, ensure_ascii=not _is_utf8())))


def print_json_line(value: Json) -> None:
    """As :func:`print_json`, on one line: for what comes bit by bit."""
    click.echo(_harmless(json.dumps(value, ensure_ascii=not _is_utf8())))


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else _escape(c) for c in text)


def _escape(character: str) -> str:
    """What JSON need not escape but a terminal obeys: DEL, C1 controls, bidirectional marks and the like."""
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x80 else json.dumps(character)[1:-1]


def _is_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A plain table, or the sentence ``empty``; as :func:`make_table`."""
    if not rows:
        out.print(Text(empty))
        return
    # A table is never folded or cut because a pipe has no width.
    console = out if out.is_terminal else Console(file=out.file, highlight=False, width=_PIPE_WIDTH_CHARS)
    console.print(make_table(columns, rows), crop=False)


def make_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table whose cells are cleaned: they may come from strangers.

    A column whose title starts with ``>`` is aligned right.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in columns:
        table.add_column(
            title.lstrip(">"),
            justify="right" if title.startswith(">") else "left",
            no_wrap=title != columns[-1],
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(clean_line(str(cell), _CELL_MAX_CHARS)) for cell in row))
    return table


def confirm(question: str, nothing: str) -> bool:
    """Ask for a yes on the terminal. ``nothing`` says what it means that there is nobody to ask.

    :raises UserError: ``nobody_to_ask``: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise UserError(
            "nobody_to_ask",
            "There is no terminal to ask for a yes.",
            nothing,
            "Add --yes to agree beforehand.",
        )
    return click.confirm(question, err=True)


def agreed(wallet_shows: bool, yes: bool, question: str, nothing: str = "Nothing was moved.") -> bool:
    """Whether the person agrees; a wallet that shows what it signs asks for itself."""
    return wallet_shows or yes or confirm(question, nothing)


def say(line: str) -> None:
    """Something for whoever sits at the terminal, beside what was asked for."""
    err.print(Text(line))


def print_error(error: CyxWizError) -> None:
    """What happened, what it means, what to do: on standard error."""
    what, *rest = error.lines() or ("Something went wrong.",)
    text = Text("error: ", style="bold red")
    text.append(clean_line(what, 2000), style="bold")
    err.print(text)
    for line in rest:
        err.print(Text("  " + clean_line(line, 2000)))


def run_async(function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Run a trio function as the body of a command; a lone error comes out of its exception groups."""

    async def body() -> T:
        return await function(*arguments)

    try:
        return trio.run(body)
    except BaseExceptionGroup as group:
        raise lone_error(group) from group


def lone_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of our own errors in ``group``, else Ctrl-C, else the group."""
    for kind in (CyxWizError, KeyboardInterrupt):
        found = group.subgroup(kind)
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]  # type: ignore[assignment]
        if found is not None:
            return found
    return group


def main(group: click.Command, name: str) -> None:
    """Run a CLI: click's usage errors end with 2, ours with their own code.

    No traceback is shown unless ``--debug`` is among the arguments.
    """
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    if debug:
        arguments = [argument for argument in arguments if argument != "--debug"]
        logging.basicConfig(level=logging.DEBUG)
    try:
        code = group.main(arguments, prog_name=name, standalone_mode=False)
    except click.exceptions.Abort:
        code = ExitCode.FAILED
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except KeyboardInterrupt:
        err.print("stopped")
        code = 130
    except CyxWizError as error:
        if debug:
            raise
        print_error(error)
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        code = ExitCode.OK
    except Exception as error:
        if debug:
            raise
        err.print(
            Text(f"error: a mistake in the program itself ({type(error).__name__}: {error}).", "bold red")
        )
        err.print(
            "  What was kept is not lost. Run the command again with --debug to see where it went wrong."
        )
        code = ExitCode.FAILED
    sys.exit(int(code) if isinstance(code, int) else 0)
