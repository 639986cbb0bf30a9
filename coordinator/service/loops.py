"""The coordinator's loops go on: what goes wrong with one job or in one round ends nobody else's."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from coordinator.service.signals import Signal
from p2p.core.errors import EnvironmentFailure

logger = logging.getLogger(__name__)


@contextmanager
def surviving(name: str) -> Iterator[None]:
    """Around one round: what the environment did to it is logged in a line, a mistake of ours in full."""
    try:
        yield
    except EnvironmentFailure as error:
        logger.warning("%s: %s", name, error.what)
    except Exception:
        # One job that breaks a rule of ours must not stop the money and the work of all the others.
        logger.exception("%s: a mistake of the coordinator's", name)


async def every(
    period_s: float, work: Callable[[], Awaitable[object]], name: str, news: Signal | None = None
) -> None:
    """Repeat ``work`` until cancelled; sooner when there is ``news``."""
    signal = news or Signal()
    while True:
        await signal.wait(period_s)
        with surviving(name):
            await work()
