"""Where everything lies. Only composes paths; nothing here touches the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AgentPaths:
    """One agent's or service's folder under the home."""

    folder: Path

    @property
    def peer_key(self) -> Path:
        """The Ed25519 libp2p key, mode 0600."""
        return self.folder / "peer.key"

    @property
    def socket(self) -> Path:
        """Where windows and CLIs reach the agent (:mod:`p2p.local`)."""
        return self.folder / "agent.sock"

    @property
    def lock(self) -> Path:
        """Held while the agent runs."""
        return self.folder / "agent.lock"

    @property
    def log(self) -> Path:
        """The agent's own log."""
        return self.folder / "agent.log"

    @property
    def journal(self) -> Path:
        """The agent's SQLite journal."""
        return self.folder / "journal.db"

    @property
    def keystore(self) -> Path:
        """A wallet of the person's own, encrypted under their password (:mod:`p2p.chain.keystore`)."""
        return self.folder / "wallet.keystore"

    @property
    def jobs(self) -> Path:
        return self.folder / "jobs"

    def job(self, job_id: str) -> Path:
        return self.jobs / job_id


@dataclass(frozen=True, slots=True)
class Home:
    """``CYXWIZ_HOME``: the root of all data of one installation."""

    root: Path

    @property
    def config(self) -> Path:
        """``config.toml``: where the coordinator and the chain are."""
        return self.root / "config.toml"

    @property
    def engine(self) -> AgentPaths:
        return AgentPaths(self.root / "engine")

    @property
    def node(self) -> AgentPaths:
        return AgentPaths(self.root / "node")

    @property
    def coordinator(self) -> AgentPaths:
        return AgentPaths(self.root / "coordinator")

    @property
    def localnet(self) -> AgentPaths:
        """The local chain: its journal, and the keys of the program's authorities."""
        return AgentPaths(self.root / "localnet")
