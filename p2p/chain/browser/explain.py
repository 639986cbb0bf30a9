"""What a message does, in plain words, read from its very bytes: the words cannot say something else."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

from solders.pubkey import Pubkey

from p2p.chain.addresses import ATA_PROGRAM, COMPUTE_BUDGET, LOADER, SYSTEM_PROGRAM, Addresses
from p2p.chain.browser.explain_operator import loader_step, operator_step
from p2p.chain.browser.request import Step
from p2p.chain.instructions import Tag
from p2p.chain.transaction import parse_message
from p2p.core.money import Asset, format_amount

LAMPORTS_PER_SIGNATURE = 5000
"""The cluster's base fee: https://solana.com/docs/core/fees"""

_UNIT_LIMIT, _UNIT_PRICE = 2, 3
_SYSTEM_CREATE, _SYSTEM_TRANSFER = 0, 2
_MICRO = 10**6
_DATA_SHOWN_BYTES = 64

_PLAIN = {
    Tag.REVOKE: "End a session key: it can spend nothing more.",
    Tag.CANCEL: "Cancel a job that no node was given yet: its deposit returns to the buyer's balance.",
    Tag.ASSIGN: "Give a job to a node, as the coordinator.",
    Tag.SETTLE: "Pay for a job at once, as coordinator and buyer agreed.",
    Tag.CLAIM: "Claim payment for a job that nobody signed for; its review time begins.",
    Tag.DISPUTE: "Dispute the result of a job: an arbiter will decide what is paid.",
    Tag.FINALIZE: "Pay a claim whose review time is over.",
    Tag.REFUND: "Return a job's whole deposit to its buyer.",
    Tag.RECLAIM: "Take a job's whole deposit back, because its deadline has passed.",
    Tag.CLOSE: "Close the account of a job that has ended: its rent returns to who paid it.",
}
_SUBJECT_FIRST = (Tag.FINALIZE, Tag.RECLAIM, Tag.CLOSE)
"""Anyone may sign these: the account that they are about comes first, not behind a signer."""


class Explainer:
    """For messages to one deployment of the escrow program."""

    def __init__(self, addresses: Addresses) -> None:
        self._at = addresses

    def steps(self, message: bytes) -> tuple[Step, ...]:
        """One for each instruction but those that set the fee.

        :raises Refused: the bytes are no message.
        """
        calls = _calls(message)
        sessions = {
            _session_key(data) for program, _, data in calls if self._is(program, data, Tag.AUTHORIZE)
        }
        payer = parse_message(message).account_keys[0]
        found = []
        for program, keys, data in calls:
            if program == COMPUTE_BUDGET:
                continue
            try:
                step = self._known(program, keys, data, payer, sessions)
            except (
                struct.error,
                IndexError,
                ValueError,
            ):  # shorter than its number says, or with other numbers
                step = None
            found.append(step or _unknown(program, data))
        return tuple(found)

    def _known(
        self, program: Pubkey, keys: list[Pubkey], data: bytes, payer: Pubkey, sessions: set[Pubkey]
    ) -> Step | None:
        """None: nothing that can be told in words."""
        if program == self._at.program:
            tag = Tag(data[0])
            return operator_step(self._at, tag, keys, data[1:]) or self._escrow(tag, keys, data[1:])
        if program == LOADER:
            return loader_step(self._at, keys, data)
        if program == SYSTEM_PROGRAM:
            return _system(keys, data, payer, to_session=keys[1] in sessions)
        if program == ATA_PROGRAM:
            return Step("Make the wallet's own token account, where there is none yet.")
        return None

    def _is(self, program: Pubkey, data: bytes, tag: Tag) -> bool:
        return program == self._at.program and data[:1] == bytes([tag])

    def _escrow(self, tag: Tag, keys: list[Pubkey], data: bytes) -> Step:
        """An instruction of buyers, nodes, coordinator or arbiter."""
        if tag is Tag.DEPOSIT:
            return Step(f"Move {self._amount(keys[2], data)} from your wallet into your escrow balance.")
        if tag is Tag.WITHDRAW:
            return Step(f"Move {self._amount(keys[1], data)} from your escrow balance back to your wallet.")
        if tag is Tag.AUTHORIZE:
            return self._authorize(keys, data)
        if tag is Tag.OPEN:
            amount, job = self._amount(keys[3], data[16:]), data[:16].hex()
            return Step(f"Lock {amount} of your escrow balance for a job.", (("Job", job),))
        if tag is Tag.TOP_UP:
            return Step(
                f"Add {self._amount(keys[2], data)} to a job's deposit.", (("Account", str(keys[4])),)
            )
        if tag is Tag.RESOLVE:
            (units,) = struct.unpack_from("<Q", data)
            what = "Decide a dispute: this much is paid to node and platform, the rest returns to the buyer."
            return Step(what, (("Base units", f"{units:,}"), ("Job account", str(keys[1]))))
        place = {**dict.fromkeys(_SUBJECT_FIRST, 0), Tag.SETTLE: 2}.get(tag, 1)
        return Step(_PLAIN[tag], (("Account", str(keys[place])),))

    def _authorize(self, keys: list[Pubkey], data: bytes) -> Step:
        key, (_, expires_at_s) = Pubkey.from_bytes(data[:32]), struct.unpack_from("<Qq", data, 32)
        return Step(
            f"Let a session key on this computer spend up to {self._amount(keys[2], data[32:])} "
            "of your escrow balance on jobs. It can withdraw nothing.",
            (("Session key", str(key)), ("Valid until", _time(expires_at_s))),
        )

    def _amount(self, asset_account: Pubkey, data: bytes) -> str:
        (units,) = struct.unpack_from("<Q", data)
        for asset in Asset:
            if self._at.asset(asset) == asset_account:
                return plain_amount(units, asset)
        return f"{units} units of an unknown asset"


