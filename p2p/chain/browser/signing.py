"""The same requests, answered by a key that this process holds instead of by a page."""

from __future__ import annotations

from collections.abc import Sequence

from p2p.chain.browser import checks
from p2p.chain.browser.request import (
    PreparedTransaction,
    SignedIn,
    SignedTransactions,
    SignIn,
    SignTransactions,
    WalletAnswer,
    WalletRequest,
)
from p2p.chain.keys import Signer
from p2p.chain.transaction import SignedTransaction, assemble, sign_message
from p2p.core.login import DOMAIN


async def answer_with(signer: Signer, requests: Sequence[WalletRequest]) -> list[WalletAnswer]:
    """Have ``signer`` answer the requests one after another, as :func:`ask_wallet_all` has a page do it.

    The text of a login bears our own domain: no page is involved.

    :raises CyxWizError: the first that a request raises; those before it stand.
    """
    waiting, answers = list(requests), list[WalletAnswer]()
    while waiting:
        request = waiting.pop(0)
        checks.check_account(request.wallet, signer.address)
        if isinstance(request, SignIn):
            answers.append(await _sign_in(signer, request))
            if request.then is not None:
                waiting = [*await request.then(signer.address), *waiting]
        else:
            answers.append(await _sign_transactions(signer, request))
    return answers


async def _sign_in(signer: Signer, request: SignIn) -> SignedIn:
    text = await request.text(signer.address, DOMAIN)
    answer = SignedIn(signer.address, text, signer.sign(text.encode()))
    if request.accept is not None:
        await request.accept(answer)
    return answer


async def _sign_transactions(signer: Signer, request: SignTransactions) -> SignedTransactions:
    prepared = tuple(await request.build(signer.address))
    checks.check_prepared(prepared, signer.address)
    signed = tuple(_sign(signer, each) for each in prepared)
    if request.send is not None:
        for transaction in signed:
            await request.send(transaction)
    return SignedTransactions(signer.address, signed)


def _sign(signer: Signer, prepared: PreparedTransaction) -> SignedTransaction:
    signatures = {**prepared.signatures, signer.address: sign_message(prepared.message, signer)}
    return assemble(prepared.message, signatures, prepared.last_valid_height)
