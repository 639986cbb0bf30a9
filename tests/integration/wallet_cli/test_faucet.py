"""``cyxwiz wallet faucet``."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.process


def test_a_local_network_gives_test_money(station: Any) -> None:
    person = station.person(funded=False)
    assert person("login", "--keypair", str(person.keypair_file)).code == 0
    person("wallet", "faucet", "1", "--asset", "sol")
    found = person("wallet", "faucet", "2.5", "--json").json
    assert [entry["wallet_units"] for entry in found["assets"]] == [10**9, 2_500_000]
    config = person.home.config
    config.write_text(config.read_text().replace('cluster = "localnet"', 'cluster = "mainnet"'))
    refused = person("wallet", "faucet", "1")
    assert refused.code == 4
    assert "The network mainnet gives no USDC away." in refused.stderr
