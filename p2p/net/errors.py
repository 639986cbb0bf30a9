"""Errors on their way over the wire, and those that the network itself raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from p2p.core.errors import Bug, CyxWizError, EnvironmentFailure, JobFailed, Refused, UserError
from p2p.core.frames import ErrorBody, ErrorFamily
from p2p.core.limits import ERROR_TEXT_MAX_CHARS

INTERNAL = ErrorBody(
    ErrorFamily.ENVIRONMENT,
    "peer_internal",
    "The other side failed while it handled this.",
    "Whether anything was done is not known.",
    "Try again; if it goes on, its operator finds the cause in its log.",
    retryable=True,
)


def error_body(error: CyxWizError) -> ErrorBody:
    """An error as it crosses the wire. A :class:`Bug` tells nothing about itself."""
    match error:
        case Bug():
            return INTERNAL
        case JobFailed():
            family = ErrorFamily.JOB_FAILED
        case Refused():
            family = ErrorFamily.REFUSED
        case EnvironmentFailure():
            family = ErrorFamily.ENVIRONMENT
        case _:
            family = ErrorFamily.USER
    retryable = isinstance(error, EnvironmentFailure) and error.retryable
    what, meaning, hint = _clean(error.what), _clean(error.meaning), _clean(error.hint)
    return ErrorBody(family, error.code, what, meaning, hint, retryable)


def raised_error(body: ErrorBody) -> CyxWizError:
    """The exception that the caller sees; text from the other side is stripped of control characters."""
    code = _clean(body.code)
    what, meaning, hint = _clean(body.what), _clean(body.meaning), _clean(body.hint)
    match body.family:
        case ErrorFamily.ENVIRONMENT:
            return EnvironmentFailure(code, what, meaning, hint, retryable=body.retryable)
        case ErrorFamily.REFUSED:
            return Refused(code, what, meaning, hint)
        case ErrorFamily.JOB_FAILED:
            return JobFailed(code, what, meaning, hint)
        case ErrorFamily.USER:
            return UserError(code, what, meaning, hint)


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:ERROR_TEXT_MAX_CHARS])


@contextmanager
def single_errors_unwrapped() -> Iterator[None]:
    """Raise a single exception as itself, out of the groups that nurseries on its way have wrapped it in."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaf: BaseException = group
        while isinstance(leaf, BaseExceptionGroup) and len(leaf.exceptions) == 1:
            leaf = leaf.exceptions[0]
        if isinstance(leaf, BaseExceptionGroup):
            raise
        raise leaf from leaf.__cause__


def unreachable(peer_id: str, why: str) -> EnvironmentFailure:
    """No connection, or it was lost: whether a request was handled is not known."""
    return EnvironmentFailure(
        "peer_unreachable",
        f"Peer {peer_id} cannot be reached: {why}.",
        "If a request was on its way, whether it was handled is not known.",
        "It may be offline or behind a firewall; try again later.",
    )


def timed_out(peer_id: str, method: str, timeout_s: float) -> EnvironmentFailure:
    """No answer in time."""
    return EnvironmentFailure(
        "peer_timeout",
        f"Peer {peer_id} did not answer {method} within {timeout_s:.0f} s.",
        "Whether the request was handled is not known.",
        "It may be overloaded; try again later.",
    )
