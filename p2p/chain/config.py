"""Which chain, through whom, and which program there: the ``[chain]`` table of the configuration."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from p2p.chain.keys import to_pubkey
from p2p.core.errors import UserError
from p2p.core.ids import Wallet
from p2p.core.limits import RPC_URLS_MAX, URL_MAX_CHARS

CLUSTERS = ("localnet", "devnet", "mainnet")
FINALIZED = "finalized"
COMMITMENTS = ("confirmed", FINALIZED)


@dataclass(frozen=True, slots=True)
class ChainConfig:
    """``rpc_urls`` are asked in order, one that did not answer last. All are needed to say that a
    transaction can never land."""

    cluster: str
    rpc_urls: tuple[str, ...]
    program_id: Wallet
    usdc_mint: Wallet
    commitment: str = "confirmed"

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> ChainConfig:
        """Check a ``[chain]`` table: exactly these fields; ``rpc_url`` is one URL or a list.

        :raises UserError: a field is missing, unknown, or of the wrong kind.
        """
        known = {"cluster", "rpc_url", "program_id", "usdc_mint", "commitment"}
        unknown = sorted(set(table) - known)
        if unknown:
            raise _bad(f"[chain] has no field {unknown[0]!r}.")
        cluster = _choice(table, "cluster", CLUSTERS)
        commitment = _choice({"commitment": "confirmed", **table}, "commitment", COMMITMENTS)
        urls = table.get("rpc_url")
        urls = [urls] if isinstance(urls, str) else urls
        if not isinstance(urls, list) or not 0 < len(urls) <= RPC_URLS_MAX:
            raise _bad(f"[chain] rpc_url must be one URL or a list of at most {RPC_URLS_MAX}.")
        return cls(
            cluster=cluster,
            rpc_urls=tuple(_url(url) for url in urls),
            program_id=_address(table, "program_id"),
            usdc_mint=_address(table, "usdc_mint"),
            commitment=commitment,
        )

    @classmethod
    def load(cls, path: Path) -> ChainConfig:
        """Read the ``[chain]`` table of a TOML file, which may hold other tables.

        :raises UserError: the file cannot be read or the table is wrong.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8")).get("chain")
        except OSError as error:
            raise _bad(f"{path} cannot be read: {error.strerror}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise _bad(f"{path} is not TOML: {error}.") from None
        if not isinstance(table, dict):
            raise _bad(f"{path} has no table [chain].")
        return cls.from_table(table)

    def to_toml(self) -> str:
        """The table as text; none of its values needs escaping."""
        urls = ", ".join(f'"{url}"' for url in self.rpc_urls)
        return (
            f'[chain]\ncluster = "{self.cluster}"\nrpc_url = [{urls}]\nprogram_id = "{self.program_id}"\n'
            f'usdc_mint = "{self.usdc_mint}"\ncommitment = "{self.commitment}"\n'
        )

    def save(self, path: Path) -> None:
        """Write a file with this table alone, at once or not at all."""
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(self.to_toml(), encoding="utf-8")
        os.replace(fresh, path)


def _bad(what: str) -> UserError:
    return UserError("bad_chain_config", what, hint="docs/escrow.md describes the [chain] table.")


def _choice(table: Mapping[str, object], name: str, allowed: tuple[str, ...]) -> str:
    value = table.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise _bad(f"[chain] {name} must be one of {', '.join(allowed)}.")
    return value


def _url(value: object) -> str:
    plain = (
        isinstance(value, str) and len(value) <= URL_MAX_CHARS and value.startswith(("http://", "https://"))
    )
    if not plain or any(char in str(value) for char in ' "\\\n\r\t'):
        raise _bad("[chain] rpc_url must be http:// or https://.")
    return str(value)


def _address(table: Mapping[str, object], name: str) -> Wallet:
    value = table.get(name)
    if not isinstance(value, str):
        raise _bad(f"[chain] {name} is missing.")
    to_pubkey(Wallet(value))
    return Wallet(value)
