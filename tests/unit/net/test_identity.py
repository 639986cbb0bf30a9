"""Peer keys on disk, and signatures that a peer id proves."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.net.identity import PeerIdentity, public_key_of, verify_peer_signature


def test_a_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "peer.key"
    first = PeerIdentity.load_or_create(path)
    assert PeerIdentity.load_or_create(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["peer.key"]  # nothing left over


def test_the_peer_id_is_the_librarys() -> None:
    identity = PeerIdentity.ephemeral()
    assert identity.peer_id == ID.from_pubkey(create_new_key_pair(identity.seed).public_key).to_base58()
    assert identity.peer_id.startswith("12D3KooW")


def test_the_key_is_never_shown() -> None:
    identity = PeerIdentity.ephemeral()
    assert repr(identity) == f"PeerIdentity({identity.peer_id})"
    assert identity.seed.hex() not in f"{identity} {identity!r}"


def test_programs_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "peer.key"
    together = threading.Barrier(8)
    got: list[PeerIdentity] = []

    def start() -> None:
        together.wait()
        got.append(PeerIdentity.load_or_create(path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len({identity.peer_id for identity in got}) == 1
    assert os.listdir(tmp_path) == ["peer.key"]


@pytest.mark.parametrize("content", [b"", bytes(31), bytes(33), b"another kind of key file"])
def test_a_damaged_key_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "peer.key"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        PeerIdentity.load_or_create(path)
    assert caught.value.code == "bad_peer_key"
    assert path.read_bytes() == content


def test_an_unusable_folder_is_an_error_of_three_parts(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentFailure) as caught:
        PeerIdentity.load_or_create(tmp_path / "file" / "peer.key")
    assert len(caught.value.lines()) == 3


@given(st.binary(max_size=100), st.binary(min_size=32, max_size=32))
def test_a_signature_holds_for_its_message_and_signer_only(message: bytes, seed: bytes) -> None:
    identity, other = PeerIdentity(seed), PeerIdentity.ephemeral()
    signature = identity.sign(message)
    assert verify_peer_signature(identity.peer_id, message, signature)
    assert not verify_peer_signature(identity.peer_id, message + b"x", signature)
    assert not verify_peer_signature(other.peer_id, message, signature)
    assert not verify_peer_signature(identity.peer_id, message, signature[:-1] + bytes((signature[-1] ^ 1,)))


@given(st.text(max_size=80))
def test_junk_is_no_peer_id(text: str) -> None:
    assert not verify_peer_signature(text, b"", bytes(64))
    with pytest.raises(UserError):
        public_key_of(text)


def test_only_ed25519_peer_ids_count() -> None:
    rsa_like = base58.b58encode(b"\x12\x20" + bytes(32)).decode()
    secp = base58.b58encode(b"\x00\x25\x08\x02\x12\x21" + bytes(33)).decode()
    for peer_id in (rsa_like, secp):
        with pytest.raises(UserError):
            public_key_of(peer_id)
