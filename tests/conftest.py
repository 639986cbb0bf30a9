"""Shared by all tests."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, settings

# A slow shared machine is no failure; `make test-long` looks further with the same tests.
settings.register_profile(
    "test", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", parent=settings.get_profile("test"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))

NOT_RUN = {"gpu": "needs an NVIDIA GPU: make test-gpu", "long": "takes long: make test-long"}
_left_out = pytest.StashKey[Counter[str]]()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        marks = [mark for mark in NOT_RUN if item.get_closest_marker(mark)]
        item.config.stash.setdefault(_left_out, Counter())[marks[0] if marks else "other"] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Nobody should take a green run for more than it was: say what was left out, and why."""
    for mark, count in sorted(config.stash.get(_left_out, Counter()).items()):
        reason = NOT_RUN.get(mark, "not chosen by the options given")
        terminalreporter.write_line(f"NOT RUN: {count} tests: {reason}")
