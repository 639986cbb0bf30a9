"""Test money, where the cluster gives it: SOL on localnet and devnet, USDC on localnet."""

from __future__ import annotations

from p2p.chain.keys import to_pubkey
from p2p.chain.rpc import Rpc, RpcError
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.money import Asset


async def faucet(rpc_url: str, wallet: Wallet, asset: Asset, units: int) -> str:
    """Give test money to ``wallet``; the signature. On localnet it is there at once.

    :raises Refused: this cluster gives none, or not so much.
    :raises EnvironmentFailure: it cannot be reached.
    """
    to_pubkey(wallet)
    method = "requestAirdrop" if asset is Asset.SOL else "cyxwizFaucet"
    async with Rpc((rpc_url,)) as rpc:
        try:
            return str(await rpc.call(method, wallet, units))
        except RpcError as error:
            raise Refused(
                "faucet_refused", f"The faucet gave nothing: {error.message[:200]}.", "No test money moved."
            ) from None
