"""``escrow show``: the program as it is on chain."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import click

from coordinator.cli.operating import open_chain
from p2p.core.durations import format_duration
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import COORDINATOR_LOW_LAMPORTS
from p2p.core.money import Asset, format_amount, format_fee
from p2p.local import cli as frame

if TYPE_CHECKING:
    from p2p.chain.accounts import OnChainConfig
    from p2p.chain.escrow import EscrowClient
    from p2p.chain.loader import DeployedProgram


@click.command()
@frame.json_option
def show(as_json: bool) -> None:
    """What the program is, who holds which office, its settings, its assets, and SOL for fees."""
    found = frame.run_async(_read)
    if as_json:
        frame.print_json(found)
    else:
        _print(found)


async def _read() -> dict[str, Any]:
    from p2p.chain.administration import open_jobs
    from p2p.chain.loader import deployed_program
    from p2p.chain.program import escrow_program

    binary = escrow_program()
    async with open_chain() as chain:
        program = await deployed_program(chain)
        config = await _config(chain)
        fees = None
        if config is not None:
            fees = await chain.wallet_balance(config.coordinator, Asset.SOL)
        return {
            "cluster": chain.chain.cluster,
            "program_id": chain.chain.program_id,
            "program": None if program is None else _program(program, binary),
            "shipped_sha256": hashlib.sha256(binary).hexdigest(),
            "config": None if config is None else _settings(config),
            "assets": [await _asset(chain, asset) for asset in Asset],
            "open_jobs": dict(await open_jobs(chain)),
            "coordinator_lamports": fees,
            "coordinator_low": fees is not None and fees < COORDINATOR_LOW_LAMPORTS,
        }


async def _config(chain: EscrowClient) -> OnChainConfig | None:
    """Nothing before the program is configured."""
    try:
        return await chain.config()
    except EnvironmentFailure as error:
        if error.code != "chain_not_set_up":
            raise
        return None


def _program(program: DeployedProgram, binary: bytes) -> dict[str, Any]:
    same = program.is_exactly(binary)
    content = binary if same else program.room.rstrip(b"\0")
    return {
        "upgrade_authority": program.authority,
        "sha256": hashlib.sha256(content).hexdigest(),
        "is_shipped": same,
        "room_bytes": len(program.room),
    }


def _settings(config: OnChainConfig) -> dict[str, Any]:
    return {
        "admin": config.admin,
        "admin_proposed": config.admin_next,
        "coordinator": config.coordinator,
        "coordinator_proposed": config.coordinator_next,
        "arbiter": config.arbiter,
        "arbiter_proposed": config.arbiter_next,
        "fee_bps": config.fee_bps,
        "fee_owner": config.fee_owner,
        "review_window_s": config.review_window_s,
        "longest_job_s": config.longest_job_s,
        "paused": config.paused,
    }


async def _asset(chain: EscrowClient, asset: Asset) -> dict[str, Any]:
    from p2p.chain.administration import asset_taken

    enabled = await asset_taken(chain, asset)
    known = {"asset": asset.value, "decimals": asset.decimals, "enabled": enabled}
    if enabled is None:
        return {**known, "owed_units": None, "vault_units": None}
    owed = (await chain.asset(asset)).owed_units
    return {**known, "owed_units": owed, "vault_units": await chain.vault(asset)}


def _print(found: dict[str, Any]) -> None:
    program, config = found["program"], found["config"]
    rows = [("program", f"{found['program_id']} on {found['cluster']}")]
    if program is None:
        rows.append(("code", "not deployed; `cyxwiz-coordinator escrow deploy --program FILE`"))
    else:
        same = "byte for byte this version's" if program["is_shipped"] else "NOT this version's"
        rows.append(("code", f"{same} (SHA-256 {program['sha256']})"))
        rows.append(("upgrade authority", program["upgrade_authority"] or "nobody: it can never be replaced"))
    if config is None:
        rows.append(("configuration", "none; `cyxwiz-coordinator escrow init …`"))
    else:
        rows += _config_rows(config)
        rows.append(("SOL for fees", format_amount(found["coordinator_lamports"], Asset.SOL)))
        rows.append(("open jobs", str(found["open_jobs"].get(config["coordinator"], 0))))
        rows += [
            ("under a former key", f"{count} of {wallet}")
            for wallet, count in found["open_jobs"].items()
            if wallet != config["coordinator"]
        ]
    for name, value in rows:
        frame.out.print(f"{name:<20}{value}", markup=False)
    frame.out.print()
    columns = ("asset", "state", ">owed", ">in the vault")
    frame.print_table(columns, [_asset_row(entry) for entry in found["assets"]], "")
    if found["coordinator_low"]:
        low = format_amount(COORDINATOR_LOW_LAMPORTS, Asset.SOL)
        frame.say(f"WARNING: the coordinator's key has less than {low} for fees.")
        frame.say(f"Send some to {config['coordinator']}, or soon no job can be assigned or settled.")


def _config_rows(config: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for role in ("admin", "coordinator", "arbiter"):
        proposed = config[f"{role}_proposed"]
        rows.append((role, config[role] + (f" (proposed: {proposed})" if proposed else "")))
    rows.append(("fee", f"{format_fee(config['fee_bps'])} to {config['fee_owner']}"))
    rows.append(("review window", format_duration(config["review_window_s"])))
    rows.append(("longest job", format_duration(config["longest_job_s"])))
    rows.append(("deposits, new jobs", "PAUSED" if config["paused"] else "open"))
    return rows


def _asset_row(entry: dict[str, Any]) -> tuple[str, ...]:
    asset, enabled = Asset(entry["asset"]), entry["enabled"]
    if enabled is None:
        return (asset.symbol, "not taken", "", "")
    amounts = (format_amount(entry[name], asset) for name in ("owed_units", "vault_units"))
    return (asset.symbol, "taken" if enabled else "stopped", *amounts)
