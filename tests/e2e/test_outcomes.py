"""Every way in which a job can end, by real processes, with the money exact."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from p2p.core.money import Asset, fee_of

pytestmark = [pytest.mark.process, pytest.mark.docker]

Make = Callable[..., Path]

GOOD = """
import csv, json, os, time
rows = list(csv.reader(open("data/numbers.csv")))
for epoch in range(1, 4):
    print(f"Epoch {epoch}/3 - loss: {1 / epoch:.4f}", flush=True)
    time.sleep(0.5)
with open(os.path.join(os.environ["OUTPUT_DIR"], "model.json"), "w") as file:
    json.dump({"sum": sum(map(int, rows[0]))}, file)
"""


@pytest.mark.parametrize("asset", list(Asset))
def test_success_pays_ninety_ten_and_the_rest_back(network, job: Make, asset: Asset) -> None:
    folder = job(GOOD)
    before = network.balances(asset)
    job_id = network.submit(folder, "--asset", asset.value)
    shown = network.wait(job_id, "settled")
    after = network.balances(asset)
    used, fee = shown["used_units"], fee_of(shown["used_units"], shown["fee_bps"])
    assert used > 0
    assert shown["fee_bps"] == 1000
    assert after.node - before.node == used - fee
    assert after.fees - before.fees == fee
    assert before.buyer - after.buyer == used
    assert before.buyer_wallet == after.buyer_wallet
    network.until(job_id, lambda _: (folder / "out" / "cost.json").exists())
    out = folder / "out"
    assert json.loads((out / "outputs" / "model.json").read_text()) == {"sum": 6}
    assert (out / "log.txt").read_text().splitlines() == [
        f"Epoch {n}/3 - loss: {1 / n:.4f}" for n in (1, 2, 3)
    ]
    assert len((out / "metrics.csv").read_text().splitlines()) == 4
    statement = json.loads((out / "statement.json").read_text())["statement"]
    assert statement["exit_code"] == 0
    assert bytes.fromhex(statement["log_sha256"]) == sha256((out / "log.txt").read_bytes()).digest()
    assert statement["image_digest"].startswith("sha256:")
    assert network.show(job_id)["result"]["verified"] is True
    assert json.loads((out / "cost.json").read_text())["node_units"] == used - fee
    _agree(network)


FAILURES = {
    "script_error": ("print('about to fail', flush=True); raise SystemExit(3)", {}, "ended with an error"),
    "out_of_memory": (
        "print('growing', flush=True)\nhoard = []\nwhile True: hoard.append(bytearray(64 << 20))",
        {},
        "more memory",
    ),
    "timeout": (
        "import time\nprint('waiting', flush=True)\nwhile True: time.sleep(1)",
        {"timeout": 10},
        "longer than the job's timeout",
    ),
    "output_full": (
        # It reserves all the room that there is, which takes no time, and writes on.
        "import os\nprint('filling', flush=True)\n"
        "f, size = open(os.environ['OUTPUT_DIR'] + '/big', 'wb'), 0\n"
        "for step in (1 << 30, 1 << 20):\n"
        "    try:\n"
        "        while True: os.posix_fallocate(f.fileno(), size, step); size += step\n"
        "    except OSError: f.seek(size)\n"
        "while True: f.write(bytes(1 << 20)); f.flush()",
        {},
        "more output",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_job_is_refunded_in_full_and_says_why(network, job: Make, failure: str) -> None:
    script, config, words = FAILURES[failure]
    folder = job(script, **config)
    before = network.balances()
    job_id = network.submit(folder)
    shown = network.wait(job_id, "refunded")
    assert network.balances() == before
    assert shown["failure"] == failure
    assert words in shown["failure_words"]
    assert shown["attempt"] == 1
    network.wait_log(job_id, script.split("'")[1])
    assert not (folder / "out" / "outputs").exists()
    plain = network.cli("show", job_id)
    assert words in plain.stdout
    _agree(network)


def test_cancel_while_queued_refunds_everything(network, job: Make) -> None:
    folder = job(GOOD, gpu_type="h100")
    before = network.balances()
    job_id = network.submit(folder)
    waiting = network.until(job_id, lambda shown: shown["state"] == "queued" and shown["misfits"])
    assert waiting["nodes_online"] == 1
    assert [rule["nodes"] for rule in waiting["misfits"] if "gpu" in rule["rule"]] == [1]
    plain = network.cli("show", job_id).stdout
    assert "1 of 1" in plain or "1 node" in plain
    assert network.balances().buyer < before.buyer
    cancelled = network.cli("cancel", job_id, "--yes")
    assert cancelled.code == 0, cancelled.stderr
    network.wait(job_id, "refunded")
    assert network.balances() == before
    _agree(network)


def test_cancel_while_running_pays_the_metered_time(network, job: Make) -> None:
    folder = job("import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.5)")
    before = network.balances()
    job_id = network.submit(folder)
    network.wait(job_id, "running")
    network.wait_log(job_id, "begun")
    network.until(job_id, lambda shown: shown["used_seconds"] >= 2)
    assert network.cli("cancel", job_id, "--yes").code == 0
    shown = network.wait(job_id, "settled")
    after = network.balances()
    used, fee = shown["used_units"], fee_of(shown["used_units"], shown["fee_bps"])
    assert 0 < used < shown["deposit_units"]
    assert (after.node - before.node, after.fees - before.fees) == (used - fee, fee)
    assert before.buyer - after.buyer == used
    _agree(network)


def _agree(network) -> None:
    """Σ = 0 per asset, and the ledger equals the chain."""
    checked = network.coordinator_cli("ledger", "check")
    assert checked.code == 0, checked.stdout + checked.stderr
