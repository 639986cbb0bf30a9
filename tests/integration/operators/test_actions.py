"""Each action of an operator on the real chain, signed by a keypair: what it says, does and refuses."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.chain.keys import Signer
from p2p.core.ids import new_job_id
from p2p.core.limits import COORDINATOR_LOW_LAMPORTS
from p2p.core.money import Asset

Station = Any  # of conftest.py
ANYBODY = Signer.generate().address


def config(station: Station) -> Any:
    return station.ask(lambda chain: chain.config())


def refused(done: Any, code: int = 4) -> tuple[str, ...]:
    """The three parts of a refusal."""
    assert done.code == code, done.stderr
    lines = done.stderr.strip().splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith("error: "))
    assert len(lines[at:]) >= 2, done.stderr
    return tuple(line.strip() for line in lines[at:])


def test_show(station: Station) -> None:
    keys, found = station.keys, station("show", "--json").json
    assert found["program"]["is_shipped"]
    assert found["program"]["sha256"] == found["shipped_sha256"]
    assert found["program"]["upgrade_authority"] == keys.admin.address
    assert found["config"]["coordinator"] == keys.coordinator.address
    assert (found["config"]["fee_bps"], found["config"]["paused"]) == (1000, False)
    assert found["assets"] == [
        {"asset": "sol", "decimals": 9, "enabled": True, "owed_units": 0, "vault_units": 0},
        {"asset": "usdc", "decimals": 6, "enabled": True, "owed_units": 0, "vault_units": 0},
    ]
    assert not found["coordinator_low"]
    shown = station("show").stdout
    assert "byte for byte this version's" in shown
    assert f"10 % to {keys.fee_owner.address}" in shown


def test_little_sol_for_fees_is_warned_about(station: Station) -> None:
    poor = station.fresh("poor", COORDINATOR_LOW_LAMPORTS - 10_000_000)
    assert station("propose", "coordinator", poor.address, *station.key("coordinator"), "--yes").code == 0
    assert station("accept", "coordinator", *station.key("poor"), "--yes").code == 0
    assert station("show", "--json").json["coordinator_low"]
    assert f"Send some to {poor.address}" in station("show").stderr


def test_settings_change_for_new_jobs_only(station: Station) -> None:
    owner = station.fresh("buyer")

    async def open_one(chain: Any) -> Any:
        await chain.deposit(owner, Asset.SOL, SOL_UNITS)
        job_id = new_job_id()
        opened = await chain.prepare_open(owner, owner.address, job_id, Asset.SOL, SOL_UNITS, bytes(32), 3600)
        await chain.send_and_confirm(opened)
        return job_id

    job_id = station.ask(open_one)
    new_fees = station.fresh("new-fees").address
    done = station(
        "set", "--fee", "12.5", "--fee-owner", new_fees, "--review-window", "12h", "--longest-job", "7d",
        *station.key("admin"), "--yes",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert done.stdout.startswith("Done: transaction ")
    assert "Fee of new jobs: 10 % → 12.5 %" in done.stderr
    assert f"Fee goes to: {station.keys.fee_owner.address} → {new_fees}" in done.stderr
    assert "Review window: 1 d → 12 h" in done.stderr
    assert "Longest job: 14 d → 7 d" in done.stderr
    assert "Jobs that are open keep what they were opened with" in done.stderr
    found = config(station)
    assert (found.fee_bps, found.fee_owner, found.review_window_s, found.longest_job_s) == (
        1250, new_fees, 12 * 3600, 7 * 24 * 3600,
    )  # fmt: skip
    assert station("show", "--json").json["open_jobs"] == {station.keys.coordinator.address: 1}
    job = station.ask(lambda chain: chain.job(owner.address, job_id))
    assert (job.fee_bps, job.fee_owner) == (1000, station.keys.fee_owner.address)
    again = station("set", "--fee", "12.5", *station.key("admin"), "--yes")
    assert refused(again)[0] == "error: The program is set so already."


SOL_UNITS = 100_000_000


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (("--fee", "21"), "The fee must be from 0 % to 20 %, not 21 %."),
        (("--fee", "0.001"), "'0.001' is not a fee in percent."),
        (("--review-window", "31d"), "The review window must be from 1 s to 30 d, not 31 d."),
        (("--longest-job", "30s"), "The longest job must be from 1 min to 90 d, not 30 s."),
        (("--longest-job", "soon"), "'soon' is not a span of time."),
        (("--fee-owner", "me"), "'me' is not a Solana address."),
    ],
)
def test_what_cannot_be_set_is_refused_before_anybody_signs(
    station: Station, setting: tuple[str, str], said: str
) -> None:
    before = len(station.chain.landed)
    done = station("set", *setting, *station.key("admin"), "--yes")
    assert done.code == 2
    assert said in done.stderr
    assert len(station.chain.landed) == before


def test_the_wrong_key_is_told_before_it_signs(station: Station) -> None:
    before = len(station.chain.landed)
    for arguments, office in (
        (("pause",), "admin"),
        (("add-asset", "sol"), None),
        (("propose", "arbiter", ANYBODY), "arbiter"),
        (("upgrade-authority", ANYBODY), "upgrade authority"),
        (("disable-asset", "sol"), "admin"),
    ):
        what = refused(station(*arguments, *station.key("fee-owner"), "--yes"))[0]
        assert office is None or f"Only the {office} can sign this: " in what
    assert len(station.chain.landed) == before


def test_without_a_yes_nothing_is_signed(station: Station) -> None:
    done = station("pause", *station.key("admin"))
    assert refused(done, 2)[0] == "error: There is no terminal to ask for a yes."
    assert "Deposits and new jobs: open → paused" in done.stderr
    assert not config(station).paused


def test_pause_and_resume(station: Station) -> None:
    assert station("pause", *station.key("admin"), "--yes").code == 0
    assert config(station).paused
    assert "PAUSED" in station("show").stdout
    assert refused(station("pause", *station.key("admin"), "--yes"))[0].endswith("set so already.")
    done = station("resume", *station.key("admin"), "--yes", "--json")
    assert set(done.json) == {"signature"}
    assert not config(station).paused


@pytest.mark.parametrize("role", ["admin", "coordinator", "arbiter"])
def test_an_office_is_handed_over_in_two_steps(station: Station, role: str) -> None:
    before, successor = station.wallet(role), station.fresh("successor").address
    nobody = refused(station("accept", role, *station.key("successor"), "--yes"))
    assert nobody[0] == f"error: No new {role} is proposed."
    done = station("propose", role, successor, *station.key(role), "--yes")
    assert done.code == 0, done.stderr
    assert f"Proposed as {role}: nobody → {successor}" in done.stderr
    assert f"{before} stays the {role} until" in done.stderr
    assert station("show", "--json").json["config"][f"{role}_proposed"] == successor
    twice = refused(station("propose", role, successor, *station.key(role), "--yes"))
    assert f"is proposed as {role} already" in twice[0]
    thief = refused(station("accept", role, *station.key("fee-owner"), "--yes"))
    assert f"Only the proposed {role} can sign this: {successor}" in thief[0]
    done = station("accept", role, *station.key("successor"), "--yes")
    assert done.code == 0, done.stderr
    assert f"{role}: {before} → {successor}" in done.stderr
    found = station("show", "--json").json["config"]
    assert (found[role], found[f"{role}_proposed"]) == (successor, None)


def test_a_proposal_is_withdrawn(station: Station) -> None:
    assert station("propose", "arbiter", ANYBODY, *station.key("arbiter"), "--yes").code == 0
    done = station("withdraw-proposal", "arbiter", *station.key("arbiter"), "--yes")
    assert done.code == 0, done.stderr
    assert f"Proposed as arbiter: {ANYBODY} → nobody" in done.stderr
    assert config(station).arbiter_next is None
    again = station("withdraw-proposal", "arbiter", *station.key("arbiter"), "--yes")
    assert refused(again)[0] == "error: No new arbiter is proposed."


def test_nobody_is_coordinator_and_arbiter(station: Station) -> None:
    for role, other in (("coordinator", "arbiter"), ("arbiter", "coordinator")):
        done = station("propose", role, station.wallet(other), *station.key(role), "--yes")
        assert "nobody may be coordinator and arbiter" in refused(done)[0]


def test_an_asset_is_stopped_and_taken_again(station: Station) -> None:
    done = station("disable-asset", "usdc", *station.key("admin"), "--yes")
    assert done.code == 0, done.stderr
    assert "USDC: deposits and new jobs → stopped" in done.stderr
    assert "stopped" in station("show").stdout
    twice = station("disable-asset", "usdc", *station.key("admin"), "--yes")
    assert refused(twice)[0] == "error: The program does not take USDC."
    assert station("add-asset", "usdc", *station.key("admin"), "--yes").code == 0
    assert station.ask(lambda chain: chain.asset(Asset.USDC)).enabled
    twice = station("add-asset", "usdc", *station.key("admin"), "--yes")
    assert refused(twice)[0] == "error: The program takes USDC already."


def test_a_wallet_without_sol_is_told_before_it_signs(station: Station) -> None:
    poor = station.fresh("poor", 1_000_000).address
    assert station("propose", "admin", poor, *station.key("admin"), "--yes").code == 0
    what = refused(station("accept", "admin", *station.key("poor"), "--yes"))[0]
    assert what == (
        f"error: The wallet {poor} has 0.001000000 SOL; 0.005000000 SOL are needed for fees and rent."
    )
