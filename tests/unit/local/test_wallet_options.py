"""The options that name the wallet which signs, and the wallets that they become."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from solders.keypair import Keypair

from p2p.chain.owners import BrowserOwner, KeypairOwner, owner_for
from p2p.core.errors import Refused, UserError
from p2p.core.ids import Wallet
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.local.wallet_options import wallet_options


@click.command()
@wallet_options
def command(choice: WalletChoice | None) -> None:
    click.echo("none" if choice is None else choice.options)


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYXWIZ_HOME", "/home-of-tests")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "none"),
        (["--browser"], "--browser"),
        (["--keystore"], "--keystore /home-of-tests/engine/wallet.keystore"),
        (["--keystore", "/k"], "--keystore /k"),
        (["--keypair", "/p"], "--keypair /p"),
    ],
)
def test_the_choice(arguments: list[str], said: str) -> None:
    assert CliRunner().invoke(command, arguments).output.strip() == said


@pytest.mark.parametrize("arguments", [["--browser", "--keypair", "/p"], ["--keypair", "/p", "--keystore"]])
def test_one_wallet_at_a_time(arguments: list[str]) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    assert "exclude each other" in done.output


async def test_a_file_that_changed_hands_signs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(list(bytes(Keypair()))))
    other = Wallet(str(Keypair().pubkey()))
    owner = owner_for(WalletChoice(WalletKind.KEYPAIR, file), print, other)
    assert owner.wallet == other
    with pytest.raises(Refused) as caught:
        await owner.answer([])
    assert caught.value.code == "other_wallet"


def test_wallets_of_each_kind(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    keypair = Keypair()
    file.write_text(json.dumps(list(bytes(keypair))))
    named = owner_for(WalletChoice(WalletKind.KEYPAIR, file), print)
    assert isinstance(named, KeypairOwner)
    assert named.wallet == str(keypair.pubkey())
    assert isinstance(owner_for(WalletChoice(WalletKind.BROWSER), print), BrowserOwner)
    with pytest.raises(UserError):
        owner_for(WalletChoice(WalletKind.KEYSTORE, tmp_path / "none"), print)
