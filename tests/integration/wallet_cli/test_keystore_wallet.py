"""An encrypted keystore of one's own, at a terminal and without one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.phrase import keypair_of
from p2p.chain.secret import Secret
from p2p.core.money import Asset

pytestmark = pytest.mark.process
PASSWORD, OTHER = "correct horse battery", "staple pony plum"
Person, Terminals = Any, Any  # of conftest.py


def own(person: Person, *options: str) -> Person:
    """The person's wallet, moved into their keystore."""
    arguments = ["wallet", "import", "--keypair", str(person.keypair_file), *options]
    done = person(*arguments, secrets=(PASSWORD,))
    assert done.code == 0, done.stderr
    assert f"The wallet {person.signer.address} is in " in done.stdout
    return person


def test_a_keystore_logs_in_and_moves_money(station: Any) -> None:
    person = own(station.person())
    found = person("login", "--keystore", "--json", secrets=(PASSWORD,)).json
    assert found["wallet"] == person.signer.address
    account = json.loads(person("agent", "status", "--json").stdout)
    assert account["wallet"] == person.signer.address
    done = person("wallet", "deposit", "2", "--yes", "--json", secrets=(PASSWORD,))
    usdc = done.json["assets"][1]
    assert (usdc["escrow_units"], usdc["session"]["remaining_units"]) == (2_000_000, 2_000_000)
    found = person("wallet", "withdraw", "all", "--yes", "--json", secrets=(PASSWORD,)).json
    assert (found["units"], found["assets"][1]["escrow_units"]) == (2_000_000, 0)


async def test_a_wallet_with_hardly_any_sol_keeps_it(station: Any, chain: EscrowClient) -> None:
    """The coordinator pays the session key's fees; what the wallet itself signs costs it very little."""
    person = own(station.person(funded=False))
    url, wallet = person.config.rpc_urls[0], person.signer.address
    await faucet(url, wallet, Asset.USDC, 2_000_000)
    await faucet(url, wallet, Asset.SOL, 1_000_000)
    assert person("login", "--keystore", secrets=(PASSWORD,)).code == 0
    short = person("wallet", "deposit", "2", "--yes")
    assert short.code == 4
    assert "0.005000000 SOL are needed, fees and rent included" in short.stderr
    await faucet(url, wallet, Asset.SOL, 4_000_000)
    done = person("wallet", "deposit", "2", "--yes", "--json", secrets=(PASSWORD,)).json["assets"][1]
    assert done["session"]["remaining_units"] == 2_000_000
    assert await chain.wallet_balance(done["session"]["key"], Asset.SOL) == 0
    left = await chain.wallet_balance(wallet, Asset.SOL)
    assert 0 < left < 5_000_000
    again = person("login", "--keystore", "--json", secrets=(PASSWORD,)).json
    assert again["assets"][1]["session"]["remaining_units"] == 2_000_000
    assert await chain.wallet_balance(wallet, Asset.SOL) == left  # there was nothing to sign


def test_what_stands_against_a_keystore_is_explained(station: Any) -> None:
    person = own(station.person())
    wrong = person("login", "--keystore", secrets=(OTHER,))
    assert (wrong.code, "password" in wrong.stderr) == (4, True)
    assert person("wallet", "balance").code == 4
    nobody = person("login", "--keystore")
    assert nobody.code == 2
    assert "there is no terminal to ask for it" in nobody.stderr
    assert "CYXWIZ_PASSWORD_FD" in nobody.stderr
    twice = person("wallet", "import", secrets=("abandon " * 12, PASSWORD))
    assert twice.code == 2
    assert "There is a keystore at" in twice.stderr
    assert person("login", "--keystore", secrets=(PASSWORD,)).code == 0
    unasked = person("wallet", "deposit", "1")
    assert unasked.code == 2
    assert "no terminal to ask for a yes" in unasked.stderr
    locked = person("wallet", "deposit", "1", "--yes", secrets=(OTHER,))
    assert locked.code == 4
    unfunded = person("wallet", "deposit", "1000", "--yes")  # said before the password is asked for
    assert unfunded.code == 4
    assert "deposit less" in unfunded.stderr
    person.home.engine.keystore.rename(person.home.root / "elsewhere")
    gone = person("wallet", "deposit", "1", "--yes", secrets=(PASSWORD,))
    assert gone.code == 2
    assert "There is no keystore at" in gone.stderr
    for done in (wrong, nobody, twice, unasked, locked, unfunded, gone):
        assert 2 <= len(done.stderr.strip().splitlines()) <= 3, done.stderr
        assert PASSWORD not in done.stderr
        assert OTHER not in done.stderr


