"""The escrow program in the real runtime, inside this process: for tests and benchmarks.

Deployed through the real upgradeable loader. No network, no files, a clock that stands still until
it is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from solders.account import Account
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.token.state import Mint, TokenAccount, TokenAccountState
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from p2p.chain import accounts, loader
from p2p.chain.accounts import OnChainAsset, OnChainConfig, OnChainJob, OnChainSession, rent_lamports
from p2p.chain.addresses import TOKEN_PROGRAM, Addresses
from p2p.chain.errors import error_word, program_number
from p2p.chain.instructions import Builder, Settings
from p2p.chain.keys import Signer, to_pubkey, to_wallet
from p2p.chain.localnet_chain import USDC_DECIMALS, error_json
from p2p.chain.program import escrow_program
from p2p.chain.transaction import Recent, sign_all
from p2p.core.errors import Bug
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset

START_S = 1_800_000_000
SOL = 10**9
RICH_LAMPORTS = 10**15

FEE_BPS = 1000
REVIEW_WINDOW_S = 3600
LONGEST_JOB_S = 14 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a transaction: its error word and number, or none; its compute units."""

    error: str | None
    number: int | None
    units: int
    logs: list[str]

    @property
    def ok(self) -> bool:
        return self.error is None


class Sandbox:
    """A chain with the program deployed, configured, and both assets added."""

    def __init__(self, *, configured: bool = True, seed: int = 1, runtime: LiteSVM | None = None) -> None:
        self._svm = runtime or LiteSVM()
        self._drawn = seed << 32
        self.admin, self.coordinator, self.arbiter, self.fee_owner = (self.signer() for _ in range(4))
        self.mint_authority = self.signer()
        self._program = self._keypair()
        self.addresses = Addresses(self._program.pubkey(), self._keypair().pubkey())
        self.build = Builder(self.addresses)
        for signer in (self.admin, self.coordinator, self.arbiter):
            self.give_sol(signer.address, RICH_LAMPORTS)
        self.add_mint(self.addresses.usdc_mint)
        self.set_time(START_S)
        self._deploy()
        if configured:
            self.must(self.init_config(), self.admin)
            for asset in Asset:
                self.must(self.build.add_asset(self.admin.address, asset), self.admin)

    # -- people and money

    def _keypair(self) -> Keypair:
        """Seeds in order, so that a run can be repeated."""
        self._drawn += 1
        return Keypair.from_seed(self._drawn.to_bytes(32, "big"))

    def signer(self) -> Signer:
        return Signer(self._keypair())

    def person(self, *, sol: int = 1000 * SOL, usdc: int = 10**15) -> Signer:
        """Somebody with money in their wallet."""
        signer = self.signer()
        self.give_sol(signer.address, sol)
        self.give_usdc(signer.address, usdc)
        return signer

    def job_id(self) -> JobId:
        self._drawn += 1
        return JobId(f"{self._drawn:032x}")

    def give_sol(self, wallet: Wallet, lamports: int) -> None:
        self._svm.set_account(to_pubkey(wallet), Account(lamports, b"", Pubkey.default(), False))

    def give_usdc(self, wallet: Wallet, units: int) -> None:
        self.set_token_account(
            self.addresses.token_account(wallet), self.addresses.usdc_mint, to_pubkey(wallet), units
        )

    def add_mint(self, key: Pubkey, owner_program: Pubkey = TOKEN_PROGRAM) -> None:
        authority = to_pubkey(self.mint_authority.address)
        mint = Mint(authority, 0, USDC_DECIMALS, True, None)
        data = bytes(mint)
        self.set_account(key, data, owner_program)

    def set_token_account(
        self,
        key: Pubkey,
        mint: Pubkey,
        owner: Pubkey,
        units: int,
        *,
        program: Pubkey = TOKEN_PROGRAM,
        frozen: bool = False,
    ) -> None:
        state = TokenAccountState.Frozen if frozen else TokenAccountState.Initialized
        token = TokenAccount(mint, owner, units, None, state, None, 0, None)
        self.set_account(key, bytes(token), program)

    def set_account(self, key: Pubkey, data: bytes, owner: Pubkey, lamports: int | None = None) -> None:
        """Put an account there, whatever the rules say: for accounts that an attacker might bring."""
        rent = rent_lamports(len(data)) if lamports is None else lamports
        self._svm.set_account(key, Account(rent, data, owner, False))

    # -- time

    @property
    def now_s(self) -> int:
        return self._svm.get_clock().unix_timestamp

    def set_time(self, now_s: int) -> None:
        clock = self._svm.get_clock()
        clock.unix_timestamp = now_s
        self._svm.set_clock(clock)

    # -- running

    def send(self, instructions: Instruction | Sequence[Instruction], payer: Signer, *signers: Signer) -> Ran:
        """Run a transaction; the payer pays the fee."""
        listed = [instructions] if isinstance(instructions, Instruction) else instructions
        self._svm.expire_blockhash()
        signed = sign_all(listed, payer, signers, Recent(self._svm.latest_blockhash(), 0))
        result = self._execute(VersionedTransaction.from_bytes(signed.raw))
        if isinstance(result, FailedTransactionMetadata):
            meta, cause = result.meta(), error_json(result.err())
            units = meta.compute_units_consumed()
            return Ran(error_word(cause), program_number(cause), units, meta.logs())
        return Ran(None, None, result.compute_units_consumed(), result.logs())

    def _execute(self, transaction: VersionedTransaction) -> TransactionMetadata | FailedTransactionMetadata:
        """Run it; a chain that keeps its history writes it down as well."""
        return self._svm.send_transaction(transaction)

    def must(self, instructions: Instruction | Sequence[Instruction], payer: Signer, *signers: Signer) -> Ran:
        """As :meth:`send`, and the invariant holds afterwards.

        :raises Bug: the transaction fails.
        """
        ran = self.send(instructions, payer, *signers)
        if not ran.ok:
            raise Bug(f"refused: {ran.error}\n" + "\n".join(ran.logs))
        self.check_books()
        return ran

    def init_config(self) -> Instruction:
        settings = Settings(self.fee_owner.address, FEE_BPS, REVIEW_WINDOW_S, LONGEST_JOB_S)
        return self.build.init_config(
            self.admin.address,
            self.admin.address,
            self.coordinator.address,
            self.arbiter.address,
            settings,
        )

    def _deploy(self) -> None:
        program, buffer = self._program, self._keypair()
        payer, binary = to_pubkey(self.admin.address), escrow_program()
        room = len(binary) * loader.ROOM_FACTOR
        size = loader.BUFFER_HEAD_BYTES + len(binary)
        self._step(
            [
                loader.create(payer, buffer.pubkey(), size),
                loader.initialize_buffer(buffer.pubkey(), payer),
            ],
            [Signer(buffer)],
        )
        for offset in range(0, len(binary), loader.WRITE_BYTES):
            part = binary[offset : offset + loader.WRITE_BYTES]
            self._step([loader.write(buffer.pubkey(), payer, offset, part)], [])
        data_account = self.addresses.program_data
        create = loader.create(payer, program.pubkey(), loader.PROGRAM_BYTES)
        deploy = loader.deploy(payer, data_account, program.pubkey(), buffer.pubkey(), room)
        self._step([create, deploy], [Signer(program)])
        now_s = self.now_s
        self._svm.warp_to_slot(self._svm.get_clock().slot + 1)
        self.set_time(now_s)

    def _step(self, instructions: list[Instruction], signers: Iterable[Signer]) -> None:
        ran = self.send(instructions, self.admin, *signers)
        if not ran.ok:
            raise Bug(f"deployment failed: {ran.error}")

    # -- state

    def data(self, key: Pubkey) -> bytes | None:
        account = self._svm.get_account(key)
        return bytes(account.data) if account is not None and account.lamports else None

    def lamports(self, key: Pubkey) -> int:
        return self._svm.get_balance(key) or 0

    def owner_of(self, key: Pubkey) -> Pubkey | None:
        account = self._svm.get_account(key)
        return account.owner if account is not None else None

    def _found(self, key: Pubkey) -> bytes:
        data = self.data(key)
        if data is None:
            raise Bug(f"no account {key}")
        return data

    def config(self) -> OnChainConfig:
        return accounts.decode_config(self._found(self.addresses.config))

    def asset(self, asset: Asset) -> OnChainAsset:
        return accounts.decode_asset(self._found(self.addresses.asset(asset)))

    def balance(self, wallet: Wallet, asset: Asset) -> int:
        data = self.data(self.addresses.balance(wallet, asset))
        return 0 if data is None else accounts.decode_balance(data).available_units

    def session(self, owner: Wallet, key: Wallet) -> OnChainSession | None:
        data = self.data(self.addresses.session(owner, key))
        return None if data is None else accounts.decode_session(data)

    def job(self, owner: Wallet, job_id: JobId) -> OnChainJob:
        return accounts.decode_job(self._found(self.addresses.job(owner, job_id)))

    def jobs(self) -> list[OnChainJob]:
        """Every job that was opened and not closed."""
        found = self._svm.get_program_accounts(self.addresses.program)
        raw = (bytes(account.data) for _, account in found if account.lamports)
        return [accounts.decode_job(data) for data in raw if data[:1] == bytes([accounts.JOB_TAG])]

    def wallet_units(self, wallet: Wallet, asset: Asset) -> int:
        if asset is Asset.SOL:
            return self.lamports(to_pubkey(wallet))
        data = self.data(self.addresses.token_account(wallet))
        return 0 if data is None else accounts.token_amount(data)

    def vault(self, asset: Asset) -> int:
        if asset is Asset.SOL:
            return self.lamports(self.addresses.asset(asset)) - rent_lamports(accounts.ASSET_BYTES)
        return accounts.token_amount(self._found(self.addresses.vault(asset)))

    def check_books(self) -> None:
        """The invariant: vault ≥ owed, and owed = Σ balances + Σ deposits of open jobs, exactly.

        :raises Bug: it does not hold.
        """
        held: dict[Wallet, int] = {}
        owed: dict[Wallet, int] = {}
        for _, account in self._svm.get_program_accounts(self.addresses.program):
            data = bytes(account.data)
            tag = data[0] if account.lamports and data else 0
            if tag == accounts.ASSET_TAG:
                asset = accounts.decode_asset(data)
                owed[asset.mint] = asset.owed_units
            elif tag == accounts.BALANCE_TAG:
                balance = accounts.decode_balance(data)
                held[balance.mint] = held.get(balance.mint, 0) + balance.available_units
            elif tag == accounts.JOB_TAG:
                job = accounts.decode_job(data)
                if not job.status.final:
                    held[job.mint] = held.get(job.mint, 0) + job.deposit_units
        for asset_kind in Asset:
            mint = to_wallet(self.addresses.mint(asset_kind))
            if mint not in owed:
                continue
            if held.get(mint, 0) != owed[mint]:
                raise Bug(f"{asset_kind}: owed {owed[mint]}, but people hold {held.get(mint, 0)}")
            if self.vault(asset_kind) < owed[mint]:
                raise Bug(f"{asset_kind}: the vault holds {self.vault(asset_kind)} of {owed[mint]}")
