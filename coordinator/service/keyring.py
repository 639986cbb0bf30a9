"""The coordinator's keypairs: that of the program's present coordinator, and those of jobs still open.

A job keeps the coordinator that it was opened under, whoever holds the office by now, so each transaction is
signed by the key that the job names.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from coordinator.service.files import CoordinatorFiles
from p2p.chain.keys import Signer, load_keypair
from p2p.core.errors import CyxWizError, EnvironmentFailure, UserError
from p2p.core.ids import Wallet

logger = logging.getLogger(__name__)


class Keyring:
    """Keys by their address. What was read once is kept while the process lives."""

    def __init__(self, signers: Iterable[Signer] = (), files: CoordinatorFiles | None = None) -> None:
        self._signers = {signer.address: signer for signer in signers}
        self._files = files

    @classmethod
    def load(cls, files: CoordinatorFiles) -> Keyring:
        """:raises UserError: there is no key, or a file is not one."""
        ring = cls(files=files)
        for path in ring._paths():
            ring.add(load_keypair(path))
        if not ring._signers:
            raise UserError(
                "no_coordinator_key",
                f"There is no coordinator keypair at {files.keypair}.",
                "Without it no job can be assigned, settled or refunded, so nothing was started.",
                "Put the keypair there that the escrow program's configuration names as its coordinator.",
            )
        return ring

    def add(self, signer: Signer) -> None:
        self._signers[signer.address] = signer

    def look_again(self) -> None:
        """Read the files that came since; one that cannot be read is named in the log."""
        for path in self._paths():
            try:
                self.add(load_keypair(path))
            except CyxWizError as error:
                logger.warning("%s", error.what)

    def __iter__(self) -> Iterator[Signer]:
        return iter(tuple(self._signers.values()))

    def find(self, wallet: Wallet) -> Signer | None:
        return self._signers.get(wallet)

    def signer(self, wallet: Wallet) -> Signer:
        """:raises EnvironmentFailure: ``coordinator_key_missing``."""
        found = self.find(wallet)
        if found is None:
            place = self._files.keys if self._files is not None else "its folder"
            raise EnvironmentFailure(
                "coordinator_key_missing",
                f"The key of the coordinator {wallet} is not on this machine.",
                "Nothing of its jobs is lost: they end by their deadlines, and what is not used goes back.",
                f"Its operator puts the keypair file of {wallet} into {place}.",
            )
        return found

    def _paths(self) -> list[Path]:
        if self._files is None:
            return []
        own = [self._files.keypair] if self._files.keypair.exists() else []
        return [*own, *sorted(self._files.keys.glob("*.json"))]
