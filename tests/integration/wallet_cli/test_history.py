"""``cyxwiz wallet history`` from a real chain and a real ledger, and when the ledger is away."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
import trio

from p2p.chain.escrow import EscrowClient
from p2p.core.ids import JobId, new_job_id
from p2p.core.money import Asset
from p2p.testing.marketplace import DEADLINE_S

pytestmark = pytest.mark.process
Person = Any  # of conftest.py


def amounts(found: list[dict[str, Any]]) -> list[tuple[str, str | None, str | None]]:
    return [(entry["kind"], entry["amount"], entry["ledger"]) for entry in found if entry["units"]]


async def posted_history(person: Person) -> Any:
    """The command, once the ledger has all: it looks at the chain no oftener than ``LEDGER_FRESH_S`` says."""
    with trio.fail_after(DEADLINE_S):
        while True:
            done = await person.run("wallet", "history", "--json")
            if all(entry["ledger"] != "pending" for entry in done.json):
                return done


async def test_chain_and_ledger_are_one_list(person: Person, chain: EscrowClient) -> None:
    signer = person.signer
    assert (await person.run("login", "--keypair", str(person.keypair_file))).code == 0
    assert (await person.run("wallet", "history", "--json")).json == []
    assert (await person.run("wallet", "deposit", "2.5", "--yes")).code == 0
    assert (await person.run("wallet", "deposit", "0.1", "--asset", "sol", "--yes")).code == 0
    job_id: JobId = new_job_id()
    opening = await chain.prepare_open(signer, signer.address, job_id, Asset.USDC, 700_000, bytes(32), 7200)
    await chain.send_and_confirm(opening)  # without the coordinator
    await chain.send_and_confirm(await chain.prepare_cancel(signer, signer.address, job_id))
    await chain.withdraw(signer, Asset.USDC, 500_000)

    done = await posted_history(person)
    assert done.stderr == ""
    found = done.json
    assert amounts(found) == [
        ("withdraw", "0.500000", "posted"),
        ("cancel", "0.700000", "posted"),
        ("open", "0.700000", "posted"),
        ("deposit", "0.100000000", "posted"),
        ("deposit", "2.500000", "posted"),
    ]
    by_kind = {(entry["kind"], entry["asset"]): entry for entry in found}
    assert by_kind["deposit", "usdc"]["usd_micros"] == 2_500_000
    assert by_kind["deposit", "sol"]["usd_micros"] is None  # nobody said what it was worth
    assert by_kind["open", "usdc"]["job_id"] == by_kind["cancel", "usdc"]["job_id"] == job_id
    assert by_kind["open", "usdc"]["ledger_units"] == -700_000

    shown = (await person.run("wallet", "history")).stdout
    assert re.search(r"withdrawal +0\.500000 USDC +\$0\.50 ", shown)
    assert re.search(r"deposit +0\.100000000 SOL +posted", shown)
    assert "session key allowed" in shown
    rows = list(csv.DictReader(io.StringIO((await person.run("wallet", "history", "--csv")).stdout)))
    assert [(row["usd"], row["ledger"]) for row in rows if row["what"] == "withdraw"] == [("0.50", "posted")]
    assert len((await person.run("wallet", "history", "--limit", "2", "--json")).json) == 2

    config = person.home.config.read_text()
    away = re.sub(r"/tcp/\d+/", "/tcp/1/", config, count=1)
    assert away != config
    person.home.config.write_text(away)
    assert (await person.run("agent", "stop")).code == 0  # its connection would go on
    alone = await person.run("wallet", "history", "--json")
    assert alone.code == 0
    assert len(alone.stderr.strip().splitlines()) == 1
    assert "what the chain alone says" in alone.stderr
    assert {entry["ledger"] for entry in alone.json} == {"away", None}
    assert [kind for kind, _, _ in amounts(alone.json)] == [kind for kind, _, _ in amounts(found)]
