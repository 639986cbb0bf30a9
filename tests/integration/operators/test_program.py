"""The program's code by commands: deployed, configured, upgraded and back, cut off anywhere, handed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from p2p.chain import deployment, program
from p2p.chain.accounts import rent_lamports
from p2p.chain.errors import ProgramRefused
from p2p.chain.keys import Signer
from p2p.chain.loader import PROGRAM_BYTES, PROGRAM_DATA_HEAD_BYTES, WRITE_BYTES
from p2p.chain.localnet_chain import NotLanded
from p2p.core.money import Asset, format_amount

Station = Any  # of conftest.py
SIZE = len(program.escrow_program())
PARTS = -(-SIZE // WRITE_BYTES)


def other_build() -> bytes:
    binary = bytearray(program.escrow_program())
    binary[binary.index(b"session")] ^= 1
    return bytes(binary)


@pytest.fixture
def another_version(station: Station) -> bytes:
    """The package ships another build from here on."""
    binary = other_build()
    station.patch.setattr(program, "escrow_program", lambda: binary)
    return binary


def test_from_nothing_to_a_program_that_takes_money(empty_station: Station) -> None:
    station = empty_station
    made = station("new-key", str(station.folder / "escrow.json"))
    assert "Whoever has that file has the key." in made.stderr
    station.write_config(made.stdout.strip())
    shown = station("show")
    assert "not deployed" in shown.stdout
    assert station("init", *init_options(station), *station.key("founder"), "--yes").code == 2  # no such file
    founder = station.fresh("founder", 5 * 10**9).address
    early = station("init", *init_options(station), *station.key("founder"), "--yes")
    assert "There is no program" in early.stderr
    done = station(
        "deploy", "--program", str(station.folder / "escrow.json"), *station.key("founder"), "--yes"
    )
    assert done.code == 0, done.stderr
    rent = rent_lamports(PROGRAM_DATA_HEAD_BYTES + 2 * SIZE) + rent_lamports(PROGRAM_BYTES)
    assert f"Rent for as long as it is there: {format_amount(rent, Asset.SOL)}." in done.stderr
    assert f"Writing {PARTS} of {PARTS} parts." in done.stderr
    spent = 5 * 10**9 - station.ask(lambda chain: chain.wallet_balance(founder, Asset.SOL))
    assert rent < spent < rent + 2_000_000  # what was lent is back, but for fees
    assert not list(station.home.coordinator.folder.glob("deployment/*.json"))
    found = station("show", "--json").json
    assert (found["program"]["is_shipped"], found["config"]) == (True, None)
    assert found["program"]["upgrade_authority"] == founder
    thief = station.fresh("thief")
    stolen = station("init", *init_options(station), *station.key("thief"), "--yes")
    assert f"Only the upgrade authority can sign this: {founder}" in stolen.stderr
    assert thief.address not in str(found)
    done = station("init", *init_options(station), "--fee", "8", *station.key("founder"), "--yes")
    assert done.code == 0, done.stderr
    assert "Fee: 8 % to" in done.stderr
    for asset in ("sol", "usdc"):
        assert station("add-asset", asset, *station.key("founder"), "--yes").code == 0
    found = station("show", "--json").json
    assert (found["config"]["admin"], found["config"]["fee_bps"]) == (founder, 800)
    assert [entry["enabled"] for entry in found["assets"]] == [True, True]
    again = station("init", *init_options(station), *station.key("founder"), "--yes")
    assert "configured already" in again.stderr
    again = station(
        "deploy", "--program", str(station.folder / "escrow.json"), *station.key("founder"), "--yes"
    )
    assert "This very program is deployed already" in again.stderr


def init_options(station: Station) -> tuple[str, ...]:
    keys = station.keys
    return (
        "--coordinator", keys.coordinator.address,
        "--arbiter", keys.arbiter.address,
        "--fee-owner", keys.fee_owner.address,
    )  # fmt: skip


def test_another_build_and_back(station: Station) -> None:
    before = station("show", "--json").json
    same = station("upgrade", *station.key("admin"), "--yes")
    assert "This very program is deployed already" in same.stderr
    binary, ours = other_build(), program.escrow_program
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "escrow_program", lambda: binary)
        wrong = station("upgrade", *station.key("coordinator"), "--yes")
        assert "Only the upgrade authority can sign this" in wrong.stderr
        done = station("upgrade", *station.key("admin"), "--yes")
        assert done.code == 0, done.stderr
        assert "Settings, balances and jobs stay as they are" in done.stderr
    assert program.escrow_program is ours
    changed = station("show", "--json").json
    assert not changed["program"]["is_shipped"]
    assert changed["program"]["sha256"] != changed["shipped_sha256"]
    assert "NOT this version's" in station("show").stdout
    assert station("upgrade", *station.key("admin"), "--yes").code == 0
    after = station("show", "--json").json
    assert (after["program"], after["config"], after["assets"]) == (
        before["program"], before["config"], before["assets"],
    )  # fmt: skip


@pytest.mark.parametrize("steps", [0, 1, 2, 30, PARTS + 2])
def test_an_upgrade_that_was_interrupted_goes_on(
    station: Station, another_version: bytes, steps: int
) -> None:
    """Cut off after so many transactions; what was paid for before is not paid for again."""
    send, left = station.chain.send, [steps]

    def fails(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise NotLanded("the localnet went away", {})
        return send(*arguments)

    station.patch.setattr(station.chain, "send", fails)
    admin = station.keys.admin.address
    before = station.ask(lambda chain: chain.wallet_balance(admin, Asset.SOL))
    cut = station("upgrade", *station.key("admin"), "--yes")
    assert cut.code != 0
    station.patch.setattr(station.chain, "send", send)
    landed = len(station.chain.landed)
    done = station("upgrade", *station.key("admin"), "--yes")
    assert done.code == 0, done.stderr
    assert station("show", "--json").json["program"]["is_shipped"]
    spent = before - station.ask(lambda chain: chain.wallet_balance(admin, Asset.SOL))
    assert spent < 2_000_000
    assert len(station.chain.landed) - landed <= PARTS + 4 - steps + 8
    assert not list(station.home.coordinator.folder.glob("deployment/*.json"))


def test_what_an_older_version_left_is_written_over(station: Station) -> None:
    """A deployment of one build was interrupted; then another one, of another size, is installed."""
    first, second = other_build(), other_build() + bytes(64)
    write = deployment.Deployment._write_part
    seen: list[int] = []

    async def fails(self: Any, offset: int) -> None:
        seen.append(offset)
        if len(seen) > 10:
            raise ProgramRefused(None, "the power went")
        await write(self, offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "escrow_program", lambda: first)
        patch.setattr(deployment.Deployment, "_write_part", fails)
        assert station("upgrade", *station.key("admin"), "--yes").code == 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "escrow_program", lambda: second)
        done = station("upgrade", *station.key("admin"), "--yes")
        assert done.code == 0, done.stderr
        assert station("show", "--json").json["program"]["is_shipped"]


def test_a_binary_that_the_loader_refuses_changes_nothing(station: Station) -> None:
    station.patch.setattr(program, "escrow_program", lambda: b"\x7fELF" + bytes(2000))
    done = station("upgrade", *station.key("admin"), "--yes")
    assert done.code == 4
    assert "The chain refused the transaction" in done.stderr
    station.patch.undo()
    station.patch.setenv("CYXWIZ_HOME", str(station.home.root))
    assert station("show", "--json").json["program"]["is_shipped"]


def test_one_deployment_at_a_time(station: Station, another_version: bytes) -> None:
    from p2p.local.platform import ProcessLock

    folder = station.home.coordinator.folder / "deployment"
    folder.mkdir(parents=True)
    with ProcessLock(folder / "lock"):
        done = station("upgrade", *station.key("admin"), "--yes")
    assert done.code == 3


def test_a_program_too_large_for_its_place(station: Station) -> None:
    station.patch.setattr(program, "escrow_program", lambda: bytes(200_000))
    done = station("upgrade", *station.key("admin"), "--yes")
    assert f"on chain there is room for {2 * SIZE:,}" in done.stderr


def test_the_upgrade_authority_is_handed_over_and_given_up(station: Station, another_version: bytes) -> None:
    successor = station.fresh("successor", 2 * 10**9).address
    done = station("upgrade-authority", successor, *station.key("admin"), "--yes")
    assert done.code == 0, done.stderr
    assert f"Upgrade authority: {station.wallet('admin')} → {successor}" in done.stderr
    assert "cannot be taken back" in done.stderr
    old = station("upgrade", *station.key("admin"), "--yes")
    assert "Only the upgrade authority can sign this" in old.stderr
    assert station("upgrade", *station.key("successor"), "--yes").code == 0
    assert station("upgrade-authority").code == 2
    assert station("upgrade-authority", "--nobody", *station.key("successor"), "--yes").code == 0
    shown = station("show").stdout
    assert "nobody: it can never be replaced" in shown
    station.patch.setattr(program, "escrow_program", lambda: another_version + b"\0" * 8)
    final = station("upgrade", *station.key("successor"), "--yes")
    assert final.code == 4


def test_new_keys_lie_among_the_coordinators(station: Station) -> None:
    address = station("new-key").stdout.strip()
    file: Path = station.home.coordinator.folder / "keys" / f"{address}.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    taken = station("new-key", str(file))
    assert (taken.code, "exists already" in taken.stderr) == (2, True)
    assert Signer.generate().address != address
