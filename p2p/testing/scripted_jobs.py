"""What an engine's agent says of jobs, plans and the market, in the form of docs/cli.md, for tests."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

JOB_ID = "3f9a" + "0" * 60
PEER_ID = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"
SIGNATURE = "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW"
AT_S = 1_790_000_000.0
_STAGES = {
    "settled": "settled", "refunded": "refunded", "completed": "verified", "failed": "closing",
    "cancelled": "closing", "opening": "opening",
}  # fmt: skip


def job(state: str = "running", **changes: Any) -> Json:
    """A job as ``show`` has it, in a state of the coordinator's."""
    final = state in ("settled", "refunded", "dropped")
    ran = state in ("running", "delivering", "completed", "settled")
    found: Json = {
        "job_id": JOB_ID,
        "name": "digits",
        "state": state,
        "stage": _STAGES.get(state, "following"),
        "final": final,
        "succeeded": {"settled": True, "refunded": False}.get(state),
        "created_at_s": AT_S,
        "asset": "usdc",
        "decimals": 6,
        "gpu_type": "any",
        "gpu_class": "rtx4090" if ran else "",
        "timeout_s": 3600,
        "attempt": 1 if ran else 0,
        "node_peer_id": PEER_ID if ran else "",
        "used_seconds": 754 if ran else 0,
        "deposit_units": 400_000,
        "rate_units_per_hour": 400_000 if ran else 0,
        "used_units": 83_778 if ran else 0,
        "budget_used": 754 / 3600 if ran else 0.0,
        "progress": 0.42 if state == "running" else None,
        "metrics": {"loss": 0.25},
        "transfer": None,
        "failure": None,
        "failure_words": "",
        "detail": "",
        "problem": None,
        "cancel_wanted": False,
        "topping_up": False,
        "disputed": False,
        "out": "/srv/ml/out",
        "fetched": state in ("completed", "settled"),
        "verified_root": "ab" * 32 if state in ("completed", "settled") else "",
        "cost": None,
        "wallet": "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin",
        "signer": "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin",
        "open_signature": SIGNATURE,
        "fee_bps": 1000,
        "network": "none",
        "min_vram_bytes": 0,
        "max_price_usd_micros_per_hour": None,
        "input": {"script": "train.py", "files": 3, "bytes": 4_200_000, "root": "cd" * 32, "data_url": ""},
        "events": events(),
        "nodes_online": 3,
        "misfits": [],
        "chain": [],
        "dispute_signature": "",
        "transactions": transactions(),
        "review": None,
        "request": {
            "script": "/srv/ml/train.py",
            "requirements": "",
            "data": "/srv/ml/data",
            "data_sha256": "",
            "exclude": [".git"],
        },
        "result": None,
    }
    if state in ("completed", "settled"):
        found["result"] = result()
    if final:
        found["cost"] = cost(found["used_units"])
    return found | changes


def events() -> list[Json]:
    """A short history, of both sides."""
    steps = (
        ("packaged", "", "engine"), ("opened", "", "engine"), ("queued", "", "coordinator"),
        ("assigned", "attempt 1", "coordinator"), ("running", "", "coordinator"),
    )  # fmt: skip
    return [
        {"at_s": AT_S + 7 * number, "state": state, "detail": detail, "from": by}
        for number, (state, detail, by) in enumerate(steps)
    ]


def transactions(explorer: str | None = "https://explorer.solana.com/tx/abc?cluster=devnet") -> list[Json]:
    """Two of an escrow."""
    return [
        {"action": action, "signature": SIGNATURE, "status": status, "at_s": at_s, "explorer": explorer}
        for action, status, at_s in (("open", "", None), ("assign", "confirmed", AT_S + 21))
    ]


def result() -> Json:
    """What a node signed."""
    return {
        "node_peer_id": PEER_ID,
        "root": "ab" * 32,
        "files": 2,
        "bytes": 1_234_567,
        "image_digest": "sha256:" + "e" * 64,
        "exit_code": 0,
        "run_seconds": 754,
        "verified": True,
    }


