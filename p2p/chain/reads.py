"""What the chain says now."""

from __future__ import annotations

import base64
import copy
import struct
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from solders.pubkey import Pubkey

from p2p.chain import accounts
from p2p.chain.accounts import OnChainAsset, OnChainConfig, OnChainJob, OnChainSession
from p2p.chain.addresses import CLOCK_SYSVAR, TOKEN_PROGRAM, Addresses
from p2p.chain.config import FINALIZED, ChainConfig
from p2p.chain.errors import chain_unexpected
from p2p.chain.instructions import Builder
from p2p.chain.keys import to_pubkey, to_wallet
from p2p.chain.rpc import Rpc, RpcError, account_of, number_of, slot_of, value_of
from p2p.core.clock import Clock
from p2p.core.errors import EnvironmentFailure, Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.limits import ACCOUNTS_PER_READ_MAX
from p2p.core.money import Asset

_SYSVARS = "Sysvar1111111111111111111111111111111111111"
_CLOCK = struct.Struct("<QqQQq")  # slot, start of the epoch, epoch, next epoch with a schedule, Unix time


class ChainReads:
    """Reads of one deployment. Each may raise EnvironmentFailure: the chain cannot be reached."""

    def __init__(self, config: ChainConfig, clock: Clock) -> None:
        self.chain = config
        self.addresses = Addresses.of(config)
        self.build = Builder(self.addresses)
        self._clock = clock
        self._rpc = Rpc(config.rpc_urls)

    async def __aenter__(self) -> Self:
        await self._rpc.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._rpc.__aexit__(kind, error, trace)

    def at(self, commitment: str) -> Self:
        """The same client for a while, over the same connections, that reads at another commitment."""
        view = copy.copy(self)
        view.chain = replace(self.chain, commitment=commitment)
        return view

    async def ask(self, method: str, *params: object) -> object:
        """A question that has no business to be refused."""
        try:
            return await self._rpc.call(method, *params)
        except RpcError as error:
            raise chain_unexpected(f"{method}: {error}") from None

    async def _ask_at(self, url: str, method: str, *params: object) -> object:
        """As :meth:`ask`, of one node."""
        try:
            return await self._rpc.call_one(url, method, *params)
        except RpcError as error:
            raise chain_unexpected(f"{method}: {error}") from None

    def _options(self) -> dict[str, object]:
        return {"encoding": "base64", "commitment": self.chain.commitment}

    async def program_account(self, address: object) -> bytes | None:
        """The data of one of the program's accounts; nothing if there is none."""
        return await self.account_data(address, self.chain.program_id)

    async def account_data(self, address: object, owner: str) -> bytes | None:
        """The data of an account of the program ``owner``; nothing if there is none."""
        found = account_of(value_of(await self.ask("getAccountInfo", str(address), self._options())))
        return found[0] if found is not None and found[1] == owner else None

    async def accounts_at(self, addresses: Sequence[Pubkey]) -> tuple[int, list[bytes | None]]:
        """A slot, and the data of some of the program's accounts then; nothing for one that is not there.

        No more than ``ACCOUNTS_PER_READ_MAX``, which is what one reply holds: see :meth:`program_accounts`.
        """
        reply = await self.ask("getMultipleAccounts", [str(key) for key in addresses], self._options())
        rows = value_of(reply)
        if not isinstance(rows, list) or len(rows) != len(addresses):
            raise chain_unexpected("not as many accounts as were asked for")
        found = [account_of(row) for row in rows]
        return slot_of(reply), [row[0] if row and row[1] == self.chain.program_id else None for row in found]

    async def program_accounts(self, addresses: Sequence[Pubkey]) -> list[bytes | None]:
        """The data of any number of the program's accounts, as they are about now."""
        found: list[bytes | None] = []
        for first in range(0, len(addresses), ACCOUNTS_PER_READ_MAX):
            found += (await self.accounts_at(addresses[first : first + ACCOUNTS_PER_READ_MAX]))[1]
        return found

    async def config(self) -> OnChainConfig:
        """Who runs the program, and its bounds.

        :raises EnvironmentFailure: (also) the program is not deployed or not configured there.
        """
        data = await self.program_account(self.addresses.config)
        if data is None:
            raise _not_set_up(f"no configured escrow program {self.chain.program_id}", self.chain.cluster)
        return accounts.decode_config(data)

    async def asset(self, asset: Asset) -> OnChainAsset:
        """What is owed in an asset, and whether it is taken."""
        data = await self.program_account(self.addresses.asset(asset))
        if data is None:
            raise _not_set_up(f"no escrow for {asset.symbol}", self.chain.cluster)
        return accounts.decode_asset(data)

    async def vault(self, asset: Asset) -> int:
        """Units that lie in the vault; never less than ``asset(...).owed_units``."""
        address = self.addresses.vault(asset)
        if asset is Asset.SOL:
            held = await self._lamports(to_wallet(address))
            return max(0, held - accounts.rent_lamports(accounts.ASSET_BYTES))
        return await self._token_units(to_wallet(address))

    async def balance(self, wallet: Wallet, asset: Asset) -> int:
        """Units that ``wallet`` can spend or withdraw from the escrow."""
        data = await self.program_account(self.addresses.balance(wallet, asset))
        return 0 if data is None else accounts.decode_balance(data).available_units

    async def wallet_balance(self, wallet: Wallet, asset: Asset) -> int:
        """Units outside the escrow: the wallet's SOL, or its own USDC account."""
        if asset is Asset.SOL:
            return await self._lamports(wallet)
        return await self._token_units(to_wallet(self.addresses.token_account(wallet)))

    async def _lamports(self, wallet: Wallet) -> int:
        reply = await self.ask("getBalance", str(to_pubkey(wallet)), {"commitment": self.chain.commitment})
        return number_of(value_of(reply))

    async def _token_units(self, address: Wallet) -> int:
        data = await self.account_data(address, str(TOKEN_PROGRAM))
        return 0 if data is None else accounts.token_amount(data)

    async def session(self, owner: Wallet, key: Wallet) -> OnChainSession | None:
        """What ``key`` may still do for ``owner``; nothing if it was never authorised, or was revoked."""
        data = await self.program_account(self.addresses.session(owner, key))
        return None if data is None else accounts.decode_session(data)

    async def job(self, owner: Wallet, job_id: JobId) -> OnChainJob | None:
        """A job's money; nothing if it was never opened.

        :raises Refused: it has ended and its account was closed.
        """
        return self.job_in(await self.program_account(self.addresses.job(owner, job_id)), job_id)

    @staticmethod
    def job_in(data: bytes | None, job_id: JobId) -> OnChainJob | None:
        """As :meth:`job`, from the data of the job's account."""
        if data is None:
            return None
        if accounts.is_closed_job(data):
            raise Refused("job_closed", f"The escrow of job {job_id} has ended and was closed.")
        return accounts.decode_job(data)

    async def knows_no_job(self, owner: Wallet, job_id: JobId) -> bool:
        """Whether every configured node says that there never was such a job: one may be behind.

        :raises EnvironmentFailure: one of them cannot be asked, and may know better.
        """
        address = str(self.addresses.job(owner, job_id))
        options = {"encoding": "base64", "commitment": FINALIZED}
        found = [await self._ask_at(url, "getAccountInfo", address, options) for url in self.chain.rpc_urls]
        return all(value_of(reply) is None for reply in found)

    async def existing_job(self, owner: Wallet, job_id: JobId) -> OnChainJob:
        """:raises Refused: there is no such job."""
        job = await self.job(owner, job_id)
        if job is None:
            raise Refused(
                "no_such_escrow", f"No escrow was opened for job {job_id}.", "No money is locked in it."
            )
        return job

    def asset_of(self, job: OnChainJob) -> Asset:
        """The asset that a job is paid in."""
        asset = self.addresses.asset_of(to_pubkey(job.mint))
        if asset is None:
            raise chain_unexpected(f"job {job.job_id} is in an unknown token {job.mint}")
        return asset

    async def slot(self) -> int:
        """The present slot at the configured commitment."""
        return number_of(await self.ask("getSlot", {"commitment": self.chain.commitment}))

    async def chain_time_s(self) -> int:
        """The cluster's own time, by which the program's deadlines pass."""
        reply = await self.ask("getAccountInfo", str(CLOCK_SYSVAR), self._options())
        return _time_of(account_of(value_of(reply)))

    async def account_and_time(self, address: object) -> tuple[tuple[bytes, str] | None, int]:
        """Data and owner of any account (nothing if there is none), and the chain's time in the same slot."""
        keys = [str(address), str(CLOCK_SYSVAR)]
        found = value_of(await self.ask("getMultipleAccounts", keys, self._options()))
        if not isinstance(found, list) or len(found) != len(keys):
            raise chain_unexpected("not the accounts that were asked for")
        account = account_of(found[0])
        return (None if account is None else account[:2]), _time_of(account_of(found[1]))

    async def jobs_of(self, owner: Wallet) -> list[OnChainJob]:
        """Every job of a buyer whose account is still there, newest first."""
        found = await self.accounts_of_kind(accounts.JOB_TAG, accounts.JOB_BYTES, owner)
        jobs = [accounts.decode_job(data) for data in found]
        return sorted(jobs, key=lambda job: job.opened_at_s, reverse=True)

    async def sessions_of(self, owner: Wallet) -> list[OnChainSession]:
        """Every session key of a wallet, those that have expired included; the last to end first."""
        found = await self.accounts_of_kind(accounts.SESSION_TAG, accounts.SESSION_BYTES, owner)
        sessions = [accounts.decode_session(data) for data in found]
        return sorted(sessions, key=lambda session: session.expires_at_s, reverse=True)

    async def accounts_of_kind(self, tag: int, size_bytes: int, owner: Wallet | None = None) -> list[bytes]:
        """The program's accounts of a kind. With ``owner``, theirs: jobs and sessions have it at byte 8."""
        head = base64.b64encode(bytes([tag, accounts.VERSION])).decode()
        filters: list[dict[str, object]] = [
            {"dataSize": size_bytes},
            {"memcmp": {"offset": 0, "bytes": head, "encoding": "base64"}},
        ]
        if owner is not None:
            filters.append({"memcmp": {"offset": 8, "bytes": str(to_pubkey(owner))}})
        options = {**self._options(), "filters": filters}
        reply = await self.ask("getProgramAccounts", self.chain.program_id, options)
        if not isinstance(reply, list):
            raise chain_unexpected("no list of accounts")
        found = [account_of(row.get("account") if isinstance(row, dict) else None) for row in reply]
        return [account[0] for account in found if account is not None]


def _time_of(account: tuple[bytes, str, int] | None) -> int:
    """The time in the clock's account."""
    if account is None or account[1] != _SYSVARS or len(account[0]) != _CLOCK.size:
        raise chain_unexpected("no time")
    return int(_CLOCK.unpack(account[0])[4])


def _not_set_up(what: str, cluster: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "chain_not_set_up",
        f"There is {what} on {cluster}.",
        "No money can be moved.",
        "Check cluster, program_id and rpc_url in [chain].",
        retryable=False,
    )