def test_a_key_comes_out_as_it_went_in(station: Any, tmp_path: Path) -> None:
    file = tmp_path / "my.keystore"
    person = own(station.person(funded=False), "--keystore", str(file))
    assert not person.home.engine.keystore.exists()
    at = ("--keystore", str(file))
    changed = person("wallet", "password", *at, secrets=(PASSWORD, OTHER))
    assert changed.code == 0, changed.stderr
    out = tmp_path / "out.json"
    assert person("wallet", "export", "--keypair", str(out), *at, secrets=(PASSWORD,)).code == 4
    assert not out.exists()
    done = person("wallet", "export", "--keypair", str(out), *at, secrets=(OTHER,))
    assert done.code == 0, done.stderr
    assert json.loads(out.read_text()) == list(bytes(person.keypair))
    assert out.stat().st_mode & 0o777 == 0o600
    again = person("wallet", "export", "--keypair", str(out), *at, secrets=(OTHER,))
    assert (again.code, "exists already" in again.stderr) == (2, True)
    weak = person("wallet", "password", *at, secrets=(OTHER, "short"))
    assert (weak.code, "8 characters or more" in weak.stderr) == (2, True)


def test_words_make_the_wallet_that_they_make_elsewhere(station: Any) -> None:
    person = station.person(funded=False)
    words = "abandon " * 11 + "about"
    bad = person("wallet", "import", secrets=("abandon " * 12, PASSWORD))
    assert (bad.code, "This is not a seed phrase" in bad.stderr) == (2, True)
    assert not person.home.engine.keystore.exists()
    done = person("wallet", "import", "--account", "1", secrets=(words, PASSWORD))
    assert done.code == 0, done.stderr
    wallet = str(keypair_of(Secret(words), account=1).pubkey())
    assert f"The wallet {wallet} is in " in done.stdout
    assert "abandon" not in done.stdout + done.stderr


def test_words_for_a_program_are_printed_once(station: Any) -> None:
    person = station.person(funded=False)
    done = person("wallet", "create", "--yes", secrets=(PASSWORD,))
    assert done.code == 0, done.stderr
    words, said, *_ = done.stdout.splitlines()
    assert str(keypair_of(Secret(words)).pubkey()) in said
    assert words.encode() not in b"".join(
        path.read_bytes() for path in person.home.root.rglob("*") if path.is_file()
    )


def words_of(screen: str) -> list[str]:
    """The numbered words, in their order."""
    found = dict(re.findall(r"(\d+)\. ([a-z]+)", screen))
    return [found[str(place)] for place in range(1, 25)]


def test_a_new_wallet_at_a_terminal(station: Any, at_terminal: Terminals) -> None:
    person = station.person(funded=False)
    with at_terminal(person, "wallet", "create") as screen:
        screen.see("New password: ")
        screen.type(PASSWORD)
        screen.see("New password, once more: ")
        screen.type(PASSWORD)
        words = words_of(screen.see("Enter goes on"))
        screen.type("")
        for _ in range(2):
            place = int(re.findall(r"Word (\d+)", screen.see(": "))[-1])
            screen.type("no such word")
            screen.see("That is another word.")
            screen.see(f"Word {place}: ")
            screen.type(words[place - 1])
        assert screen.end() == 0
    assert "\x1b[?1049h" in screen.shown  # the words were on a screen of their own
    shown = screen.shown.partition("\x1b[?1049l")[2]
    assert not any(f" {word} " in shown for word in words)
    assert PASSWORD not in screen.shown
    wallet = str(keypair_of(Secret(" ".join(words))).pubkey())
    assert wallet in shown
    with at_terminal(person, "login", "--keystore") as screen:
        screen.see(f"Password of the wallet {wallet}: ")
        screen.type(PASSWORD)
        screen.see(f"Logged in as {wallet} until ")
        assert screen.end() == 0


def test_a_person_who_did_not_write_the_words_down_is_warned(station: Any, at_terminal: Terminals) -> None:
    person = station.person(funded=False)
    with at_terminal(person, "wallet", "create") as screen:
        for _ in range(2):
            screen.see(": ")
            screen.type(PASSWORD)
        screen.see("Enter goes on")
        screen.type("")
        for _ in range(3):
            screen.see("Word ")
            screen.type("")
            screen.see("That is another word.")
        screen.see("The words were not confirmed")
        screen.see("Put no money into it.")
        assert screen.end() == 1


def test_passwords_that_differ_make_no_wallet(station: Any, at_terminal: Terminals) -> None:
    person = station.person(funded=False)
    with at_terminal(person, "wallet", "create") as screen:
        screen.see("New password: ")
        screen.type(PASSWORD)
        screen.see("once more: ")
        screen.type(OTHER)
        screen.see("The two passwords differ.")
        assert screen.end() == 2
    assert not person.home.engine.keystore.exists()


def test_without_a_browser_the_page_s_address_is_shown_at_a_terminal(
    station: Any, at_terminal: Terminals
) -> None:
    person = station.person(funded=False)
    person.environment["BROWSER"] = "/bin/false"
    with at_terminal(person, "login") as screen:
        screen.see("No browser could be opened.")
        screen.see("http://127.0.0.1:")
        screen.see("#")
    assert "127.0.0.1" in screen.shown


async def test_a_no_moves_nothing(person: Any, at_terminal: Terminals, chain: EscrowClient) -> None:
    own(person)
    assert person("login", "--keystore", secrets=(PASSWORD,)).code == 0
    with at_terminal(person, "wallet", "deposit", "1") as screen:
        screen.see("Deposit 1.000000 USDC into escrow? [y/N]: ")
        screen.type("n")
        assert screen.end() == 1
    assert await chain.balance(person.signer.address, Asset.USDC) == 0
