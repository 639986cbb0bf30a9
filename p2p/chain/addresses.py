"""Program addresses of the escrow's accounts, and the well-known addresses around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address

from p2p.chain.config import ChainConfig
from p2p.chain.keys import to_pubkey
from p2p.core.ids import JobId, Wallet, new_job_id
from p2p.core.money import Asset

SYSTEM_PROGRAM = Pubkey.default()
TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
ATA_PROGRAM = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
COMPUTE_BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
RENT_SYSVAR = Pubkey.from_string("SysvarRent111111111111111111111111111111111")
CLOCK_SYSVAR = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")

SOL_MINT = Pubkey.default()
"""The mint that stands for SOL in the escrow's seeds and accounts: zeros."""

JOB_BUMP_MIN = 248
"""The lowest bump of a job id that is drawn here. Finding an address costs the program the more the lower its
bump is; one id in 256 is drawn again."""


@lru_cache(maxsize=4096)
def _find(program: Pubkey, *seeds: bytes) -> tuple[Pubkey, int]:
    return Pubkey.find_program_address(seeds, program)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one deployment."""

    program: Pubkey
    usdc_mint: Pubkey

    @classmethod
    def of(cls, config: ChainConfig) -> Addresses:
        return cls(to_pubkey(config.program_id), to_pubkey(config.usdc_mint))

    def mint(self, asset: Asset) -> Pubkey:
        return SOL_MINT if asset is Asset.SOL else self.usdc_mint

    def asset_of(self, mint: Pubkey) -> Asset | None:
        """Which of our assets a mint is, if any."""
        if mint == SOL_MINT:
            return Asset.SOL
        return Asset.USDC if mint == self.usdc_mint else None

    @property
    def config(self) -> Pubkey:
        return _find(self.program, b"config")[0]

    @property
    def program_data(self) -> Pubkey:
        return _find(LOADER, bytes(self.program))[0]

    def asset(self, asset: Asset) -> Pubkey:
        return _find(self.program, b"asset", bytes(self.mint(asset)))[0]

    def vault(self, asset: Asset) -> Pubkey:
        """Where the asset lies: SOL in the asset's own account, a token in its vault."""
        if asset is Asset.SOL:
            return self.asset(asset)
        return _find(self.program, b"vault", bytes(self.mint(asset)))[0]

    def balance(self, owner: Wallet, asset: Asset) -> Pubkey:
        return self.balance_and_bump(owner, asset)[0]

    def balance_and_bump(self, owner: Wallet, asset: Asset) -> tuple[Pubkey, int]:
        return _find(self.program, b"balance", bytes(self.mint(asset)), bytes(to_pubkey(owner)))

    def session(self, owner: Wallet, key: Wallet) -> Pubkey:
        return _find(self.program, b"session", bytes(to_pubkey(owner)), bytes(to_pubkey(key)))[0]

    def job(self, owner: Wallet, job_id: JobId) -> Pubkey:
        return self.job_and_bump(owner, job_id)[0]

    def job_and_bump(self, owner: Wallet, job_id: JobId) -> tuple[Pubkey, int]:
        return _find(self.program, b"job", bytes(to_pubkey(owner)), bytes.fromhex(job_id))

    def new_job_id(self, owner: Wallet) -> JobId:
        """A fresh random job id, whose account is cheap to open."""
        while True:
            job_id = new_job_id()
            if self.job_and_bump(owner, job_id)[1] >= JOB_BUMP_MIN:
                return job_id

    def token_account(self, owner: Wallet) -> Pubkey:
        """The owner's own USDC account (their associated token account)."""
        return token_account(to_pubkey(owner), self.usdc_mint)


def token_account(owner: Pubkey, mint: Pubkey) -> Pubkey:
    """The associated token account of ``owner`` for ``mint``, in the classic Token program."""
    return get_associated_token_address(owner, mint)
