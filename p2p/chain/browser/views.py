"""What the page is told, as JSON. The page shows these texts and adds none about money of its own."""

from __future__ import annotations

import base64

from p2p.chain.browser.checks import unsigned_wire
from p2p.chain.browser.explain import plain_amount
from p2p.chain.browser.request import (
    PreparedTransaction,
    SignedTransactions,
    SignIn,
    WalletAnswer,
    WalletRequest,
)
from p2p.chain.browser.siws import SiwsFields
from p2p.core.errors import CyxWizError
from p2p.core.ids import Wallet
from p2p.core.money import Asset

Json = dict[str, object]


def request_view(request: WalletRequest, wallet: Wallet | None) -> Json:
    """What is asked, of whom, on which network."""
    return {
        "kind": "sign-in" if isinstance(request, SignIn) else "transactions",
        "title": request.title,
        "cluster": request.cluster,
        "chain": f"solana:{request.cluster}",
        "wallet": wallet,
    }


def prepared_view(content: SiwsFields | tuple[PreparedTransaction, ...]) -> Json:
    """What the wallet is to sign, and the same in words."""
    if isinstance(content, SiwsFields):
        return {"input": content.wallet_input(), "text": content.text()}
    fee = plain_amount(sum(each.fee_lamports for each in content), Asset.SOL)
    return {
        "transactions": [base64.b64encode(unsigned_wire(each)).decode() for each in content],
        "words": {
            "fee": fee,
            "steps": [
                {
                    "text": step.text,
                    "details": [list(pair) for pair in step.details],
                    "warning": step.warning,
                }
                for each in content
                for step in each.steps
            ],
        },
    }


def done_view(request: WalletRequest, answer: WalletAnswer) -> Json:
    """What was achieved."""
    rows: list[Json] = [{"label": "Wallet", "value": answer.wallet}]
    if isinstance(answer, SignedTransactions):
        for transaction in answer.transactions:
            link = explorer_link(transaction.signature, request.cluster)
            rows.append({"label": "Transaction", "value": transaction.signature, "link": link})
    return {"title": request.done, "rows": rows}


def explorer_link(signature: str, cluster: str) -> str | None:
    """Where a transaction can be looked at; a localnet is seen from nowhere."""
    if cluster == "localnet":
        return None
    query = "" if cluster == "mainnet" else f"?cluster={cluster}"
    return f"https://explorer.solana.com/tx/{signature}{query}"


def error_view(error: CyxWizError, *, final: bool = False) -> Json:
    """The three parts of an error. ``final``: there is no other try."""
    parts = {"code": error.code, "what": error.what, "meaning": error.meaning, "hint": error.hint}
    return {"error": {**parts, "final": final}}
