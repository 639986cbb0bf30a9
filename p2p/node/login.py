"""Logging a wallet in at the coordinator, for this peer in the role of a node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from p2p.chain.config import ChainConfig
from p2p.chain.keys import Signer
from p2p.core.errors import Refused
from p2p.core.ids import Wallet
from p2p.core.login import DOMAIN, check_challenge, check_domain
from p2p.core.messages.auth import Challenge, ChallengeRequest, LoginReply, LoginRequest, Role
from p2p.node.payout import Payout
from p2p.wire.codec import decode, encode

Call = Callable[[str, bytes], Awaitable[bytes]]
"""One call to the coordinator."""


class Login:
    """Each may raise what a call to the coordinator raises."""

    def __init__(self, call: Call, peer_id: str, chain: Mapping[str, Any]) -> None:
        """``chain``: the ``[chain]`` table of ``config.toml``."""
        self._call = call
        self._peer_id = peer_id
        self._chain = chain

    async def challenge(self, wallet: Wallet, domain: str = DOMAIN) -> str:
        """The text to sign that binds the wallet to this peer.

        :raises UserError: ``strange_challenge``: it is not a login of this node; ``bad_domain``.
        """
        ask = ChallengeRequest(wallet, Role.NODE, check_domain(domain))
        challenge = decode(Challenge, await self._call("auth.challenge", encode(ask)))
        check_challenge(challenge.text, wallet, self._peer_id, Role.NODE, ask.domain)
        return challenge.text

    async def answer(self, wallet: Wallet, text: str, signature: bytes) -> LoginReply:
        """Hand in what the wallet made of the text.

        :raises Refused: ``login_refused``; ``other_chain``: the coordinator settles on another chain than
            configured here.
        """
        login = LoginRequest(wallet, Role.NODE, text, signature)
        reply = decode(LoginReply, await self._call("auth.login", encode(login)))
        self._check_chain(reply)
        return reply

    async def with_key(self, signer: Signer) -> LoginReply:
        """Both, with a key at hand."""
        text = await self.challenge(signer.address)
        return await self.answer(signer.address, text, signer.sign(text.encode()))

    def _check_chain(self, reply: LoginReply) -> None:
        if not self._chain:
            return
        ours = ChainConfig.from_table(self._chain)
        if (reply.cluster, reply.program_id, reply.usdc_mint) != (
            ours.cluster,
            ours.program_id,
            ours.usdc_mint,
        ):
            raise Refused(
                "other_chain",
                "The coordinator settles on another chain or program than config.toml names.",
                "This node takes no jobs, because what they earn could not be found.",
                "Compare [chain] in config.toml with what the coordinator's operator publishes.",
            )


def login_ended(payout: Payout) -> Refused:
    """The coordinator does not know this node's wallet any more, and only a person can log it in again."""
    return Refused(
        "not_logged_in",
        f"The login of the payout wallet {payout.wallet} has ended.",
        "Jobs that run go on and are paid to it; no new ones come.",
        f"Log in again: {payout.login_command}",
    )
