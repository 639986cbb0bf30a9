"""The localnet's journal: whole records or none, whatever happens while one is written."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.chain.instructions import transfer_lamports
from p2p.chain.keys import Signer, to_wallet
from p2p.chain.localnet_chain import LocalChain, NotLanded
from p2p.chain.localnet_journal import Journal
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import EnvironmentFailure


def opened(path: Path) -> tuple[Journal, list[Any]]:
    journal = Journal(path)
    return journal, list(journal.records())


class FullDisk:
    """Takes a part of what is written, and then no more."""

    def __init__(self, file: Any, room_bytes: int, *, says_so: bool) -> None:
        self._file, self._room_bytes, self._says_so = file, room_bytes, says_so

    def write(self, data: bytes) -> int:
        written: int = self._file.write(data[: self._room_bytes])
        if self._says_so:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_records_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal, records = opened(path)
    assert records == []
    for number in range(5):
        journal.append({"n": number})
    journal.drop_last()
    journal.append({"n": "five"})
    journal.close()
    journal, records = opened(path)
    journal.close()
    assert records == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}, {"n": "five"}]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("says_so", [True, False])
@pytest.mark.parametrize("room_bytes", [0, 5, 9])
def test_a_full_disk_leaves_whole_records(tmp_path: Path, room_bytes: int, says_so: bool) -> None:
    path = tmp_path / "a.journal"
    journal, _ = opened(path)
    journal.append({"n": 1})
    real = journal._file
    journal._file = FullDisk(real, room_bytes, says_so=says_so)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left"):
        journal.append({"n": 2})
    journal._file = real
    journal.append({"n": 3})
    journal.close()
    journal, records = opened(path)
    journal.close()
    assert records == [{"n": 1}, {"n": 3}]


@given(keep=st.integers(0, 200), junk=st.binary(max_size=30))
def test_what_is_cut_off_is_dropped_and_the_rest_stays(
    tmp_path_factory: pytest.TempPathFactory, keep: int, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("journal") / "a.journal"
    journal, _ = opened(path)
    ends = [0]
    for number in range(8):
        journal.append({"n": number})
        ends.append(path.stat().st_size)
    journal.close()
    path.write_bytes(path.read_bytes()[:keep] + junk)
    journal, records = opened(path)
    whole = sum(1 for end in ends[1:] if end <= keep)
    assert records[:whole] == [{"n": number} for number in range(whole)]
    journal.append({"n": "next"})
    journal.close()
    journal, again = opened(path)
    journal.close()
    assert again == [*records, {"n": "next"}]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path / "a.journal")
    with pytest.raises(EnvironmentFailure):
        Journal(tmp_path / "a.journal")
    journal.close()
    Journal(tmp_path / "a.journal").close()


def test_what_did_not_land_is_not_written_and_what_was_not_written_did_not_land(tmp_path: Path) -> None:
    chain = LocalChain(tmp_path, SYSTEM_CLOCK)
    faucet, wallet = to_wallet(chain.faucet.pubkey()), Signer.generate()
    chain.send_as_faucet([transfer_lamports(faucet, wallet.address, 10**9)])
    size_bytes = (tmp_path / "localnet.journal").stat().st_size
    poor = chain.faucet = Signer.generate()._keypair
    with pytest.raises(NotLanded):  # the payer has nothing and cannot pay the fee
        chain.send_as_faucet([transfer_lamports(to_wallet(poor.pubkey()), wallet.address, 1)])
    assert (tmp_path / "localnet.journal").stat().st_size == size_bytes
    chain.faucet = wallet._keypair
    real = chain._journal._file
    chain._journal._file = FullDisk(real, 3, says_so=True)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left"):
        chain.send_as_faucet([transfer_lamports(wallet.address, wallet.address, 1)])
    chain._journal._file = real
    assert chain.lamports(wallet._keypair.pubkey()) == 10**9
    chain.close()
    again = LocalChain(tmp_path, SYSTEM_CLOCK)
    assert again.lamports(wallet._keypair.pubkey()) == 10**9
    again.close()
