"""Errors, split by who can mend them.

Three families: the user can mend a :class:`UserError`; time or an administrator can mend an
:class:`EnvironmentFailure`; only a developer can mend a :class:`Bug`. The first two cross the wire,
the third never does (the peer sees only ``internal``).

Every error says three things: what happened, what it means for the job or the money, what to do.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every CLI."""

    OK = 0
    FAILED = 1  # the job or the check failed
    USAGE = 2  # the command line or an input file is wrong
    ENVIRONMENT = 3  # Docker, network, disk, coordinator: not the user's input
    REFUSED = 4  # a rule said no: balance, price, permission


class CyxWizError(Exception):
    """What happened, what it means, what to do.

    ``code`` is stable and machine-readable (``snake_case``); ``what``, ``meaning`` and ``hint`` are
    for people and may change.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, code: str, what: str, meaning: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.meaning = meaning
        self.hint = hint

    def lines(self) -> tuple[str, ...]:
        """The non-empty parts, in the order in which they are shown."""
        return tuple(part for part in (self.what, self.meaning, self.hint) if part)


class UserError(CyxWizError):
    """The request is wrong; the same request will fail again."""

    exit_code = ExitCode.USAGE


class Refused(UserError):
    """A rule said no: not enough balance, not permitted, not in this state."""

    exit_code = ExitCode.REFUSED


class JobFailed(UserError):
    """The job itself ended without success."""

    exit_code = ExitCode.FAILED


class EnvironmentFailure(CyxWizError):
    """Something around us failed; ``retryable`` says whether waiting may help."""

    exit_code = ExitCode.ENVIRONMENT

    def __init__(
        self, code: str, what: str, meaning: str = "", hint: str = "", *, retryable: bool = True
    ) -> None:
        super().__init__(code, what, meaning, hint)
        self.retryable = retryable


class Bug(CyxWizError):
    """We broke our own rule. Never sent to a peer."""

    def __init__(self, what: str) -> None:
        super().__init__("internal", what)
