"""The text of Sign In With Solana, taken apart and put together again.

Layout (an ABNF) and field names: https://github.com/phantom/sign-in-with-solana. A wallet that knows
``solana:signIn`` gets the fields and writes the text itself, so both directions must agree to the byte.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.core.errors import Refused

_OPENING = " wants you to sign in with your Solana account:"
_FIELDS = (
    ("uri", "URI"),
    ("version", "Version"),
    ("chain_id", "Chain ID"),
    ("nonce", "Nonce"),
    ("issued_at", "Issued At"),
    ("expiration_time", "Expiration Time"),
    ("not_before", "Not Before"),
    ("request_id", "Request ID"),
)
_INPUT_NAMES = {
    "chain_id": "chainId",
    "issued_at": "issuedAt",
    "expiration_time": "expirationTime",
    "not_before": "notBefore",
    "request_id": "requestId",
}


@dataclass(frozen=True, slots=True)
class SiwsFields:
    """What a sign-in says. Empty fields are left out of the text."""

    domain: str
    address: str
    statement: str = ""
    uri: str = ""
    version: str = ""
    chain_id: str = ""
    nonce: str = ""
    issued_at: str = ""
    expiration_time: str = ""
    not_before: str = ""
    request_id: str = ""
    resources: tuple[str, ...] = ()

    def text(self) -> str:
        """What is signed, as UTF-8, without a line end at its end."""
        lines = [f"{self.domain}{_OPENING}", self.address]
        if self.statement:
            lines += ["", self.statement]
        rest = [f"{label}: {value}" for name, label in _FIELDS if (value := getattr(self, name))]
        if self.resources:
            rest += ["Resources:", *(f"- {resource}" for resource in self.resources)]
        return "\n".join([*lines, "", *rest] if rest else lines)

    def wallet_input(self) -> dict[str, object]:
        """The same as the input of a wallet's ``solana:signIn``."""
        names = ("domain", "address", "statement", *(name for name, _ in _FIELDS))
        found: dict[str, object] = {
            _INPUT_NAMES.get(name, name): value for name in names if (value := getattr(self, name))
        }
        if self.resources:
            found["resources"] = list(self.resources)
        return found

    @classmethod
    def parse(cls, text: str) -> SiwsFields:
        """:raises Refused: ``strange_challenge``: it is not a sign-in text in its one spelling."""
        lines = text.split("\n")
        if len(lines) < 2 or not lines[0].endswith(_OPENING):
            raise _strange()
        found: dict[str, str] = {"domain": lines[0].removesuffix(_OPENING), "address": lines[1]}
        rest = lines[2:]
        labels = [label for _, label in _FIELDS]
        if len(rest) > 1 and rest[0] == "" and not _is_field(rest[1], labels):
            found["statement"], rest = rest[1], rest[2:]
        resources: tuple[str, ...] = ()
        if "Resources:" in rest:
            at = rest.index("Resources:")
            resources = tuple(line.removeprefix("- ") for line in rest[at + 1 :])
            rest = rest[:at]
        for line in rest[1:]:
            label, _, value = line.partition(": ")
            name = next((name for name, known in _FIELDS if known == label), None)
            if name is None:
                raise _strange()
            found[name] = value
        fields = cls(**found, resources=resources)
        if fields.text() != text:
            raise _strange()
        return fields


def _is_field(line: str, labels: list[str]) -> bool:
    return line == "Resources:" or line.partition(": ")[0] in labels


def _strange() -> Refused:
    return Refused(
        "strange_challenge",
        "What is to be signed is not a sign-in.",
        "Nothing was signed.",
        "Check that the coordinator's address in config.toml is the right one.",
    )
