"""Every page of both windows, none forgotten: both palettes, the smallest size, 200 %, and hostile text in
whatever somebody else could have written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_TIMEOUT_S = 200
_VIEWS_MIN = 20


@pytest.mark.parametrize("scale", ["1", "2"])
@pytest.mark.parametrize("window", ["engine", "node"])
def test_nothing_is_wrong_with_any_page(window: str, scale: str, tmp_path: Path) -> None:
    assert walk(window, tmp_path, scale) == {}


@pytest.mark.parametrize("window", ["engine", "node"])
def test_nothing_that_a_stranger_writes_is_more_than_text(window: str, tmp_path: Path) -> None:
    assert walk(window, tmp_path, "1", "hostile") == {}


def walk(window: str, home: Path, scale: str, *more: str) -> dict[str, list[str]]:
    """What is wrong, by view."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.gui.walk", window, str(home), *more],
        env={**os.environ, "QT_SCALE_FACTOR": scale, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found.pop("scale") == float(scale)
    assert len(found) > _VIEWS_MIN
    return {view: problems for view, problems in found.items() if problems}
