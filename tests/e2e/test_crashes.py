"""``kill -9`` in the middle of a running job: it still completes, every line once, paid once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from p2p.core.money import fee_of
from p2p.core.paths import Home
from p2p.engine import local_network
from p2p.local.platform import is_alive, kill, lock_owner

pytestmark = [pytest.mark.process, pytest.mark.docker]

LINES = 300
SCRIPT = f"""
import os, sys, time
for number in range({LINES}):
    print(f"line {{number}}", file=sys.stderr if number % 7 == 0 else sys.stdout, flush=True)
    time.sleep(0.04)
open(os.path.join(os.environ["OUTPUT_DIR"], "done.txt"), "w").write("done")
"""


@pytest.mark.parametrize("victim", ["node", "engine", "coordinator", "all"])
def test_a_job_survives_the_death_of(network, job: Callable[..., Path], victim: str) -> None:
    folder = job(SCRIPT)
    before = network.balances()
    job_id = network.submit(folder)
    network.wait(job_id, "running")
    network.wait_log(job_id, "line 50\n")
    for name in ("node", "engine", "coordinator") if victim == "all" else (victim,):
        network.kill9(getattr(network.home, name))
    network.restart()
    shown = network.wait(job_id, "settled")
    network.until(job_id, lambda _: (folder / "out" / "cost.json").exists())
    log = (folder / "out" / "log.txt").read_text().splitlines()
    assert sorted(log, key=lambda line: int(line.split()[1])) == [f"line {n}" for n in range(LINES)]
    assert shown["attempt"] == 1
    after = network.balances()
    used = shown["used_units"]
    assert after.node - before.node == used - fee_of(used, shown["fee_bps"])
    assert before.buyer - after.buyer == used
    assert (folder / "out" / "outputs" / "done.txt").read_text() == "done"
    assert network.coordinator_cli("ledger", "check").code == 0


def test_down_leaves_nothing_even_of_what_was_killed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    trio.run(local_network.up, home, print)
    database = int((home.coordinator.folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    assert is_alive(database)
    for paths in (home.coordinator, home.node, home.localnet):
        pid = lock_owner(paths.lock)
        assert pid is not None
        kill(pid)
    trio.run(local_network.down, home, print)
    assert not [process for process in local_network.status(home) if process.pid]
    assert not is_alive(database)