def cost(used_units: int, deposit_units: int = 400_000) -> Json:
    """As the chain has decided."""
    fee = used_units // 10
    return {
        "job_id": JOB_ID,
        "asset": "usdc",
        "decimals": 6,
        "final": True,
        "state": "settled",
        "gpu_class": "rtx4090",
        "rate_units_per_hour": 400_000,
        "deposit_units": deposit_units,
        "used_seconds": 754,
        "used_units": used_units,
        "fee_bps": 1000,
        "node_units": used_units - fee,
        "fee_units": fee,
        "refund_units": deposit_units - used_units,
        "transactions": [],
    }


def jobs() -> list[Json]:
    """A list with one job in each state."""
    states = (
        "opening", "queued", "assigned", "staging", "running", "delivering", "completed", "settled", "failed",
        "cancelled", "refunded",
    )  # fmt: skip
    found = [
        job(state, job_id=f"{number:04x}" + "0" * 60, name=f"train-{state}", created_at_s=AT_S + number)
        for number, state in enumerate(states)
    ]
    found[3]["transfer"] = {"direction": "up", "done_bytes": 1_000_000, "total_bytes": 4_200_000}
    found[5]["problem"] = problem()
    return found


def problem() -> Json:
    """What holds a job up, as it travels."""
    return {
        "family": "environment",
        "code": "disk_full",
        "what": "The disk is full: /srv/ml/out.",
        "meaning": "The results are safe at the node; nothing is lost.",
        "hint": "Free some space, or fetch them into another folder.",
        "retryable": True,
    }


def misfits() -> list[Json]:
    """Why nodes don't fit."""
    return [
        {"rule": "busy", "nodes": 2, "words": "are busy with other jobs"},
        {"rule": "vram", "nodes": 1, "words": "have less VRAM than the 24 GB that you ask for"},
    ]


def estimate(**changes: Any) -> Json:
    """What a job would cost."""
    found: Json = {
        "gpu_type": "any",
        "min_vram_bytes": 0,
        "max_price_usd_micros_per_hour": None,
        "timeout_s": 3600,
        "network": "none",
        "asset": "usdc",
        "decimals": 6,
        "asset_price_usd_micros": 1_000_000,
        "rates": [
            {"gpu_class": "rtx4090", "usd_micros_per_hour": 400_000, "units_per_hour": 400_000},
            {"gpu_class": "cpu", "usd_micros_per_hour": 40_000, "units_per_hour": 40_000},
        ],
        "cheapest_units": 40_000,
        "deposit_units": 400_000,
        "fee_bps": 1000,
        "fee_units": 40_000,
        "nodes_online": 3,
        "nodes_matching": 0,
        "misfits": misfits(),
        "jobs_ahead": 2,
        "slots": 3,
        "slots_free": 0,
        "wait_s": 190.0,
        "mean_run_s": 95.0,
        "sampled_jobs": 12,
    }
    return found | changes


def measure(**changes: Any) -> Json:
    """What a job would send."""
    config = {"gpu_type": "any", "min_vram": 0.0, "timeout": 3600, "network": "none"}
    found: Json = {
        "files": 12,
        "bytes": 4_200_000,
        "known_bytes": 1_000_000,
        "left_out": [],
        "left_out_count": 3,
        "problems": [],
        "problem_count": 0,
        "config": config,
    }
    return found | changes


def plan(**changes: Any) -> Json:
    """Signed terms, before the yes."""
    found = {
        **estimate(),
        "job_id": JOB_ID,
        "name": "digits",
        "script": "train.py",
        "files": 12,
        "bytes": 4_200_000,
        "known_bytes": 1_000_000,
        "data_url": "",
        "balance_units": 20_000_000,
        "fees_paid_by": "coordinator",
        "expires_at_s": AT_S,
        "out": "/srv/ml/out",
    }
    return found | changes


