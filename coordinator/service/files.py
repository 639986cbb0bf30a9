"""What lies in the coordinator's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CoordinatorFiles:
    """What lies in the coordinator's folder, beside key, lock and log."""

    folder: Path

    @property
    def keypair(self) -> Path:
        """The Solana keypair that the program knows as its coordinator."""
        return self.folder / "coordinator.json"

    @property
    def keys(self) -> Path:
        """More coordinator keypairs, named by their addresses: the next one, and those of jobs still open."""
        return self.folder / "keys"

    @property
    def deployment(self) -> Path:
        """Keys of a deployment that is under way."""
        return self.folder / "deployment"

    @property
    def dsn(self) -> Path:
        """How the other commands reach the database of the coordinator that runs; mode 0600."""
        return self.folder / "dsn"

    @property
    def address(self) -> Path:
        """Where the running coordinator listens."""
        return self.folder / "address"

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"
