"""What comes back from a page is believed in nothing: compared and verified here."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from p2p.chain.browser.request import PreparedTransaction, SignedIn
from p2p.chain.browser.siws import SiwsFields
from p2p.chain.keys import SIGNATURE_BYTES, verify
from p2p.chain.transaction import SignedTransaction, assemble, parse_message, required_signers
from p2p.core.errors import Bug, Refused
from p2p.core.ids import Wallet


def parse_sign_in(text: str, wallet: Wallet, host: str, cluster: str) -> SiwsFields:
    """The fields of a text that a wallet on this page may be asked to sign.

    :raises Refused: ``strange_challenge``, or ``other_chain`` when it names another network.
    """
    fields = SiwsFields.parse(text)
    on_page = fields.uri == f"http://{host}" or fields.uri.startswith(f"http://{host}/")
    if fields.domain != host or not on_page or fields.address != wallet:
        raise Refused(
            "strange_challenge",
            "The sign-in was made for another page or another wallet.",
            "Nothing was signed.",
            "Update CyxWiz and its coordinator to the same version, then try again.",
        )
    if fields.chain_id not in (cluster, f"solana:{cluster}"):
        raise Refused(
            "other_chain",
            f"The sign-in is for the network {fields.chain_id!r}, and config.toml names {cluster}.",
            "Nothing was signed.",
            "Compare [chain] in config.toml with what the coordinator's operator publishes.",
        )
    return fields


def check_sign_in(fields: SiwsFields, wallet: str, message: bytes, signature: bytes) -> SignedIn:
    """:raises Refused: ``wrong_account``, ``other_text`` or ``bad_signature``."""
    expected = Wallet(fields.address)
    check_account(expected, wallet)
    if message != fields.text().encode():
        raise Refused(
            "other_text",
            "The wallet signed another text than the one it was asked to sign.",
            "The signature was thrown away.",
            "Try another wallet.",
        )
    if not verify(expected, message, signature):
        raise _bad_signature(expected)
    return SignedIn(expected, fields.text(), signature)


def check_account(expected: Wallet | None, wallet: str) -> None:
    """:raises Refused: ``wrong_account``."""
    if expected is not None and wallet != expected:
        raise Refused(
            "wrong_account",
            f"This needs the account {expected}, and the wallet uses {wallet[:44]}.",
            "Nothing was signed.",
            "Choose that account in your wallet, then try again.",
        )


def unsigned_wire(prepared: PreparedTransaction) -> bytes:
    """A prepared transaction as a wallet takes it: zeros where signatures are missing."""
    signers = required_signers(parse_message(prepared.message))
    slots = (prepared.signatures.get(signer, bytes(SIGNATURE_BYTES)) for signer in signers)
    return bytes([len(signers)]) + b"".join(slots) + prepared.message


def check_prepared(prepared: Sequence[PreparedTransaction], wallet: Wallet) -> None:
    """:raises Bug: the builder made something that this wallet cannot complete."""
    for each in prepared:
        missing = set(required_signers(parse_message(each.message))) - set(each.signatures)
        if missing != {wallet}:
            raise Bug(f"a transaction waits for {sorted(missing)}, not for {wallet} alone")


def check_signed(prepared: PreparedTransaction, wallet: Wallet, raw: bytes) -> SignedTransaction:
    """The signed transaction, if it is the prepared one to the byte.

    :raises Refused: ``other_transaction`` or ``bad_signature``.
    """
    signers = required_signers(parse_message(prepared.message))
    head = 1 + SIGNATURE_BYTES * len(signers)
    if raw[:1] != bytes([len(signers)]) or raw[head:] != prepared.message:
        raise Refused(
            "other_transaction",
            "The wallet changed the transaction before it signed it.",
            "It was not sent, and no money moved.",
            "Switch off what your wallet adds to transactions (fees, guards), or use another wallet.",
        )
    at = 1 + SIGNATURE_BYTES * signers.index(wallet)
    signature = raw[at : at + SIGNATURE_BYTES]
    if not verify(wallet, prepared.message, signature):
        raise _bad_signature(wallet)
    signatures = {**prepared.signatures, wallet: signature}
    return assemble(prepared.message, signatures, prepared.last_valid_height)


def decode_base64(value: object) -> bytes:
    """:raises Refused: ``bad_answer``: it is not base64 text."""
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise bad_answer()


def bad_answer() -> Refused:
    """The page sent something that makes no sense."""
    return Refused("bad_answer", "The page's answer cannot be understood.", "Nothing was signed.")


def _bad_signature(wallet: Wallet) -> Refused:
    return Refused(
        "bad_signature",
        f"The wallet's signature is not that of {wallet}.",
        "It was thrown away, and no money moved.",
        "Check which account the wallet uses, or try another wallet.",
    )
