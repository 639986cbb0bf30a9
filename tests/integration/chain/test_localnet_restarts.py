"""What stays of a localnet when it is killed, restarted, or deployed to again."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from solders.hash import Hash

from p2p.chain.config import ChainConfig
from p2p.chain.deploy import bootstrap, deploy_program
from p2p.chain.errors import ProgramRefused
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.instructions import transfer_lamports
from p2p.chain.keys import Signer
from p2p.chain.loader import deployed_program
from p2p.chain.localnet import open_localnet
from p2p.chain.localnet_chain import LocalChain, NotLanded
from p2p.chain.localnet_methods import MethodError, Methods
from p2p.chain.program import escrow_program
from p2p.chain.transaction import Recent, sign_all
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.ids import Wallet
from p2p.core.money import Asset

SOL = 10**9
START = "import sys; from pathlib import Path; from p2p.chain.localnet import run_localnet; "
START += "run_localnet(Path(sys.argv[1]), int(sys.argv[2]))"


class Process:
    """The localnet as it is run: a process of its own."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, str(folder), str(port)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def end(self, number: signal.Signals) -> tuple[int, str]:
        self._process.send_signal(number)
        rest, _ = self._process.communicate(timeout=30)
        return self._process.returncode, rest


@pytest.mark.process
def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    folder, keys = tmp_path / "net", tmp_path / "keys"
    process = Process(folder)
    config = trio.run(bootstrap, process.url, keys)
    wallet = Signer.generate().address
    trio.run(faucet, process.url, wallet, Asset.SOL, SOL)
    trio.run(faucet, process.url, wallet, Asset.USDC, 77)
    assert process.end(signal.SIGKILL) == (-signal.SIGKILL, "")
    port = int(process.url.rpartition(":")[2])

    process = Process(folder, port)
    assert process.url == config.rpc_urls[0]

    async def check() -> None:
        async with EscrowClient(config) as chain:
            assert await chain.wallet_balance(wallet, Asset.SOL) == SOL
            assert await chain.wallet_balance(wallet, Asset.USDC) == 77
            assert (await chain.config()).fee_bps == 1000
            assert len(await chain.ask("getSignaturesForAddress", wallet)) == 2  # type: ignore[arg-type]

    trio.run(check)
    assert trio.run(bootstrap, process.url, keys) == config
    assert process.end(signal.SIGTERM) == (0, "")
    assert sorted(os.listdir(tmp_path)) == ["keys", "net"]


def test_a_record_cut_off_by_a_crash_is_dropped(tmp_path: Path) -> None:
    server, chain = open_localnet(tmp_path, 0)
    wallet = Signer.generate().address
    chain.send_as_faucet([transfer_lamports(Wallet(str(chain.faucet.pubkey())), wallet, SOL)])
    chain.close()
    server.server_close()
    journal = tmp_path / "localnet.journal"
    whole = journal.read_bytes()
    for torn in (whole + b"\x09\0\0\0", whole + whole[-40:], whole[:-1]):
        journal.write_bytes(torn)
        server, chain = open_localnet(tmp_path, 0)
        assert len(chain.landed) == (0 if torn == whole[:-1] else 1)
        chain.close()
        server.server_close()


def test_one_folder_one_localnet(net: Any) -> None:
    with pytest.raises(EnvironmentFailure) as error:
        open_localnet(net.folder / "net", 0)
    assert error.value.code == "localnet_folder"


def test_a_port_that_is_taken(net: Any, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure) as error:
        open_localnet(tmp_path / "other", net.server.server_address[1])
    assert error.value.code == "localnet_port"


class Hands:
    """A clock that is set by hand."""

    now = 1_000_000.0

    def now_s(self) -> float:
        return self.now

    def monotonic_s(self) -> float:
        return self.now