def plain_amount(units: int, asset: Asset) -> str:
    """As people write it: ``25 USDC``, ``0.000005 SOL``."""
    number = format_amount(units, asset, symbol=False)
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {asset.symbol}"


def fee_lamports(message: bytes) -> int:
    """The most that the network takes for a message: per signature, and the priority fee."""
    limit = price = 0
    for program, _, data in _calls(message):
        if program == COMPUTE_BUDGET and data[:1] == bytes([_UNIT_LIMIT]):
            (limit,) = struct.unpack_from("<I", data, 1)
        if program == COMPUTE_BUDGET and data[:1] == bytes([_UNIT_PRICE]):
            (price,) = struct.unpack_from("<Q", data, 1)
    signatures: int = parse_message(message).header.num_required_signatures
    return LAMPORTS_PER_SIGNATURE * signatures + -(-limit * price // _MICRO)


def _calls(message: bytes) -> list[tuple[Pubkey, list[Pubkey], bytes]]:
    parsed = parse_message(message)
    keys = parsed.account_keys
    return [
        (keys[ix.program_id_index], [keys[index] for index in bytes(ix.accounts)], bytes(ix.data))
        for ix in parsed.instructions
    ]


def _session_key(data: bytes) -> Pubkey:
    return Pubkey.from_bytes(data[1:33])


def _system(keys: list[Pubkey], data: bytes, payer: Pubkey, *, to_session: bool) -> Step | None:
    number, lamports = struct.unpack_from("<IQ", data)
    amount = plain_amount(lamports, Asset.SOL)
    if number == _SYSTEM_CREATE:
        return Step(f"Pay {amount} of rent for an account.", (("Account", str(keys[1])),))
    if number != _SYSTEM_TRANSFER:
        return None
    if to_session:
        return Step(f"Send {amount} to that session key, for network fees and the rent of job accounts.")
    if keys[0] != payer and keys[1] == payer:
        return Step(f"Have {amount} back from another account.", (("From", str(keys[0])),))
    return Step(f"Send {amount} from your wallet.", (("To", str(keys[1])),))


def _unknown(program: Pubkey, data: bytes) -> Step:
    """What must not be taken for anything harmless."""
    what = "CyxWiz does not know what this does. Do not sign it unless you know exactly why it is asked for."
    shown = data[:_DATA_SHOWN_BYTES].hex() + ("…" if len(data) > _DATA_SHOWN_BYTES else "")
    return Step(what, (("Program", str(program)), ("Data", shown)), warning=True)


def _time(at_s: int) -> str:
    try:
        return datetime.fromtimestamp(at_s, UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    except (ValueError, OverflowError, OSError):
        return "for ever"
