"""What an engine's agent answers about a wallet with some history, as the real one says it."""

from __future__ import annotations

from typing import Any

WALLET = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"
JOB = "4f1c9a72e0b84d5f9a3b6c7d8e9f0a1b"
SIGNATURE = "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW"
AT_S = 1_790_000_000.0
EXPIRES_S = 4_000_000_000.0


def balance(usdc: int = 18_500_000, sol: int = 0, cluster: str = "localnet") -> dict[str, Any]:
    """``wallet_balance``."""
    session = {"key": "Sess" + WALLET[4:], "remaining_units": usdc, "expires_at_s": EXPIRES_S}
    return {
        "wallet": WALLET,
        "cluster": cluster,
        "assets": [
            {"asset": "sol", "decimals": 9, "escrow_units": sol, "wallet_units": 940_000_000,
             "session": None},
            {"asset": "usdc", "decimals": 6, "escrow_units": usdc, "wallet_units": 73_250_000,
             "session": session if usdc else None},
        ],
    }  # fmt: skip


def job(job_id: str = JOB, **changed: Any) -> dict[str, Any]:
    """An item of ``jobs``."""
    made = {
        "job_id": job_id, "name": "train.py", "state": "running", "stage": "following", "final": False,
        "succeeded": None, "created_at_s": AT_S, "asset": "usdc", "decimals": 6, "gpu_type": "any",
        "gpu_class": "rtx4090", "timeout_s": 3600, "attempt": 1, "node_peer_id": "12D3KooWNode",
        "used_seconds": 60, "deposit_units": 1_500_000, "rate_units_per_hour": 400_000, "used_units": 6_667,
        "progress": 0.2, "metrics": {}, "transfer": None, "failure": None, "failure_words": "", "detail": "",
        "problem": None, "cancel_wanted": False, "topping_up": False, "disputed": False, "out": "/tmp/out",
        "fetched": False, "verified_root": None, "cost": None,
    }  # fmt: skip
    return {**made, **changed}


def entry(kind: str = "deposit", words: str = "deposit", **changed: Any) -> dict[str, Any]:
    """An item of ``wallet_history``."""
    made = {
        "kind": kind, "words": words, "asset": "usdc", "decimals": 6, "units": 20_000_000,
        "amount": "20.000000", "usd_micros": 20_000_000, "job_id": None, "job_name": None,
        "ledger": "posted", "ledger_units": 20_000_000, "ledger_words": "posted", "signature": SIGNATURE,
        "explorer": f"https://explorer.solana.com/tx/{SIGNATURE}?cluster=devnet", "at_s": AT_S,
    }  # fmt: skip
    return {**made, **changed}


def history() -> list[dict[str, Any]]:
    """``wallet_history``."""
    return [
        entry("settle", "job settled, rest back", units=1_493_333, usd_micros=1_493_333, job_id=JOB,
              job_name="train.py", at_s=AT_S + 900, signature="4" + SIGNATURE[1:]),
        entry("open", "job opened", units=1_500_000, usd_micros=1_500_000, job_id=JOB, job_name="train.py",
              at_s=AT_S + 300, signature="3" + SIGNATURE[1:]),
        entry("authorize", "session key allowed", units=0, usd_micros=0, ledger=None, ledger_words=""),
        entry(),
    ]  # fmt: skip


def sessions() -> list[dict[str, Any]]:
    """``wallet_sessions``."""
    made = {
        "key": "Sess" + WALLET[4:], "here": True, "asset": "usdc", "decimals": 6,
        "remaining_units": 18_500_000, "expires_at_s": EXPIRES_S, "sol_units": 50_000_000,
    }  # fmt: skip
    other = {
        **made,
        "key": "Othr" + WALLET[4:],
        "here": False,
        "remaining_units": 5_000_000,
        "expires_at_s": AT_S,
    }
    return [made, other]


def offers() -> list[dict[str, Any]]:
    """``offers``."""
    return [
        {"gpu_class": "rtx4090", "nodes_online": 12, "nodes_free": 7, "vram_max_bytes": 24 * 2**30,
         "usd_micros_per_hour": 400_000},
        {"gpu_class": "cpu", "nodes_online": 3, "nodes_free": 3, "vram_max_bytes": 0,
         "usd_micros_per_hour": 50_000},
    ]  # fmt: skip


def answers() -> dict[str, Any]:
    """Of an agent whose wallet is connected."""
    return {
        "status": {
            "version": "0.1.0", "pid": 4711, "home": "/home", "peer_id": "12D3KooWEngine", "wallet": WALLET,
            "addresses": ["/ip4/192.0.2.7/tcp/4101/p2p/12D3KooWEngine"], "jobs": 1,
        },
        "account": {"wallet": WALLET, "kind": "keypair", "file": "/keys/buyer.json"},
        "wallet_balance": balance(),
        "wallet_history": history(),
        "wallet_sessions": sessions(),
        "session_limits": {"days": 30, "allow": {"usdc": None, "sol": None}},
        "jobs": [job()],
        "offers": offers(),
        "network": network(),
    }  # fmt: skip


def network(**changed: Any) -> dict[str, Any]:
    """``network``."""
    made = {
        "peer_id": "12D3KooWEngineQm8aUx9EPjHmaT23yvVM2ZWbrrpZb9PusVF",
        "addresses": ["/ip4/192.0.2.7/tcp/4101"],
        "started_at_s": AT_S,
        "uptime_s": 3600.0,
        "coordinator": {
            "peer_id": "12D3KooWExample", "address": "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWExample",
            "reachable": True, "since_s": AT_S, "last_reply_at_s": AT_S, "problem": None,
        },
        "peers": [
            {"peer_id": "12D3KooWExample", "role": "coordinator", "host": "127.0.0.1"},
            {"peer_id": "12D3KooWNode", "role": "node", "host": "198.51.100.4"},
        ],
        "jobs": [
            {"job_id": JOB, "name": "train.py", "state": "running", "node_peer_id": "12D3KooWNode",
             "connected": True, "host": "198.51.100.4", "up_bytes": 42_000_000, "down_bytes": 1_200_000,
             "up_bytes_per_s": 1_100_000.0, "down_bytes_per_s": 0.0, "relayed": False},
            {"job_id": "a" * 32, "name": "finetune.py", "state": "running", "node_peer_id": "12D3KooWOther",
             "connected": True, "host": "203.0.113.9", "up_bytes": 900_000, "down_bytes": 0,
             "up_bytes_per_s": 0.0, "down_bytes_per_s": 0.0, "relayed": True},
        ],
        "up_bytes": 42_900_000, "down_bytes": 1_200_000, "up_bytes_per_s": 1_100_000.0,
        "down_bytes_per_s": 0.0,
    }  # fmt: skip
    return {**made, **changed}


def plan() -> dict[str, Any]:
    """The last item of ``plan``."""
    return {
        "job_id": JOB, "name": "train.py", "script": "train.py", "files": 5, "bytes": 125_700,
        "known_bytes": 0, "data_url": "", "network": "none", "gpu_type": "any", "timeout_s": 600,
        "asset": "usdc", "decimals": 6, "asset_price_usd_micros": 1_000_000, "nodes_online": 3,
        "nodes_matching": 2, "misfits": [], "jobs_ahead": 0,
        "rates": [{"gpu_class": "cpu", "usd_micros_per_hour": 50_000, "units_per_hour": 50_000}],
        "cheapest_units": 8_334, "deposit_units": 166_667, "fee_bps": 1000, "balance_units": 18_500_000,
        "fees_paid_by": "session key", "expires_at_s": EXPIRES_S, "out": "/results/sample",
    }  # fmt: skip
