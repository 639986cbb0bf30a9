"""The [chain] table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from p2p.chain.config import ChainConfig
from p2p.chain.keys import Signer
from p2p.core.errors import UserError

PROGRAM, MINT = Signer.generate().address, Signer.generate().address
TABLE: dict[str, Any] = {
    "cluster": "devnet",
    "rpc_url": "https://one.example/key",
    "program_id": PROGRAM,
    "usdc_mint": MINT,
}


def test_it_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "chain.toml"
    config = ChainConfig("localnet", ("http://127.0.0.1:1", "http://127.0.0.1:2"), PROGRAM, MINT, "finalized")
    config.save(path)
    assert ChainConfig.load(path) == config
    assert [entry.name for entry in tmp_path.iterdir()] == ["chain.toml"]


def test_one_url_or_several_and_a_default_commitment() -> None:
    assert ChainConfig.from_table(TABLE).rpc_urls == ("https://one.example/key",)
    assert ChainConfig.from_table(TABLE).commitment == "confirmed"
    several = ChainConfig.from_table({**TABLE, "rpc_url": ["http://a", "http://b"]})
    assert several.rpc_urls == ("http://a", "http://b")


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster": "testnet"},
        {"cluster": None},
        {"cluster": 1},
        {"commitment": "processed"},
        {"rpc_url": []},
        {"rpc_url": "ftp://x"},
        {"rpc_url": 'http://x"'},
        {"rpc_url": "http://x\n"},
        {"rpc_url": ["http://x"] * 9},
        {"rpc_url": ["http://x", 3]},
        {"rpc_url": None},
        {"program_id": "0" * 40},
        {"program_id": None},
        {"usdc_mint": 5},
        {"unknown": 1},
    ],
)
def test_everything_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        ChainConfig.from_table({**TABLE, **changes})


@pytest.mark.parametrize("text", ["", "chain = 3", "[chain", "[other]\nx = 1"])
def test_files_without_such_a_table(tmp_path: Path, text: str) -> None:
    path = tmp_path / "chain.toml"
    path.write_text(text)
    with pytest.raises(UserError):
        ChainConfig.load(path)
    with pytest.raises(UserError):
        ChainConfig.load(tmp_path / "none.toml")
