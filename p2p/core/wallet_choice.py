"""Which kind of wallet signs, and the file that its key lies in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class WalletKind(Enum):
    """Where a wallet's key lies."""

    BROWSER = "browser"
    KEYSTORE = "keystore"
    KEYPAIR = "keypair"


@dataclass(frozen=True, slots=True)
class WalletChoice:
    """The wallet that somebody wants to sign with; one in the browser has no file."""

    kind: WalletKind
    file: Path | None = None

    @property
    def options(self) -> str:
        """The same as options of a command."""
        return f"--{self.kind.value}" if self.file is None else f"--{self.kind.value} {self.file}"
