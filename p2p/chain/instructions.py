"""Builders of the escrow program's instructions. Accounts and data as in ``docs/escrow.md``."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from p2p.chain.addresses import ATA_PROGRAM, SYSTEM_PROGRAM, TOKEN_PROGRAM, Addresses, token_account
from p2p.chain.keys import to_pubkey
from p2p.core.ids import HASH_BYTES, JobId, Wallet
from p2p.core.money import Asset

Step = Instruction
"""One instruction, for those who put them together without knowing the chain's libraries."""


class Tag(IntEnum):
    """The first byte of an instruction's data. Numbers are for ever."""

    INIT_CONFIG = 0
    SET_CONFIG = 1
    PROPOSE_AUTHORITY = 2
    ACCEPT_AUTHORITY = 3
    ADD_ASSET = 4
    DISABLE_ASSET = 5
    DEPOSIT = 6
    WITHDRAW = 7
    AUTHORIZE = 8
    REVOKE = 9
    OPEN = 10
    TOP_UP = 11
    ASSIGN = 12
    CANCEL = 13
    SETTLE = 14
    CLAIM = 15
    DISPUTE = 16
    RESOLVE = 17
    FINALIZE = 18
    REFUND = 19
    RECLAIM = 20
    CLOSE = 21


class Role(IntEnum):
    """Whose key ProposeAuthority and AcceptAuthority change."""

    ADMIN = 0
    COORDINATOR = 1
    ARBITER = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """What the admin may set, within the program's bounds."""

    fee_owner: Wallet
    fee_bps: int
    review_window_s: int
    longest_job_s: int
    paused: bool = False


def signer(key: Pubkey, *, writable: bool = False) -> AccountMeta:
    return AccountMeta(key, is_signer=True, is_writable=writable)


def writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def readonly(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)


def hash32(value: bytes) -> bytes:
    """:raises ValueError: not 32 bytes."""
    if len(value) != HASH_BYTES:
        raise ValueError(f"a hash has {HASH_BYTES} bytes, not {len(value)}")
    return value


