"""The requests that people make: deposit, withdraw, authorise a session key, and any instructions at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from solders.instruction import Instruction

from p2p.chain.browser.explain import Explainer, fee_lamports, plain_amount
from p2p.chain.browser.request import PreparedTransaction, SignTransactions
from p2p.chain.escrow import EscrowClient
from p2p.chain.instructions import create_token_account, transfer_lamports
from p2p.chain.keys import to_pubkey
from p2p.chain.transaction import SignedTransaction, build_message
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.ids import Wallet
from p2p.core.money import Asset

Instructions = Callable[[Wallet], Awaitable[Sequence[Instruction]]]
Send = Callable[[SignedTransaction], Awaitable[object]]

# First 32 characters of each genesis hash:
# https://github.com/ChainAgnostic/namespaces/blob/main/solana/caip2.md
_GENESIS = {
    "mainnet": "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
    "devnet": "EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
}


def transactions_request(
    chain: EscrowClient,
    title: str,
    make: Instructions,
    *,
    wallet: Wallet | None = None,
    send: Send | None = None,
    done: str = "Done",
) -> SignTransactions:
    """Whatever ``make`` gives for the chosen account, in one transaction that the account pays for.

    ``send``: default is :meth:`EscrowClient.send_and_confirm`; pass your own to persist before. ``chain``
    must stay open until the wallet has answered.
    """

    async def build(signer: Wallet) -> Sequence[PreparedTransaction]:
        await check_cluster(chain)
        recent = await chain.recent()
        message = build_message(list(await make(signer)), signer, recent)
        steps = Explainer(chain.addresses).steps(message)
        return [PreparedTransaction(message, recent.last_valid_height, steps, fee_lamports(message))]

    return SignTransactions(
        cluster=chain.chain.cluster,
        title=title,
        build=build,
        send=send or chain.send_and_confirm,
        wallet=wallet,
        done=done,
    )


def deposit_request(
    chain: EscrowClient, wallet: Wallet | None, asset: Asset, units: int, *, send: Send | None = None
) -> SignTransactions:
    """From the wallet into its escrow balance.

    :raises UserError: the amount is not positive.
    """
    amount = _amount(asset, units)

    async def make(signer: Wallet) -> Sequence[Instruction]:
        return [chain.build.deposit(signer, asset, units)]

    title, done = f"Deposit {amount}", f"{amount} deposited"
    return transactions_request(chain, title, make, wallet=wallet, send=send, done=done)


def withdraw_request(
    chain: EscrowClient, wallet: Wallet | None, asset: Asset, units: int, *, send: Send | None = None
) -> SignTransactions:
    """From the escrow balance into the wallet itself; makes its USDC account if need be.

    :raises UserError: the amount is not positive.
    """
    amount = _amount(asset, units)

    async def make(signer: Wallet) -> Sequence[Instruction]:
        withdraw = chain.build.withdraw(signer, asset, units)
        if asset is Asset.SOL:
            return [withdraw]
        key = to_pubkey(signer)
        return [create_token_account(key, key, chain.addresses.mint(asset)), withdraw]

    title, done = f"Withdraw {amount}", f"{amount} withdrawn"
    return transactions_request(chain, title, make, wallet=wallet, send=send, done=done)


def authorize_request(
    chain: EscrowClient,
    wallet: Wallet | None,
    session_key: Wallet,
    asset: Asset,
    allowance_units: int,
    expires_at_s: int,
    fund_lamports: int = 0,
    *,
    send: Send | None = None,
) -> SignTransactions:
    """Let a session key act for the wallet; see :meth:`EscrowClient.authorize`.

    :raises UserError: the allowance is not positive.
    """
    amount = _amount(asset, allowance_units)

    async def make(signer: Wallet) -> Sequence[Instruction]:
        authorize = chain.build.authorize(signer, session_key, asset, allowance_units, expires_at_s)
        if not fund_lamports:
            return [authorize]
        return [authorize, transfer_lamports(signer, session_key, fund_lamports)]

    return transactions_request(
        chain,
        f"Let this computer spend up to {amount}",
        make,
        wallet=wallet,
        send=send,
        done="This computer can pay for jobs",
    )


async def check_cluster(chain: EscrowClient) -> None:
    """Whether the RPC node serves the network that the configuration names.

    :raises EnvironmentFailure: ``other_network``, or the chain cannot be reached.
    """
    genesis = str(await chain.ask("getGenesisHash"))
    found = next((name for name, start in _GENESIS.items() if genesis.startswith(start)), "localnet")
    if found != chain.chain.cluster:
        raise EnvironmentFailure(
            "other_network",
            f"config.toml says {chain.chain.cluster}, but the RPC node is none of that network.",
            "Nothing was signed, and no money moved.",
            "Check cluster and rpc_url in [chain].",
            retryable=False,
        )


def _amount(asset: Asset, units: int) -> str:
    if units <= 0:
        raise UserError("bad_amount", "The amount must be more than zero.")
    return plain_amount(units, asset)
