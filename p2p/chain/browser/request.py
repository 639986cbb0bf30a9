"""What a wallet can be asked on the page, and what comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from p2p.chain.transaction import SignedTransaction
from p2p.core.ids import Wallet


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a transaction does, in plain words, with what must be exact beside it.

    ``warning``: what nobody should sign without knowing exactly why.
    """

    text: str
    details: tuple[tuple[str, str], ...] = ()
    warning: bool = False


@dataclass(frozen=True, slots=True)
class PreparedTransaction:
    """A message to be signed, and what it says.

    ``signatures``: of those who signed before the wallet does. ``fee_lamports``: the network's fee.
    """

    message: bytes
    last_valid_height: int
    steps: tuple[Step, ...]
    fee_lamports: int = 0
    signatures: Mapping[Wallet, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A Sign In With Solana text and the wallet's signature over it, verified here."""

    wallet: Wallet
    text: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedTransactions:
    """Signed and verified here: the very bytes that were prepared. Sent, if the request could send."""

    wallet: Wallet
    transactions: tuple[SignedTransaction, ...]


@dataclass(frozen=True, slots=True)
class SignIn:
    """Prove who holds a wallet.

    ``text``: asked once the person has chosen an account, with its address and the page's host, such as
    ``127.0.0.1:41234``; gives the text to sign. Its domain must be that host and its URI on it, because
    wallets refuse any other as phishing.
    ``accept``: told of the answer while the page waits; what it raises is shown there.
    ``then``: what the same page asks next, once it is known who has logged in; possibly nothing.
    ``wallet``: the only one that will do, if there is one.
    """

    cluster: str
    text: Callable[[Wallet, str], Awaitable[str]]
    accept: Callable[[SignedIn], Awaitable[object]] | None = None
    then: Callable[[Wallet], Awaitable[Sequence[SignTransactions]]] | None = None
    wallet: Wallet | None = None
    title: str = "Log in to CyxWiz"
    done: str = "You are logged in"


@dataclass(frozen=True, slots=True)
class SignTransactions:
    """Have transactions signed, all by the same wallet.

    ``build``: makes them for the account that the person chose, anew whenever they hesitate, because a
    transaction can land for a minute only. The wallet must be among the signers of each.
    ``send``: brings each to the chain and waits until it is there (persist it first); without it they
    come back unsent.
    """

    cluster: str
    title: str
    build: Callable[[Wallet], Awaitable[Sequence[PreparedTransaction]]]
    send: Callable[[SignedTransaction], Awaitable[object]] | None = None
    wallet: Wallet | None = None
    done: str = "Done"


WalletRequest: TypeAlias = SignIn | SignTransactions
WalletAnswer: TypeAlias = SignedIn | SignedTransactions