def test_the_chains_clock_follows_the_real_one_and_never_goes_back(tmp_path: Path) -> None:
    hands = Hands()
    server, chain = open_localnet(tmp_path, 0, hands)
    first = chain.slot()
    hands.now += 4
    assert chain.slot() == first + 10
    hands.now -= 1000
    assert chain.slot() == first + 10
    chain.advance(2000)
    assert chain.now_s() == 1_001_004.0
    ahead = chain.slot()
    chain.close()
    server.server_close()
    server, chain = open_localnet(tmp_path, 0, hands)
    assert (chain.slot(), chain.now_s()) == (ahead, 1_001_004.0)
    chain.close()
    server.server_close()


# -- deployment


def test_a_blockhash_dies_exactly_after_its_last_valid_height(tmp_path: Path) -> None:
    """The height that the client is told, not one block more or less."""
    clock = Hands()
    chain = LocalChain(tmp_path, clock)
    methods = Methods(chain)
    payer = Signer.generate()
    methods.answer("requestAirdrop", [payer.address, 10**9])
    made = methods.answer("getLatestBlockhash", [])["value"]
    recent = Recent(Hash.from_string(made["blockhash"]), made["lastValidBlockHeight"])
    assert made["lastValidBlockHeight"] == chain.slot() + 150
    last, late = (
        sign_all([transfer_lamports(payer.address, payer.address, units)], payer, (), recent)
        for units in (1, 2)
    )
    for height, transaction, lands in ((0, last, True), (1, late, False)):
        while chain.slot() < made["lastValidBlockHeight"] + height:
            clock.now += 0.1
        send = [base64.b64encode(transaction.raw).decode(), {"encoding": "base64"}]
        if lands:
            assert methods.answer("sendTransaction", send) == transaction.signature
        else:
            with pytest.raises(MethodError) as error:
                methods.answer("sendTransaction", send)
            assert error.value.data["err"] == "BlockhashNotFound"  # type: ignore[index]
    chain.close()


async def test_another_build_of_the_program_is_an_upgrade(net: Any) -> None:
    """Money and configuration stay; the code changes; and back again."""
    keys, config = net.keys, net.config()
    async with EscrowClient(config) as chain:
        other = bytearray(escrow_program())
        assert other.count(b"session") >= 1
        other[other.index(b"session")] ^= 1
        await deploy_program(chain, net.folder, keys, bytes(other))
        found = await deployed_program(chain)
        assert found is not None
        assert found.is_exactly(bytes(other))
        landed = len(net.chain.landed)
        await deploy_program(chain, net.folder, keys, bytes(other))
        assert len(net.chain.landed) == landed
    assert await bootstrap(net.url, net.folder) == config
    async with EscrowClient(config) as chain:
        found = await deployed_program(chain)
        assert found is not None
        assert found.is_exactly(escrow_program())
        assert found.authority == keys.admin.address
        assert (await chain.config()).coordinator == keys.coordinator.address


@pytest.mark.parametrize("steps", [1, 2, 30])
async def test_a_bootstrap_that_was_interrupted_goes_on(empty_net: Any, steps: int) -> None:
    """Cut off after so many transactions of the deployment, and begun again."""
    send = empty_net.chain.send
    left = [steps]

    def cut_off(transaction: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise NotLanded("the localnet went away")
        return send(transaction)

    empty_net.chain.send = cut_off
    with pytest.raises((ProgramRefused, Refused)):
        await bootstrap(empty_net.url, empty_net.folder)
    empty_net.chain.send = send
    config = await bootstrap(empty_net.url, empty_net.folder)
    async with EscrowClient(config) as chain:
        assert (await chain.asset(Asset.USDC)).enabled


async def test_bootstrap_wants_a_localnet(net: Any) -> None:
    with pytest.raises(EnvironmentFailure) as error:
        await bootstrap("http://127.0.0.1:9", net.folder)
    assert error.value.code == "chain_unreachable"


def test_the_configuration_is_one_table(net: Any) -> None:
    text = (net.folder / "chain.toml").read_text()
    assert text.startswith("[chain]\n")
    assert ChainConfig.load(net.folder / "chain.toml") == net.config()
