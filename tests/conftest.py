"""Shared by all tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

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
_own_folder = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Folders of this run alone. Above those that pytest would make lies one that all runs share: each new
    run closes it to other users, and PostgreSQL, which is one, dies in the midst of another's tests.
    """
    if config.option.basetemp is None and not config.option.collectonly:
        config.stash[_own_folder] = config.option.basetemp = tempfile.mkdtemp(prefix="cyxwiz-tests-")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What a failed run leaves can be looked at."""
    if exitstatus == pytest.ExitCode.OK and (folder := session.config.stash.get(_own_folder, "")):
        shutil.rmtree(folder, ignore_errors=True)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        marks = [mark for mark in NOT_RUN if item.get_closest_marker(mark)]
        item.config.stash.setdefault(_left_out, Counter())[marks[0] if marks else "other"] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Nobody should take a green run for more than it was: say what was left out, and why."""
    for mark, count in sorted(config.stash.get(_left_out, Counter()).items()):
        reason = NOT_RUN.get(mark, "not chosen by the options given")
        terminalreporter.write_line(f"NOT RUN: {count} tests: {reason}")
    folder = config.stash.get(_own_folder, None)
    if folder and Path(folder).exists():
        terminalreporter.write_line(f"What the tests left: {folder}")
