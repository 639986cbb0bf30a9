"""From an empty localnet to a configured escrow program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from solders.keypair import Keypair

from p2p.chain.config import ChainConfig
from p2p.chain.deployment import Deployment
from p2p.chain.errors import ALREADY_EXISTS, ProgramRefused, chain_unexpected
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.instructions import Settings
from p2p.chain.keys import Signer, load_or_create_keypair, read_keypair
from p2p.chain.loader import deployed_program
from p2p.chain.owners import SignerOwner
from p2p.chain.program import escrow_program
from p2p.chain.rpc import Rpc, RpcError
from p2p.core.ids import Wallet
from p2p.core.money import Asset

OPERATOR_LAMPORTS = 100 * 10**9
"""Test money for the admin, who pays for the deployment, and for the others who sign and pay fees."""

FEE_BPS = 1000
REVIEW_WINDOW_S = 24 * 3600
LONGEST_JOB_S = 14 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator's keys on a localnet, each in a file of its own, readable by its owner only."""

    admin: Signer
    coordinator: Signer
    arbiter: Signer
    fee_owner: Signer
    program: Keypair

    @classmethod
    def in_folder(cls, folder: Path) -> Operator:
        """Read the keys; draw and write those that are not there.

        :raises UserError: a file is not a keypair.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        program = folder / "program.json"
        load_or_create_keypair(program)
        return cls(
            admin=load_or_create_keypair(folder / "admin.json"),
            coordinator=load_or_create_keypair(folder / "coordinator.json"),
            arbiter=load_or_create_keypair(folder / "arbiter.json"),
            fee_owner=load_or_create_keypair(folder / "fee-owner.json"),
            program=read_keypair(program),
        )


async def bootstrap(rpc_url: str, folder: Path, *, fee_bps: int = FEE_BPS) -> ChainConfig:
    """Deploy and configure the escrow program on the localnet at ``rpc_url``, or find that it is.

    Keys are kept in ``folder``. Can be repeated, also after it was interrupted at any point.

    :raises EnvironmentFailure: the localnet cannot be reached.
    :raises ProgramRefused: another operator's program is there.
    """
    keys = Operator.in_folder(folder)
    config = ChainConfig(
        cluster="localnet",
        rpc_urls=(rpc_url,),
        program_id=Wallet(str(keys.program.pubkey())),
        usdc_mint=await _usdc_mint(rpc_url),
    )
    async with EscrowClient(config) as chain:
        for signer in (keys.admin, keys.coordinator, keys.arbiter):
            if await chain.wallet_balance(signer.address, Asset.SOL) < OPERATOR_LAMPORTS // 2:
                await faucet(rpc_url, signer.address, Asset.SOL, OPERATOR_LAMPORTS)
        await deploy_program(chain, folder, keys, escrow_program())
        settings = Settings(keys.fee_owner.address, fee_bps, REVIEW_WINDOW_S, LONGEST_JOB_S)
        await _configure(chain, keys, settings)
        # read back: what others will rely on
        await chain.config()
        for asset in Asset:
            await chain.asset(asset)
    return config


async def deploy_program(chain: EscrowClient, folder: Path, keys: Operator, binary: bytes) -> None:
    """Deploy ``binary``, or upgrade what is there, unless it is the same; the admin pays.

    :raises ProgramRefused: the loader refuses it.
    """
    present = await deployed_program(chain)
    if present is None or not present.is_exactly(binary):
        program = keys.program if present is None else None
        deployment = Deployment(chain, folder / "deployment", binary)
        await deployment.run(SignerOwner(keys.admin), keys.admin.address, program, say=_nothing)


def _nothing(_: str) -> None:
    """On a localnet there is nobody who would wait for it."""


async def _configure(chain: EscrowClient, keys: Operator, settings: Settings) -> None:
    admin = keys.admin
    steps = [
        chain.build.init_config(
            admin.address, admin.address, keys.coordinator.address, keys.arbiter.address, settings
        ),
        *(chain.build.add_asset(admin.address, asset) for asset in Asset),
    ]
    for step in steps:
        try:
            await chain.send_and_confirm(await chain.prepare([step], admin))
        except ProgramRefused as refusal:
            if refusal.number != ALREADY_EXISTS:
                raise


async def _usdc_mint(rpc_url: str) -> Wallet:
    async with Rpc((rpc_url,)) as rpc:
        try:
            return Wallet(str(await rpc.call("cyxwizUsdcMint")))
        except RpcError as error:
            raise chain_unexpected(f"{rpc_url} is not a localnet: {error}") from None
