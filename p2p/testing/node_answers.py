"""What a node's agent answers: a node with something of everything, for tests of its window."""

from __future__ import annotations

from typing import Any

from p2p.core.clock import SYSTEM_CLOCK

NOW_S = SYSTEM_CLOCK.now_s()
WALLET = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"
GIB = 1 << 30


def job(number: int, **changes: Any) -> dict[str, Any]:
    """An item of the answer to ``jobs``."""
    found = {
        "job_id": f"{number:032x}", "epoch": 1, "name": f"digits-{number}", "phase": "running",
        "gpu_uuid": "", "accepted_at_s": NOW_S - 60 * number, "started_at_s": NOW_S - 60 * number + 20,
        "finished_at_s": None, "run_seconds": 431.0, "timeout_s": 3600, "exit_code": None, "failure": None,
        "detail": "", "log_bytes": 18_204, "staged_bytes": None, "staging_bytes": None, "dispute": None,
    }  # fmt: skip
    return found | changes


def earning(number: int, **changes: Any) -> dict[str, Any]:
    """An item of the answer to ``earnings``."""
    found = {
        "job_id": f"{number:032x}", "name": f"digits-{number}", "at_s": NOW_S - 3600 * number,
        "asset": "usdc", "decimals": 6, "net_units": 412_500 + 1000 * number, "fee_units": 45_833,
        "used_seconds": 1650.0,
        "state": "settled", "pay": "paid", "review_ends_at_s": None, "signature": "5VERv8NMvzbJMEkV8xnrLkEa",
    }  # fmt: skip
    return found | changes


JOBS = [
    job(1),
    job(2, phase="staging", staged_bytes=412_000_000, staging_bytes=1_300_000_000, run_seconds=0.0,
        started_at_s=None),
    job(3, phase="cleaned", finished_at_s=NOW_S - 100, run_seconds=1650.0, exit_code=0),
    job(4, phase="failed", failure="script_error", run_seconds=12.0, finished_at_s=NOW_S - 200,
        detail="The script ended with exit code 1: ValueError: bad shape", exit_code=1),
    job(5, phase="stopped", run_seconds=99.0, finished_at_s=NOW_S - 300, detail="stopped by its owner"),
]  # fmt: skip
EARNINGS = [
    earning(1, pay="running", state="running", net_units=90_000),
    earning(3),
    earning(6, pay="in_review", state="completed", review_ends_at_s=NOW_S + 80_000, signature=None),
    earning(30, pay="waiting_for_signature", state="completed", signature=None),
    *(earning(number * 17) for number in range(4, 40)),
    earning(50, pay="disputed", state="completed", signature=None),
    earning(52, asset="sol", decimals=9, net_units=2_500_000_000, fee_units=250_000_000),
]
CHECKS = [
    {"name": name, "ok": ok, "found": found, "needed": needed, "why": why, "fix": fix, "required": required}
    for name, ok, found, needed, why, fix, required in (
        ("docker", True, "Docker 27.3.1, API 1.47", "Docker 20.10 or later", "every job runs in a container",
         "", True),
        ("gpu runtime", False, "runtimes: io.containerd.runc.v2, runc",
         "the NVIDIA Container Toolkit, if there is a GPU", "a container reaches a GPU only through it",
         "Install nvidia-container-toolkit, run `nvidia-ctk runtime configure`, restart Docker.", True),
        ("output limit", False, "a size watcher, which may overshoot", "root, mkfs.ext4 and loop devices",
         "a job then cannot write a byte more than it may", "Run the node as root, with e2fsprogs installed.",
         False),
        ("job image", True, "sha256:0123456789ab", "the job image", "jobs run in it", "", True),
    )
]  # fmt: skip
SETTINGS: dict[str, Any] = {
    "available": True, "scheduled": True, "hours": "mon-fri 18:00-08:00, sat,sun 00:00-24:00",
    "maintenance": "wed 03:00-04:30", "paused_until_s": 0.0, "only_when_idle": True, "idle_minutes": 10,
    "idle_percent": 20, "on_battery": False, "exclusive_apps": ["blender"], "exclusive_stops": False,
    "electricity_usd_micros_per_kwh": 300_000, "watts": 180, "min_price_usd_micros_per_hour": 250_000,
    "gpus": [], "cpus": 0.0, "memory_bytes": 0, "network": True, "image": "", "wallet_keypair": "",
    "wallet": "", "wallet_keystore": "", "login_ends_at_s": 0.0, "listen": ["/ip4/0.0.0.0/tcp/0"],
    "private_data_urls": False,
}  # fmt: skip
STATUS: dict[str, Any] = {
    "registered": True, "last_contact_s": NOW_S, "problem": None, "peer_id": "12D3KooWNode",
    "wallet": WALLET, "available": True, "slots": 2, "slots_busy": 2, "job_cpus": 4.0,
    "job_memory_bytes": 12 * GIB, "networks": ["none", "outbound"], "image": "sha256:0123456789ab",
    "payout": {"wallet": WALLET, "kind": "keypair", "file": "/srv/cyxwiz/node/wallet.json",
               "own": True, "login": None, "login_ends_at_s": None, "login_words": None,
               "login_command": None},
    "availability": {"switch": "available", "takes": True, "reason": "full",
                     "words": "All slots are taken (2 of 2).", "until_s": None, "paused_until_s": None},
    "hardware": {"gpus": [], "cpu_count": 16, "memory_bytes": 64 * GIB, "disk_free_bytes": 420 * GIB},
    "reading": {"cpu_percent": 62.0, "memory_used_bytes": 23 * GIB, "gpu_percent": [],
                "gpu_memory_used_bytes": []},
    "jobs": JOBS[:2],
}  # fmt: skip


def answers() -> dict[str, Any]:
    """What an agent with everything to show says."""
    return {
        "status": STATUS,
        "jobs": JOBS,
        "earnings": EARNINGS,
        "check": CHECKS,
        "switch": STATUS["availability"],
        "pause": STATUS["availability"],
        "stop": {},
        "stop_job": {},
        "settings": SETTINGS,
        "set": {"settings": SETTINGS, "at_next_start": []},
        "projection": {},
    }
