"""The program's numbers in words, and the chain's failures in three parts."""

from __future__ import annotations

from dataclasses import dataclass

from p2p.core.errors import EnvironmentFailure, Refused


@dataclass(frozen=True, slots=True)
class ProgramError:
    """One number of ``programs/escrow/src/error.rs``."""

    name: str
    what: str
    hint: str = ""


PROGRAM_ERRORS: dict[int, ProgramError] = {
    6000: ProgramError("bad_instruction", "The escrow program does not know this request.", "Update."),
    6001: ProgramError("bad_accounts", "The request names too few or too many accounts.", "Update."),
    6002: ProgramError("missing_signature", "A signature that the rule needs is missing."),
    6003: ProgramError("wrong_account", "An account is not of the kind that the request needs."),
    6004: ProgramError("wrong_address", "An account is not the one that belongs to this request."),
    6005: ProgramError(
        "already_exists", "This exists on the chain already.", "Another job needs a new job id."
    ),
    6006: ProgramError("wrong_authority", "The signer may not do this.", "Sign with the key that may."),
    6007: ProgramError("paused", "Deposits and new jobs are paused.", "Withdrawals work; try again later."),
    6008: ProgramError("asset_disabled", "This asset takes no deposits and no new jobs.", "Use another."),
    6009: ProgramError("zero_amount", "The amount must be more than zero."),
    6010: ProgramError("overflow", "The sum would be larger than the chain can hold."),
    6011: ProgramError(
        "insufficient_balance", "The escrow balance is too small.", "Add to it with `cyxwiz wallet deposit`."
    ),
    6012: ProgramError("used_too_much", "More was used than was deposited or claimed."),
    6013: ProgramError("session_expired", "The session key has expired.", "Renew it with `cyxwiz login`."),
    6014: ProgramError(
        "session_overdrawn", "The session key's allowance is used up.", "Renew it with `cyxwiz login`."
    ),
    6015: ProgramError("wrong_asset", "The accounts belong to different assets."),
    6016: ProgramError("wrong_state", "The job is not in a state that allows this."),
    6017: ProgramError("already_final", "The job has ended: its verdict stands."),
    6018: ProgramError("too_early", "The deadline has not passed yet.", "Try again after the deadline."),
    6019: ProgramError("too_late", "The deadline has passed."),
    6020: ProgramError("bad_mint", "This is not a token that the escrow takes."),
    6021: ProgramError("bad_token_account", "The token account is another owner's or token's, or frozen."),
    6022: ProgramError("wrong_program", "Another program stands in the place of a system program."),
    6023: ProgramError("out_of_bounds", "A value is outside its bounds."),
    6024: ProgramError("vault_short", "The vault would hold less than it owes."),
}
ALREADY_EXISTS = 6005
ALREADY_FINAL = 6017


class ProgramRefused(Refused):
    """The chain refused a transaction. ``number`` is the program's error number if it gave one."""

    def __init__(self, number: int | None, detail: str) -> None:
        known = PROGRAM_ERRORS.get(number) if number is not None else None
        self.number = number
        self.detail = detail
        meaning = "No money moved."
        if known is not None:
            super().__init__(f"escrow_{known.name}", known.what, meaning, known.hint)
        else:
            super().__init__("transaction_refused", f"The chain refused the transaction: {detail}.", meaning)


class SettleDiffers(Refused):
    """A settlement to be signed is not the one that was agreed."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "settle_differs",
            f"The settlement to sign is not the one that was agreed: {what}.",
            "It was not signed, and no money moved.",
            "Report it to the coordinator's operator if it happens again.",
        )


class NotTaken(EnvironmentFailure):
    """No RPC node took the request, so that it has certainly had no effect."""


def chain_unreachable(detail: str, *, taken: bool = True) -> EnvironmentFailure:
    """No RPC node gave an answer. ``taken``: one may have got the request all the same."""
    kind = EnvironmentFailure if taken else NotTaken
    return kind(
        "chain_unreachable",
        f"The chain cannot be reached: {detail}.",
        "What was sent before may still arrive; nothing is sent twice.",
        "Check the network and rpc_url in [chain]; it is tried again.",
    )


def chain_unexpected(detail: str) -> EnvironmentFailure:
    """An RPC node answered with something that makes no sense."""
    return EnvironmentFailure(
        "chain_unexpected",
        f"The chain's answer cannot be understood: {detail}.",
        "Nothing is concluded from it; what was sent before may still arrive, and nothing is sent twice.",
        "Check rpc_url in [chain].",
    )


def program_number(error: object) -> int | None:
    """The custom number in an RPC's transaction error, ``{"InstructionError": [i, {"Custom": n}]}``."""
    if isinstance(error, dict):
        inner = error.get("InstructionError")
        if isinstance(inner, list) and len(inner) == 2 and isinstance(inner[1], dict):
            number = inner[1].get("Custom")
            return number if isinstance(number, int) else None
    return None


def error_word(error: object) -> str:
    """A short text for a transaction error: the program's word, or the runtime's."""
    number = program_number(error)
    if number in PROGRAM_ERRORS:
        return PROGRAM_ERRORS[number].name
    if isinstance(error, str):
        return error[:200]
    if isinstance(error, dict) and error:
        inner = error.get("InstructionError")
        if isinstance(inner, list) and len(inner) == 2:
            return f"instruction {inner[0]}: {str(inner[1])[:200]}"
        return str(next(iter(error)))[:200]
    return "unknown error"
