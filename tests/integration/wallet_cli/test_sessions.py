"""Session keys on show and their end; the history with names, as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer
from p2p.core.ids import new_job_id
from p2p.core.limits import SESSION_FUND_LAMPORTS
from p2p.core.money import Asset

pytestmark = pytest.mark.process
Person = Any  # of conftest.py


async def test_session_keys_are_listed_and_ended(person: Person, chain: EscrowClient) -> None:
    login = ("login", "--keypair", str(person.keypair_file))
    assert person(*login).code == 0
    assert "No session key may spend anything." in person("wallet", "sessions").stdout
    nothing = person("wallet", "sessions", "revoke", "--yes")
    assert (nothing.code, "No session key" in nothing.stdout) == (0, True)
    found = person("wallet", "deposit", "2", "--yes", "--json").json
    ours = found["assets"][1]["session"]["key"]
    other = Signer.generate().address
    until_s = await chain.chain_time_s() + 86_400
    await chain.authorize(person.signer, other, Asset.SOL, 5, until_s, 1_000_000)
    listed = person("wallet", "sessions", "--json").json
    assert listed[1] == {
        "key": other,
        "here": False,
        "asset": "sol",
        "decimals": 9,
        "remaining_units": 5,
        "expires_at_s": until_s,
        "sol_units": 1_000_000,
    }
    first = listed[0]
    assert (first["key"], first["here"], first["asset"]) == (ours, True, "usdc")
    assert (first["remaining_units"], first["sol_units"]) == (2_000_000, SESSION_FUND_LAMPORTS)
    shown = person("wallet", "sessions").stdout
    assert "this computer" in shown
    assert "another" in shown
    assert "2.000000" in shown
    wrong = person("wallet", "sessions", "revoke", "nope", "--yes")
    assert (wrong.code, "is not a session key of this wallet" in wrong.stderr) == (2, True)
    short = person("wallet", "sessions", "revoke", other[:3], "--yes")
    assert short.code == 2
    unasked = person("wallet", "sessions", "revoke", other[:8])
    assert (unasked.code, "no terminal to ask" in unasked.stderr) == (2, True)
    done = person("wallet", "sessions", "revoke", other[:8], "--yes", "--json").json
    assert done["keys"] == [other]
    assert await chain.session(person.signer.address, other) is None
    assert await chain.session(person.signer.address, ours) is not None
    done = person("wallet", "sessions", "revoke", "--yes")
    assert (done.code, f"Ended the session key {ours}" in done.stdout) == (0, True)
    assert await chain.session(person.signer.address, ours) is None
    assert person(*login, "--json").json["assets"][1]["session"]["remaining_units"] == 2_000_000


async def test_more_sessions_than_fit_into_one_transaction_are_ended(
    person: Person, chain: EscrowClient
) -> None:
    assert person("login", "--keypair", str(person.keypair_file)).code == 0
    until_s = await chain.chain_time_s() + 86_400
    for _ in range(9):
        await chain.authorize(person.signer, Signer.generate().address, Asset.SOL, 1, until_s)
    done = person("wallet", "sessions", "revoke", "--yes", "--json").json
    assert (len(done["keys"]), len(done["signatures"])) == (9, 2)
    assert await chain.sessions_of(person.signer.address) == []


async def test_the_history_goes_into_a_spreadsheet(person: Person, chain: EscrowClient) -> None:
    assert person("login", "--keypair", str(person.keypair_file)).code == 0
    assert person("wallet", "history").stdout.strip() == "Nothing yet."
    found = person("wallet", "deposit", "2", "--yes", "--json").json
    job_id = new_job_id()
    opening = await chain.prepare_open(
        person.signer, person.signer.address, job_id, Asset.USDC, 500_000, bytes(32), 7200
    )
    await chain.send_and_confirm(opening)
    assert person("wallet", "reclaim", job_id, "--yes").code == 0
    person("wallet", "withdraw", "1.25", "--yes")
    rows = list(csv.DictReader(io.StringIO(person("wallet", "history", "--csv").stdout)))
    assert [(row["what"], row["asset"], row["units"], row["amount"]) for row in rows] == [
        ("withdraw", "USDC", "1250000", "1.250000"),
        ("cancel", "USDC", "500000", "0.500000"),
        ("open", "USDC", "500000", "0.500000"),
        ("authorize", "USDC", "0", "0.000000"),
        ("deposit", "USDC", "2000000", "2.000000"),
    ]
    assert [row["job"] for row in rows] == ["", job_id, job_id, "", ""]
    assert rows[-1]["signature"] == found["signature"]
    assert all(row["at"].endswith("Z") and row["explorer"] == "" for row in rows)


async def spends(chain: EscrowClient, person: Person, asset: Asset = Asset.USDC) -> tuple[int, int]:
    """What this computer's key may spend, and for how many days."""
    (key,) = [
        entry["key"]
        for entry in person("wallet", "sessions", "--json").json
        if entry["here"] and entry["asset"] == asset.value
    ]
    session = await chain.session(person.signer.address, key)
    assert session is not None
    return session.remaining_units, round((session.expires_at_s - await chain.chain_time_s()) / 86_400)


async def test_the_buyer_chooses_how_much_and_how_long(person: Person, chain: EscrowClient) -> None:
    await chain.deposit(person.signer, Asset.USDC, 3_000_000)
    login = ("login", "--keypair", str(person.keypair_file))
    assert person(*login).code == 0
    assert await spends(chain, person) == (3_000_000, 30)
    assert person(*login, "--allow", "0.5", "--days", "7").code == 0
    assert await spends(chain, person) == (500_000, 7)
    assert person("wallet", "deposit", "1", "--yes").code == 0  # fills it up to what was chosen
    assert await spends(chain, person) == (500_000, 7)
    assert person(*login).code == 0  # and a login that says nothing changes nothing
    assert await spends(chain, person) == (500_000, 7)

    unasked = person("wallet", "sessions", "renew", "--days", "3")
    assert (unasked.code, "no terminal to ask" in unasked.stderr) == (2, True)
    assert await spends(chain, person) == (500_000, 7)
    done = person("wallet", "sessions", "renew", "--days", "3", "--allow", "1.25", "--yes", "--json").json
    assert len(done["signatures"]) == 1
    assert done["assets"][1]["session"]["remaining_units"] == 1_250_000
    assert await spends(chain, person) == (1_250_000, 3)
    assert person("wallet", "sessions", "renew", "--allow", "ALL", "--yes").code == 0
    assert await spends(chain, person) == (4_000_000, 3)

    await chain.deposit(person.signer, Asset.SOL, 100_000_000)
    done = person("wallet", "sessions", "renew", "--allow", "0.02", "--asset", "sol", "--days", "30", "--yes")
    assert "SESSION KEY MAY SPEND" in done.stdout
    assert await spends(chain, person, Asset.SOL) == (20_000_000, 30)
    assert await spends(chain, person) == (4_000_000, 30)
    for wrong in (("--days", "90"), ("--days", "0"), ("--allow", "-1"), ("--allow", "x"), ("--asset", "sol")):
        assert person("wallet", "sessions", "renew", *wrong, "--yes").code == 2


async def test_without_a_balance_there_is_nothing_to_renew(person: Person) -> None:
    assert person("login", "--keypair", str(person.keypair_file)).code == 0
    done = person("wallet", "sessions", "renew", "--yes")
    assert (done.code, "Nothing is in escrow" in done.stdout) == (0, True)
