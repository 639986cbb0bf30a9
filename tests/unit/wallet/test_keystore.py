"""The keystore file: what goes in comes out, and nothing else opens it."""

from __future__ import annotations

import copy
import itertools
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import traceback
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from p2p.chain.keys import create_keypair, load_keypair, verify
from p2p.chain.keystore import Keystore, check_password
from p2p.chain.phrase import keypair_of
from p2p.chain.sealed import Cost, Sealed, seal, unseal
from p2p.chain.secret import Secret
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused, UserError
from p2p.core.ids import Wallet

CHEAP = Cost(memory_kib=8, passes=1, lanes=1)
PASSWORD = Secret("correct horse battery")
OTHER = Secret("staple correct horse")
ADDRESS = Wallet("HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk")


class TurnedClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.time_s = 1000.0

    def now_s(self) -> float:
        return self.time_s

    def monotonic_s(self) -> float:
        return self.time_s


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "wallet.keystore", cost=CHEAP)


# -- the format


@given(st.binary(min_size=32, max_size=32), st.text(max_size=40), st.text(max_size=40))
def test_what_is_sealed_is_unsealed_by_its_password_alone(key: bytes, right: str, wrong: str) -> None:
    try:
        password, other = Secret(right), Secret(wrong)
    except UnicodeEncodeError:  # lone surrogates are not text
        return
    sealed = Sealed.from_bytes(seal(key, ADDRESS, password, CHEAP).to_bytes())
    assert unseal(sealed, password) == key
    if not same_password(right, wrong):
        with pytest.raises(Refused):
            unseal(sealed, other)


def same_password(one: str, two: str) -> bool:
    return unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", two)


def test_a_password_typed_on_another_system_is_the_same() -> None:
    sealed = seal(bytes(32), ADDRESS, Secret("gr\u00fc\u00dfe f\u00fcr alle"), CHEAP)
    assert unseal(sealed, Secret("gru\u0308\u00dfe fu\u0308r alle")) == bytes(32)


def test_every_flipped_bit_is_refused() -> None:
    data = seal(bytes(range(32)), ADDRESS, PASSWORD, CHEAP).to_bytes()
    for place in range(len(data)):
        for bit in range(8):
            broken = bytearray(data)
            broken[place] ^= 1 << bit
            with pytest.raises(UserError):
                unseal(Sealed.from_bytes(bytes(broken)), PASSWORD)


def test_every_truncation_and_any_addition_is_refused() -> None:
    data = seal(bytes(range(32)), ADDRESS, PASSWORD, CHEAP).to_bytes()
    for broken in [*(data[:size] for size in range(len(data))), data + b"\n", b" " + data, data + b"\0"]:
        with pytest.raises(UserError) as caught:
            Sealed.from_bytes(broken)
        assert caught.value.code == "bad_keystore"


@pytest.mark.parametrize("cost", [Cost(2**21, 1, 1), Cost(8, 10**6, 1), Cost(8, 1, 10**6), Cost(7, 1, 1)])
def test_a_file_cannot_ask_for_all_memory_or_time(cost: Cost) -> None:
    cheap = seal(bytes(32), ADDRESS, PASSWORD, CHEAP)
    greedy = Sealed(cheap.address, cost, cheap.salt, cheap.nonce, cheap.ciphertext)
    with pytest.raises(UserError):
        Sealed.from_bytes(greedy.to_bytes())


def test_salt_and_nonce_are_never_used_twice() -> None:
    files = [seal(bytes(32), ADDRESS, PASSWORD, CHEAP) for _ in range(50)]
    assert len({f.salt for f in files}) == len({f.nonce for f in files}) == 50


def test_the_default_cost_is_the_one_of_the_rfc() -> None:
    assert Cost() == Cost(memory_kib=64 * 1024, passes=3, lanes=4)


# -- the file


def test_a_new_wallet_comes_back_from_its_phrase(store: Keystore, tmp_path: Path) -> None:
    phrase = store.create(PASSWORD)
    assert store.address() == str(keypair_of(phrase).pubkey())
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    again = Keystore(tmp_path / "again", cost=CHEAP)
    assert again.import_phrase(phrase, OTHER) == store.address()
    with again.unlock(OTHER) as signer:
        assert verify(store.address(), b"hello", signer.sign(b"hello"))


