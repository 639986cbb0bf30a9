"""The commands start at once: what only the agents need is not loaded for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

OF_AGENTS = {"libp2p", "docker", "psycopg", "numpy"}


@pytest.mark.parametrize("program", ["p2p.engine.cli", "p2p.node.cli"])
def test_a_command_loads_nothing_of_the_agents(program: str) -> None:
    source = f"import sys, {program}; print(*({OF_AGENTS} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