def offers() -> list[Json]:
    """Two classes."""
    return [
        {
            "gpu_class": name,
            "nodes_online": 2,
            "nodes_free": 1,
            "vram_max_bytes": vram,
            "usd_micros_per_hour": usd,
        }
        for name, vram, usd in (("rtx4090", 24 << 30, 400_000), ("cpu", 0, 40_000))
    ]


def metrics(rows: int = 10) -> Json:
    """What a script printed, all of it."""
    return {
        "job_id": JOB_ID,
        "epoch": 1,
        "offset": 100 * rows,
        "line": rows,
        "more": False,
        "complete": True,
        "rows": [
            {
                "line": number,
                "epoch": float(number),
                "step": None,
                "values": {
                    "train_loss": 1 / number,
                    "val_loss": 1.2 / number,
                    "accuracy": 1 - 1 / (number + 1),
                },
            }
            for number in range(1, rows + 1)
        ],
    }


def usage(samples: int = 5) -> Json:
    """What a container used, one sample every two seconds."""
    return {
        "job_id": JOB_ID,
        "epoch": 1,
        "after": samples,
        "more": False,
        "complete": True,
        "cpus": 4,
        "memory_limit_bytes": 8_000_000_000,
        "problem": None,
        "samples": [
            {
                "at_s": AT_S + 2 * number,
                "cpu_percent": 150.0,
                "memory_bytes": 1_000_000_000 + number,
                "disk_bytes": 1_000_000 * number,
                "processes": 3,
                "gpu_percent": 90.0,
                "gpu_memory_bytes": 12_000_000_000,
            }
            for number in range(samples)
        ],
    }


def topup_terms(seconds: int = 1800, **changes: Any) -> Json:
    """What so much more time costs the job of :func:`job`."""
    units = 400_000 * seconds // 3600
    found: Json = {
        "job_id": JOB_ID,
        "asset": "usdc",
        "decimals": 6,
        "seconds": seconds,
        "timeout_s": 3600 + seconds,
        "units": units,
        "deposit_units": 400_000 + units,
        "balance_units": 5_000_000,
        "underway": False,
    }
    return found | changes


def dispute_terms() -> Json:
    """What disputing means, in numbers."""
    return {
        "job_id": JOB_ID,
        "asset": "usdc",
        "decimals": 6,
        "deposit_units": 400_000,
        "claimed_units": 83_778,
        "window_ends_at_s": AT_S + 86_400,
        "resolve_by_s": AT_S + 3 * 86_400,
        "disputed": False,
    }


def review(**changes: Any) -> Json:
    """A claim that nobody has disputed."""
    found: Json = {
        "claimed_units": 83_778,
        "window_ends_at_s": AT_S + 86_400,
        "dispute": None,
        "reason": "",
        "answer": "",
        "opened_at_s": None,
        "resolve_by_s": None,
        "ended_at_s": None,
        "decided_units": None,
    }
    return found | changes


def results(**changes: Any) -> Json:
    """Two outputs and what lies beside them."""
    found: Json = {
        "job_id": JOB_ID,
        "out": "/srv/ml/out",
        "fetched": True,
        "root": "ab" * 32,
        "node_peer_id": PEER_ID,
        "files": [
            _file("outputs/model.pt", 9_000_000, 3, "verified"),
            _file("outputs/metrics.json", 812, 1, "changed"),
        ],
        "beside": [{"path": "log.txt", "bytes": 4_096}],
    }
    return found | changes


def _file(path: str, size: int, chunks: int, state: str) -> Json:
    sha256 = "ef" * 32 if chunks == 1 else None
    return {
        "path": path,
        "bytes": size,
        "sha256": sha256,
        "leaf": "cd" * 32,
        "chunks": chunks,
        "state": state,
    }
