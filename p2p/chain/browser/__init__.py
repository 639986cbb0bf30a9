"""A wallet in the person's own browser (Phantom, Solflare, any other of the Wallet Standard).

A page on the loopback is opened, the wallet signs there, and everything that comes back is verified here.
``docs/wallets.md`` describes the page and its guards.

::

    answer = await ask_wallet(request, open_browser=webbrowser.open, timeout_s=..., announce=None)
    answers = await ask_wallet_all([request, ...])      # one page, one account, one after another
    answers = await answer_with(signer, [request, ...])     # no page: a key that this process holds

    SignIn(cluster, text: (wallet, host) -> awaitable str, accept=None, then=None, wallet=None) -> SignedIn
    SignTransactions(cluster, title, build, send=None, wallet=None)            -> SignedTransactions

    # with an open EscrowClient; each gives a SignTransactions that sends and confirms
    deposit_request(chain, wallet | None, asset, units)
    withdraw_request(chain, wallet | None, asset, units)
    authorize_request(chain, wallet | None, session_key, asset, allowance_units, expires_at_s, fund_lamports)
    transactions_request(chain, title, make: wallet -> awaitable [Instruction])
"""

from __future__ import annotations

from p2p.chain.browser.operations import (
    authorize_request,
    deposit_request,
    transactions_request,
    withdraw_request,
)
from p2p.chain.browser.page import ask_wallet, ask_wallet_all
from p2p.chain.browser.request import (
    PreparedTransaction,
    SignedIn,
    SignedTransactions,
    SignIn,
    SignTransactions,
    Step,
    WalletAnswer,
    WalletRequest,
)
from p2p.chain.browser.signing import answer_with
from p2p.chain.browser.views import explorer_link

__all__ = [
    "PreparedTransaction",
    "SignIn",
    "SignTransactions",
    "SignedIn",
    "SignedTransactions",
    "Step",
    "WalletAnswer",
    "WalletRequest",
    "answer_with",
    "ask_wallet",
    "ask_wallet_all",
    "authorize_request",
    "deposit_request",
    "explorer_link",
    "transactions_request",
    "withdraw_request",
]
