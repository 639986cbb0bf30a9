"""Keys and their files."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from p2p.chain.keys import Signer, create_keypair, load_keypair, load_or_create_keypair, to_pubkey, verify
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.ids import Wallet


def test_a_created_key_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    created = create_keypair(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = load_keypair(path)
    assert loaded.address == created.address == load_or_create_keypair(path).address
    assert verify(created.address, b"text", loaded.sign(b"text"))


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    address = create_keypair(path).address
    with pytest.raises(UserError) as error:
        create_keypair(path)
    assert error.value.code == "keypair_exists"
    assert load_keypair(path).address == address


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure) as error:
        create_keypair(tmp_path / "none" / "key.json")
    assert error.value.code == "keypair_not_written"


def halves_of_two() -> list[int]:
    """The secret of one key with the address of another."""
    one, other = Signer.generate(), Signer.generate()
    return list(bytes(one._keypair)[:32]) + list(bytes(to_pubkey(other.address)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"{}",
        b"[1, 2, 3]",
        json.dumps([0] * 64).encode(),
        json.dumps([256] * 64).encode(),
        json.dumps([-1] * 64).encode(),
        json.dumps([1.5] * 64).encode(),
        json.dumps([True] * 64).encode(),
        json.dumps(["1"] * 64).encode(),
        json.dumps([1] * 65).encode(),
        b"[" * 4000,
        b"\xff\xfe\x00",
        b"[1" + b" " * 5000 + b"]",
        json.dumps(halves_of_two()).encode(),
    ],
)
def test_wrong_files_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_keypair(path)
    assert error.value.code == "bad_keypair"
    assert error.value.hint


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UserError) as error:
            load_keypair(path)
        assert error.value.code == "bad_keypair"


def test_verify_says_no_to_everything_else() -> None:
    signer, other = Signer.generate(), Signer.generate()
    signature = signer.sign(b"text")
    assert verify(signer.address, b"text", signature)
    assert not verify(signer.address, b"texT", signature)
    assert not verify(other.address, b"text", signature)
    assert not verify(signer.address, b"text", signature[:-1])
    assert not verify(signer.address, b"text", b"")
    assert not verify(signer.address, b"text", bytes(64))
    assert not verify(Wallet("no address"), b"text", signature)
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    assert not verify(signer.address, b"text", flipped)


def test_a_signer_never_shows_its_secret() -> None:
    signer = Signer.generate()
    assert repr(signer) == f"Signer({signer.address})"
    assert str(signer._keypair) not in str(vars(signer).get("address"))


@pytest.mark.parametrize("text", ["", "0" * 40, "1" * 31, "1" * 45, "z" * 44, "é" * 40])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UserError) as error:
        to_pubkey(Wallet(text))
    assert error.value.code == "bad_wallet"


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_keypair(tmp_path / "key.json")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key.json").stat().st_mode) == 0o600