class Builder:
    """Instructions for one deployment."""

    def __init__(self, addresses: Addresses) -> None:
        self.at = addresses

    def _instruction(self, tag: Tag, accounts: list[AccountMeta], data: bytes = b"") -> Instruction:
        return Instruction(self.at.program, bytes([tag]) + data, accounts)

    def _session(self, actor: Wallet, owner: Wallet, *, spends: bool) -> list[AccountMeta]:
        """The session account, where somebody else acts for the owner."""
        if actor == owner:
            return []
        key = self.at.session(owner, actor)
        return [writable(key) if spends else readonly(key)]

    # -- operator

    def init_config(
        self, authority: Wallet, admin: Wallet, coordinator: Wallet, arbiter: Wallet, settings: Settings
    ) -> Instruction:
        keys = b"".join(bytes(to_pubkey(key)) for key in (admin, coordinator, arbiter, settings.fee_owner))
        data = keys + struct.pack("<Hqq", settings.fee_bps, settings.review_window_s, settings.longest_job_s)
        accounts = [
            signer(to_pubkey(authority), writable=True),
            writable(self.at.config),
            readonly(self.at.program_data),
            readonly(SYSTEM_PROGRAM),
        ]
        return self._instruction(Tag.INIT_CONFIG, accounts, data)

    def set_config(self, admin: Wallet, settings: Settings) -> Instruction:
        numbers = (settings.fee_bps, settings.review_window_s, settings.longest_job_s, settings.paused)
        data = bytes(to_pubkey(settings.fee_owner)) + struct.pack("<Hqq?", *numbers)
        return self._instruction(Tag.SET_CONFIG, [signer(to_pubkey(admin)), writable(self.at.config)], data)

    def propose_authority(self, holder: Wallet, role: Role, successor: Wallet | None) -> Instruction:
        key = to_pubkey(successor) if successor else Pubkey.default()
        accounts = [signer(to_pubkey(holder)), writable(self.at.config)]
        return self._instruction(Tag.PROPOSE_AUTHORITY, accounts, bytes([role]) + bytes(key))

    def accept_authority(self, successor: Wallet, role: Role) -> Instruction:
        accounts = [signer(to_pubkey(successor)), writable(self.at.config)]
        return self._instruction(Tag.ACCEPT_AUTHORITY, accounts, bytes([role]))

    def add_asset(self, admin: Wallet, asset: Asset) -> Instruction:
        accounts = [
            signer(to_pubkey(admin), writable=True),
            readonly(self.at.config),
            writable(self.at.asset(asset)),
            readonly(SYSTEM_PROGRAM),
        ]
        if asset is not Asset.SOL:
            vault = self.at.vault(asset)
            accounts += [readonly(self.at.mint(asset)), writable(vault), readonly(TOKEN_PROGRAM)]
        return self._instruction(Tag.ADD_ASSET, accounts)

    def disable_asset(self, admin: Wallet, asset: Asset) -> Instruction:
        accounts = [signer(to_pubkey(admin)), readonly(self.at.config), writable(self.at.asset(asset))]
        return self._instruction(Tag.DISABLE_ASSET, accounts)

    # -- people

    def deposit(self, owner: Wallet, asset: Asset, units: int) -> Instruction:
        accounts = [
            signer(to_pubkey(owner), writable=True),
            readonly(self.at.config),
            writable(self.at.asset(asset)),
            writable(self.at.balance(owner, asset)),
            readonly(SYSTEM_PROGRAM),
            *self._token_accounts(owner, asset),
        ]
        return self._instruction(Tag.DEPOSIT, accounts, struct.pack("<Q", units))

    def withdraw(self, owner: Wallet, asset: Asset, units: int) -> Instruction:
        accounts = [
            signer(to_pubkey(owner), writable=True),
            writable(self.at.asset(asset)),
            writable(self.at.balance(owner, asset)),
            *self._token_accounts(owner, asset),
        ]
        return self._instruction(Tag.WITHDRAW, accounts, struct.pack("<Q", units))

    def _token_accounts(self, owner: Wallet, asset: Asset) -> list[AccountMeta]:
        if asset is Asset.SOL:
            return []
        return [
            writable(self.at.token_account(owner)),
            writable(self.at.vault(asset)),
            readonly(TOKEN_PROGRAM),
        ]

    def authorize(
        self, owner: Wallet, key: Wallet, asset: Asset, allowance_units: int, expires_at_s: int
    ) -> Instruction:
        accounts = [
            signer(to_pubkey(owner), writable=True),
            writable(self.at.session(owner, key)),
            readonly(self.at.asset(asset)),
            readonly(SYSTEM_PROGRAM),
        ]
        data = bytes(to_pubkey(key)) + struct.pack("<Qq", allowance_units, expires_at_s)
        return self._instruction(Tag.AUTHORIZE, accounts, data)

    def revoke(self, owner: Wallet, key: Wallet) -> Instruction:
        accounts = [signer(to_pubkey(owner), writable=True), writable(self.at.session(owner, key))]
        return self._instruction(Tag.REVOKE, accounts)

    # -- buyer

    def open(
        self,
        actor: Wallet,
        owner: Wallet,
        job_id: JobId,
        asset: Asset,
        *,
        deposit_units: int,
        terms_hash: bytes,
        run_s: int,
        payer: Wallet | None = None,
    ) -> Instruction:
        """``payer`` bears the account's rent (default: the actor)."""
        accounts = [
            signer(to_pubkey(actor), writable=payer in (None, actor)),
            signer(to_pubkey(payer or actor), writable=True),
            readonly(self.at.config),
            readonly(self.at.asset(asset)),
            writable(self.at.balance(owner, asset)),
            writable(self.at.job(owner, job_id)),
            readonly(SYSTEM_PROGRAM),
            *self._session(actor, owner, spends=True),
        ]
        data = bytes.fromhex(job_id) + struct.pack("<Q", deposit_units) + hash32(terms_hash)
        return self._instruction(Tag.OPEN, accounts, data + struct.pack("<q", run_s))

    def top_up(self, actor: Wallet, owner: Wallet, job_id: JobId, asset: Asset, units: int) -> Instruction:
        accounts = [
            signer(to_pubkey(actor)),
            readonly(self.at.config),
            readonly(self.at.asset(asset)),
            writable(self.at.balance(owner, asset)),
            writable(self.at.job(owner, job_id)),
            *self._session(actor, owner, spends=True),
        ]
        return self._instruction(Tag.TOP_UP, accounts, struct.pack("<Q", units))

    def cancel(self, actor: Wallet, owner: Wallet, job_id: JobId, asset: Asset) -> Instruction:
        accounts = [
            signer(to_pubkey(actor)),
            *self._job_and_balance(owner, job_id, asset),
            *self._session(actor, owner, spends=False),
        ]
        return self._instruction(Tag.CANCEL, accounts)

    def dispute(self, actor: Wallet, owner: Wallet, job_id: JobId) -> Instruction:
        accounts = [
            signer(to_pubkey(actor)),
            writable(self.at.job(owner, job_id)),
            *self._session(actor, owner, spends=False),
        ]
        return self._instruction(Tag.DISPUTE, accounts)

    def _job_and_balance(self, owner: Wallet, job_id: JobId, asset: Asset) -> list[AccountMeta]:
        return [writable(self.at.job(owner, job_id)), writable(self.at.balance(owner, asset))]

    # -- coordinator and arbiter

    def assign(
        self, coordinator: Wallet, owner: Wallet, job_id: JobId, asset: Asset, node: Wallet, fee_owner: Wallet
    ) -> Instruction:
        accounts = [
            signer(to_pubkey(coordinator), writable=True),
            writable(self.at.job(owner, job_id)),
            writable(self.at.balance(node, asset)),
            writable(self.at.balance(fee_owner, asset)),
            readonly(SYSTEM_PROGRAM),
        ]
        return self._instruction(Tag.ASSIGN, accounts, bytes(to_pubkey(node)))

    def _payment(
        self, owner: Wallet, job_id: JobId, asset: Asset, node: Wallet, fee_owner: Wallet
    ) -> list[AccountMeta]:
        people = (owner, node, fee_owner)
        return [
            writable(self.at.job(owner, job_id)),
            *(writable(self.at.balance(person, asset)) for person in people),
        ]

    def settle(
        self,
        coordinator: Wallet,
        actor: Wallet,
        owner: Wallet,
        job_id: JobId,
        asset: Asset,
        *,
        node: Wallet,
        fee_owner: Wallet,
        used_units: int,
        result_hash: bytes,
    ) -> Instruction:
        accounts = [
            signer(to_pubkey(coordinator)),
            signer(to_pubkey(actor)),
            *self._payment(owner, job_id, asset, node, fee_owner),
            *self._session(actor, owner, spends=False),
        ]
        return self._instruction(Tag.SETTLE, accounts, struct.pack("<Q", used_units) + hash32(result_hash))

    def claim(
        self, coordinator: Wallet, owner: Wallet, job_id: JobId, used_units: int, result_hash: bytes
    ) -> Instruction:
        accounts = [signer(to_pubkey(coordinator)), writable(self.at.job(owner, job_id))]
        return self._instruction(Tag.CLAIM, accounts, struct.pack("<Q", used_units) + hash32(result_hash))

    def resolve(
        self,
        arbiter: Wallet,
        owner: Wallet,
        job_id: JobId,
        asset: Asset,
        *,
        node: Wallet,
        fee_owner: Wallet,
        used_units: int,
    ) -> Instruction:
        accounts = [signer(to_pubkey(arbiter)), *self._payment(owner, job_id, asset, node, fee_owner)]
        return self._instruction(Tag.RESOLVE, accounts, struct.pack("<Q", used_units))

    # -- anyone

    def finalize(
        self, owner: Wallet, job_id: JobId, asset: Asset, node: Wallet, fee_owner: Wallet
    ) -> Instruction:
        return self._instruction(Tag.FINALIZE, self._payment(owner, job_id, asset, node, fee_owner))

    def refund(self, by: Wallet, owner: Wallet, job_id: JobId, asset: Asset) -> Instruction:
        """``by``: the job's coordinator or its node."""
        accounts = [signer(to_pubkey(by)), *self._job_and_balance(owner, job_id, asset)]
        return self._instruction(Tag.REFUND, accounts)

    def reclaim(self, owner: Wallet, job_id: JobId, asset: Asset) -> Instruction:
        return self._instruction(Tag.RECLAIM, self._job_and_balance(owner, job_id, asset))

    def close(self, owner: Wallet, job_id: JobId, rent_payer: Wallet) -> Instruction:
        accounts = [writable(self.at.job(owner, job_id)), writable(to_pubkey(rent_payer))]
        return self._instruction(Tag.CLOSE, accounts)


def transfer_lamports(from_wallet: Wallet, to: Wallet, lamports: int) -> Instruction:
    """SOL from wallet to wallet, by the System program."""
    return transfer(
        TransferParams(from_pubkey=to_pubkey(from_wallet), to_pubkey=to_pubkey(to), lamports=lamports)
    )


def create_token_account(payer: Pubkey, owner: Pubkey, mint: Pubkey) -> Instruction:
    """The owner's associated token account; does nothing if it exists (CreateIdempotent)."""
    accounts = [
        signer(payer, writable=True),
        writable(token_account(owner, mint)),
        readonly(owner),
        readonly(mint),
        readonly(SYSTEM_PROGRAM),
        readonly(TOKEN_PROGRAM),
    ]
    return Instruction(ATA_PROGRAM, bytes([1]), accounts)