def test_a_keypair_file_goes_in_and_comes_out_the_same(store: Keystore, tmp_path: Path) -> None:
    original = create_keypair(tmp_path / "id.json")
    assert store.import_keypair(tmp_path / "id.json", PASSWORD) == original.address
    assert store.export_keypair(PASSWORD, tmp_path / "out.json") == original.address
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads((tmp_path / "id.json").read_text())
    assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == 0o600
    assert load_keypair(tmp_path / "out.json").address == original.address
    with pytest.raises(UserError) as caught:
        store.export_keypair(PASSWORD, tmp_path / "out.json")
    assert caught.value.code == "keypair_exists"


def test_the_password_changes_and_the_old_one_is_dead(store: Keystore) -> None:
    store.create(PASSWORD)
    address = store.address()
    store.change_password(PASSWORD, OTHER)
    assert store.unlock(OTHER).address == address
    for use in (store.unlock, lambda p: store.change_password(p, OTHER)):
        with pytest.raises(Refused) as caught:
            use(PASSWORD)
        assert caught.value.code == "wrong_password"
    assert [path.name for path in store.path.parent.iterdir()] == [store.path.name]


def test_a_key_is_never_replaced_by_another(store: Keystore, tmp_path: Path) -> None:
    phrase = store.create(PASSWORD)
    before = store.path.read_bytes()
    create_keypair(tmp_path / "id.json")
    ways: list[Callable[[], object]] = [
        lambda: store.create(PASSWORD),
        lambda: store.import_phrase(phrase, PASSWORD),
        lambda: store.import_keypair(tmp_path / "id.json", PASSWORD),
    ]
    for way in ways:
        with pytest.raises(UserError) as caught:
            way()
        assert caught.value.code == "keystore_exists"
    assert store.path.read_bytes() == before


def test_a_key_made_by_somebody_else_meanwhile_is_not_replaced(
    store: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.path.write_bytes(b"theirs")
    monkeypatch.setattr(Keystore, "exists", lambda self: False)
    with pytest.raises(UserError) as caught:
        store.create(PASSWORD)
    assert caught.value.code == "keystore_exists"
    assert store.path.read_bytes() == b"theirs"


def test_an_address_of_another_key_is_refused(store: Keystore) -> None:
    store.path.write_bytes(seal(bytes(32), ADDRESS, PASSWORD, CHEAP).to_bytes())
    with pytest.raises(UserError) as caught:
        store.unlock(PASSWORD)
    assert caught.value.code == "bad_keystore"


def test_no_file_and_no_folder(store: Keystore, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        store.unlock(PASSWORD)
    assert caught.value.code == "no_keystore"
    with pytest.raises(EnvironmentFailure):
        Keystore(tmp_path / "none" / "wallet", cost=CHEAP).create(PASSWORD)


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1025, b"\xff" * 12])
def test_passwords_that_protect_nothing_are_refused(store: Keystore, password: str | bytes) -> None:
    with pytest.raises(UserError) as caught:
        store.create(Secret(password))
    assert caught.value.code == "weak_password"
    assert not store.exists()
    check_password(Secret("12345678"))


# -- crashes: every system call of a change may be the last one

