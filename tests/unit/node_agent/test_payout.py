"""Which wallet a node is paid to, and how its login stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from p2p.chain.keys import Signer, create_keypair
from p2p.core.errors import UserError
from p2p.core.limits import LOGIN_SOON_S
from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.node.checks import _wallet
from p2p.node.payout import LoginState, load_payout, logged_in, login_words
from p2p.node.settings import NodeSettings, change_settings

NOW_S = 1_780_000_000.0
WALLET = Signer.generate().address
BROWSER = WalletChoice(WalletKind.BROWSER)


def test_a_node_has_a_wallet_of_its_own(tmp_path: Path) -> None:
    first = load_payout(tmp_path, NodeSettings())
    assert first.own
    assert first.signer is not None
    assert load_payout(tmp_path, NodeSettings()).wallet == first.wallet == first.signer.address
    assert first.login(NOW_S) is None
    assert str(list(json.loads((tmp_path / "wallet.json").read_text()))) not in repr(first)


def test_a_login_decides_who_is_paid_until_something_else_does(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    signer = create_keypair(file)
    browser = logged_in(NodeSettings(wallet_keypair="/old.json"), BROWSER, WALLET, NOW_S)
    assert load_payout(tmp_path, browser).wallet == WALLET
    assert load_payout(tmp_path, browser).signer is None
    assert load_payout(tmp_path, browser).login_command == "cyxwiz-node login --browser"
    keystore = logged_in(browser, WalletChoice(WalletKind.KEYSTORE, file), WALLET, NOW_S)
    assert load_payout(tmp_path, keystore).login_command == f"cyxwiz-node login --keystore {file}"
    keypair = logged_in(keystore, WalletChoice(WalletKind.KEYPAIR, file), signer.address, NOW_S)
    assert keypair == NodeSettings(wallet_keypair=str(file))
    assert load_payout(tmp_path, keypair).wallet == signer.address
    set_again = change_settings(browser, {"wallet_keypair": str(file)})
    assert load_payout(tmp_path, set_again).wallet == signer.address
    assert load_payout(tmp_path, change_settings(browser, {"wallet_keypair": ""})).own
    assert load_payout(tmp_path, change_settings(browser, {"available": False})).wallet == WALLET


def test_a_file_whose_name_could_not_be_read_back_is_refused() -> None:
    with pytest.raises(UserError):
        logged_in(NodeSettings(), WalletChoice(WalletKind.KEYSTORE, Path("/" + "x" * 300)), WALLET, NOW_S)


@pytest.mark.parametrize(
    ("left_s", "state", "ok", "required"),
    [
        (LOGIN_SOON_S + 60, LoginState.GOOD, True, False),
        (LOGIN_SOON_S - 60, LoginState.ENDS_SOON, False, False),
        (0, LoginState.ENDED, False, True),
        (-1e6, LoginState.ENDED, False, True),
    ],
)
def test_a_login_that_ends_is_said_with_the_command_to_run(
    tmp_path: Path, left_s: float, state: LoginState, ok: bool, required: bool
) -> None:
    payout = load_payout(tmp_path, logged_in(NodeSettings(), BROWSER, WALLET, NOW_S + left_s))
    assert payout.login(NOW_S) is state
    row = _wallet(payout, NOW_S)
    assert (row.ok, row.required) == (ok, required)
    assert WALLET in row.found
    assert ("cyxwiz-node login --browser" in row.fix) is not ok
    assert ("no new ones come" in login_words(payout, state)) is (state is LoginState.ENDED)
