"""Small helpers of the node's agent."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import trio

from p2p.core.clock import Clock
from p2p.core.errors import Bug, CyxWizError, EnvironmentFailure
from p2p.core.limits import DOCKER_PATIENCE_S, RECONNECT_FIRST_S

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

_DAEMON_AWAY = ("docker_unreachable", "docker_slow")


async def patiently(ask: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """Ask Docker, and wait for a daemon that is away: it may be restarting under a job that lives on.

    :raises EnvironmentFailure: it stayed away for ``DOCKER_PATIENCE_S``, or refused.
    """
    until_s = clock.monotonic_s() + DOCKER_PATIENCE_S
    while True:
        try:
            return await ask()
        except EnvironmentFailure as failure:
            if failure.code not in _DAEMON_AWAY or clock.monotonic_s() > until_s:
                raise
        await trio.sleep(RECONNECT_FIRST_S)


def single_error(group: BaseExceptionGroup[BaseException]) -> CyxWizError | None:
    """The error of ours that nurseries wrapped; None if the group holds anything else."""
    ours, others = group.split(CyxWizError)
    if ours is None or others is not None:
        return None
    error: BaseException = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, CyxWizError) else None


def known_error(problem: Exception) -> CyxWizError:
    """What stopped a step, as an error of ours; anything unexpected is logged and becomes a :class:`Bug`."""
    if isinstance(problem, BaseExceptionGroup):
        found = single_error(problem)
        if found is not None:
            return found
    if isinstance(problem, CyxWizError):
        return problem
    _LOG.error("an unexpected exception", exc_info=problem)
    return Bug("The node's agent made a mistake of its own.")


def remove_tree(folder: Path) -> None:
    """Remove ``folder`` if it is there.

    :raises EnvironmentFailure: ``cleanup_failed``.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise EnvironmentFailure(
            "cleanup_failed", f"{folder} cannot be removed: {error.strerror}."
        ) from error