CHILD = """
import os, signal, sys
from pathlib import Path
from p2p.chain.keystore import Keystore
from p2p.chain.sealed import Cost
from p2p.chain.secret import Secret
left = int(sys.argv[2])
def deadly(call):
    def wrapped(*arguments, **options):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return call(*arguments, **options)
    return wrapped
for name in ("open", "write", "fsync", "close", "replace", "unlink", "link"):
    setattr(os, name, deadly(getattr(os, name)))
store = Keystore(Path(sys.argv[1]), cost=Cost(8, 1, 1))
store.change_password(Secret("correct horse battery"), Secret("staple correct horse"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.process
def test_a_change_killed_anywhere_leaves_the_old_file_or_the_new_one(store: Keystore) -> None:
    store.create(PASSWORD)
    address, before = store.address(), store.path.read_bytes()
    opened_by = []
    for calls in range(40):
        store.path.write_bytes(before)
        child = subprocess.run([sys.executable, "-c", CHILD, str(store.path), str(calls)], timeout=60)
        opened_by.append(password_of(store))
        assert store.address() == address
        if child.returncode == -signal.SIGTERM:
            break
        assert child.returncode == -signal.SIGKILL
    else:
        pytest.fail("the change never came to its end")
    assert opened_by == sorted(opened_by, reverse=True)
    assert opened_by[0] == "old"
    assert opened_by[-1] == "new"
    assert opened_by.count("new") > 1  # killed after the new file was in place, too
    assert [path.name for path in store.path.parent.iterdir()] == [store.path.name]


def password_of(store: Keystore) -> str:
    try:
        store.unlock(PASSWORD)
        return "old"
    except Refused:
        store.unlock(OTHER)
        return "new"


def test_a_disk_that_fails_leaves_the_old_file(store: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(PASSWORD)
    before = store.path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFailure) as caught:
        store.change_password(PASSWORD, OTHER)
    assert caught.value.code == "keystore_not_written"
    assert store.path.read_bytes() == before
    assert len(list(store.path.parent.iterdir())) == 1


# -- unlocked


def test_it_locks_after_idle_time_and_every_signature_starts_it_anew(tmp_path: Path) -> None:
    clock = TurnedClock()
    store = Keystore(tmp_path / "w", clock, CHEAP)
    store.create(PASSWORD)
    signer = store.unlock(PASSWORD, idle_s=60)
    for _ in range(3):
        clock.time_s += 59
        signer.sign(b"x")
    clock.time_s += 60
    with pytest.raises(Refused) as caught:
        signer.sign(b"x")
    assert caught.value.code == "wallet_locked"
    assert signer.seconds_left() == 0
    assert not any(holders_of_key(signer))


def test_locking_wipes_the_key_in_place(store: Keystore) -> None:
    store.create(PASSWORD)
    signer = store.unlock(PASSWORD)
    (held,) = holders_of_key(signer)
    kept = memoryview(held).tobytes()
    assert any(kept)
    with signer:
        pass
    assert not held
    with pytest.raises(Refused):
        signer.sign(b"x")


def holders_of_key(signer: object) -> list[bytearray]:
    return [value for value in vars(signer).values() if isinstance(value, bytearray)]


async def test_an_idle_process_forgets_the_key_by_itself(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    class TrioClock(TurnedClock):
        def monotonic_s(self) -> float:
            return trio.current_time()

    store = Keystore(tmp_path / "w", TrioClock(), CHEAP)
    store.create(PASSWORD)
    signer = store.unlock(PASSWORD, idle_s=60)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(signer.lock_when_idle)
        await trio.sleep(50)
        signer.sign(b"x")
        await trio.sleep(50)
        assert any(holders_of_key(signer))
    assert trio.current_time() >= 110
    assert not any(holders_of_key(signer))


# -- nothing shows


def test_no_secret_in_any_text(store: Keystore, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    canary = Secret("canary-password-6f1a")
    phrase = store.create(canary)
    signer = store.unlock(canary)
    store.export_keypair(canary, tmp_path / "bare.json")
    bare = bytes(json.loads((tmp_path / "bare.json").read_text()))
    shown = [repr(x) for x in (canary, phrase, signer, store)] + [f"{canary} {phrase}", caplog.text]
    for mistake in (
        lambda: store.unlock(Secret("canary-password-wrong")),
        lambda: store.create(canary),
        lambda: store.import_phrase(Secret(phrase.text() + " zoo"), canary),
        lambda: store.import_phrase(Secret(" ".join(phrase.text().split()[:23]) + " canaryword"), canary),
        lambda: store.change_password(canary, Secret("canary")),
        lambda: store.export_keypair(canary, tmp_path / "bare.json"),
        lambda: Keystore(tmp_path / "no" / "w", cost=CHEAP).import_phrase(phrase, canary),
    ):
        shown.append(failure_text(mistake))
    everything = "\n".join(shown) + store.path.read_text()
    for secret in (canary.text(), "canary", *two_words(phrase), bare.hex(), bare[:32].hex(), str(list(bare))):
        assert secret not in everything


def failure_text(mistake: Callable[[], object]) -> str:
    """A traceback with every local variable: what a crash report may hold."""
    try:
        mistake()
    except CyxWizError as error:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        ours = [frame for frame in report.stack if "/p2p/" in frame.filename]
        assert ours
        return "".join(f"{frame.name}: {frame.locals}" for frame in ours) + repr(error) + str(error.lines())
    raise AssertionError("it was no mistake")


def two_words(phrase: Secret) -> list[str]:
    words = phrase.text().split()
    pairs = list(itertools.pairwise(words))
    return [f"{one} {two}" for one, two in pairs] + [f"{one!r}, {two!r}" for one, two in pairs]


def test_a_secret_is_neither_copied_nor_pickled() -> None:
    for copying in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copying(PASSWORD)


def test_a_wiped_secret_is_empty() -> None:
    secret = Secret("x" * 20)
    secret.wipe()
    assert len(secret) == 0
    assert secret == Secret("")
