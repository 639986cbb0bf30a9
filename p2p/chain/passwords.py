"""Where a password comes from: a prompt without echo, or an open file descriptor. Never the command line,
never an environment variable: both can be read by others while the program runs.

For scripts: ``CYXWIZ_PASSWORD_FD=3 cyxwiz wallet … 3< <(pass show cyxwiz)``. Each question takes one line,
so a change of password takes two: the old one, then the new one.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Mapping

from p2p.chain.secret import Secret
from p2p.core.errors import UserError
from p2p.core.limits import PASSWORD_MAX_BYTES

VARIABLE = "CYXWIZ_PASSWORD_FD"


class Passwords:
    """Asks for the passwords of one command, in their order."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        prompt: Callable[[str], str] = getpass.getpass,
        is_terminal: Callable[[], bool] = sys.stdin.isatty,
    ) -> None:
        self._descriptor = environment.get(VARIABLE)
        self._prompt = prompt
        self._is_terminal = is_terminal

    def ask(self, question: str) -> Secret:
        """:raises UserError: ``no_password``: there is neither a terminal nor a descriptor."""
        if self._descriptor is not None:
            return self._read_line(self._descriptor)
        if not self._is_terminal():
            raise UserError(
                "no_password",
                "A password is needed, and there is no terminal to ask for it.",
                "Nothing was unlocked.",
                f"Run it in a terminal, or name an open file descriptor in {VARIABLE}.",
            )
        return Secret(self._prompt(f"{question}: "))

    def ask_new(self, question: str) -> Secret:
        """Ask twice at a terminal, because a slip could not be undone.

        :raises UserError: as :meth:`ask`, or ``passwords_differ``.
        """
        first = self.ask(question)
        if self._descriptor is None and self.ask(f"{question}, once more") != first:
            raise UserError("passwords_differ", "The two passwords differ.", "Nothing was changed.")
        return first

    def _read_line(self, descriptor: str) -> Secret:
        """Byte by byte, so that the next question's line is left where it is."""
        line = bytearray()
        try:
            number = int(descriptor)
            while len(line) <= PASSWORD_MAX_BYTES and (byte := os.read(number, 1)) not in (b"", b"\n"):
                line += byte
        except (OSError, ValueError):
            line.clear()
        if line.endswith(b"\r"):
            del line[-1]
        if not line:
            raise UserError(
                "no_password",
                f"No password could be read from the file descriptor that {VARIABLE} names.",
                "Nothing was unlocked.",
                "Each question takes one line from it.",
            )
        return Secret(line)
