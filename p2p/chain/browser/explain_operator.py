"""The operators' instructions in plain words: the escrow program's offices, settings and replacement."""

from __future__ import annotations

import struct

from solders.pubkey import Pubkey

from p2p.chain import loader
from p2p.chain.addresses import Addresses
from p2p.chain.browser.request import Step
from p2p.chain.instructions import Role, Tag
from p2p.core.durations import format_duration
from p2p.core.money import Asset, format_fee

_SETTINGS = struct.Struct("<32sHqq")
_KEY_BYTES = 32


def operator_step(at: Addresses, tag: Tag, keys: list[Pubkey], data: bytes) -> Step | None:
    """An instruction of the admin, of a holder of an office, or of the upgrade authority; None: another.

    ``data`` is what follows the tag.
    """
    match tag:
        case Tag.INIT_CONFIG:
            holders = [str(_key(data, place)) for place in range(3)]
            named = zip(("Admin", "Coordinator", "Arbiter"), holders, strict=True)
            what = "Configure the escrow program for the first time: who runs it, and by which rules."
            return Step(what, (*named, *_settings(data[3 * _KEY_BYTES :])))
        case Tag.SET_CONFIG:
            paused = ("Deposits and new jobs", "paused" if data[_SETTINGS.size] else "open")
            what = "Change the escrow program's settings for new jobs. All of them are set to:"
            return Step(what, (*_settings(data), paused))
        case Tag.PROPOSE_AUTHORITY:
            return _propose(Role(data[0]).name.lower(), _key(data[1:], 0))
        case Tag.ACCEPT_AUTHORITY:
            role = Role(data[0]).name.lower()
            what = f"Take over the office of the {role} of the escrow program: only this wallet has it then."
            return Step(what, (("New " + role, str(keys[0])),))
        case Tag.ADD_ASSET:
            what = f"Let the escrow program take {_asset(at, keys[2])}: deposits and new jobs."
            return Step(what, (("Account", str(keys[2])),))
        case Tag.DISABLE_ASSET:
            what = f"Stop deposits and new jobs in {_asset(at, keys[2])}. Withdrawals go on."
            return Step(what, (("Account", str(keys[2])),))
        case _:
            return None


def _propose(role: str, key: Pubkey) -> Step:
    if key == Pubkey.default():
        return Step(f"Withdraw the proposal of a new {role} of the escrow program.")
    what = f"Propose a new {role} of the escrow program. It takes effect when that wallet accepts."
    return Step(what, (("Key", str(key)),))


def loader_step(at: Addresses, keys: list[Pubkey], data: bytes) -> Step | None:
    """An instruction of the upgradeable loader; None: one that nobody is asked to sign here."""
    (number,) = struct.unpack_from("<I", data)
    if number == loader.DEPLOY and keys[2] == at.program:
        what = "Deploy the escrow program from the buffer. This wallet is its upgrade authority then."
        return Step(what, (("Program", str(keys[2])), ("Buffer", str(keys[3]))))
    if number == loader.UPGRADE and keys[1] == at.program:
        what = "Replace the code of the escrow program, and with it every rule, by what is in the buffer."
        return Step(what, (("Program", str(keys[1])), ("Buffer", str(keys[2]))))
    if number == loader.SET_AUTHORITY:
        return _authority(at, keys)
    return None


def _authority(at: Addresses, keys: list[Pubkey]) -> Step:
    if keys[0] != at.program_data:
        holder = str(keys[2]) if len(keys) > 2 else "nobody"
        return Step("Hand over a buffer that holds a program.", (("Buffer", str(keys[0])), ("To", holder)))
    if len(keys) == 2:
        what = "Give up the right to replace the escrow program, for ever: nobody can mend it any more."
        return Step(what, (("Program", str(at.program)),), warning=True)
    what = (
        "Hand over the right to replace the escrow program, and with it every rule. "
        "Only that key has it then."
    )
    return Step(what, (("New holder", str(keys[2])),), warning=True)


def _settings(data: bytes) -> tuple[tuple[str, str], ...]:
    fee_owner, fee_bps, review_s, longest_s = _SETTINGS.unpack_from(data)
    return (
        ("Fee goes to", str(Pubkey.from_bytes(fee_owner))),
        ("Fee", format_fee(fee_bps)),
        ("Review window", format_duration(review_s)),
        ("Longest job", format_duration(longest_s)),
    )


def _key(data: bytes, place: int) -> Pubkey:
    return Pubkey.from_bytes(data[_KEY_BYTES * place : _KEY_BYTES * (place + 1)])


def _asset(at: Addresses, account: Pubkey) -> str:
    return next((asset.symbol for asset in Asset if at.asset(asset) == account), "an unknown asset")
