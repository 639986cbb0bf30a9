"""What a node's agent answers: a node with something of everything, for tests of its window."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import trio

from p2p.testing.node_machine import GIB, HARDWARE, NOW_S, readings

WALLET = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"


STOP_MEANS = (
    "The job begins again at another node. This one is not paid for it, and what it has done is lost."
)


def job(number: int, **changes: Any) -> dict[str, Any]:
    """An item of the answer to ``jobs``."""
    found = {
        "job_id": f"{number:032x}",
        "epoch": 1,
        "name": f"digits-{number}",
        "phase": "running",
        "gpu_uuid": "",
        "accepted_at_s": NOW_S - 60 * number,
        "started_at_s": NOW_S - 60 * number + 20,
        "finished_at_s": None,
        "run_seconds": 431.0,
        "timeout_s": 3600,
        "exit_code": None,
        "failure": None,
        "detail": "",
        "log_bytes": 18_204,
        "staged_bytes": None,
        "staging_bytes": None,
        "dispute": None,
        "limits": {
            "cpus": 4.0,
            "memory_bytes": 12 * GIB,
            "disk_bytes": 10 * GIB,
            "network": "none",
            "timeout_s": 3600,
        },
        "progress": None,
        "stop_means": STOP_MEANS,
        "pay": {
            "asset": "usdc",
            "decimals": 6,
            "rate_units_per_hour": 900_000,
            "fee_bps": 1000,
            "state": "running",
            "estimate": True,
            "net_units": 97_000,
            "fee_units": 10_775,
        },
    }
    return found | changes


def earning(number: int, **changes: Any) -> dict[str, Any]:
    """An item of the answer to ``earnings``."""
    found = {
        "job_id": f"{number:032x}",
        "name": f"digits-{number}",
        "at_s": NOW_S - 3600 * number,
        "asset": "usdc",
        "decimals": 6,
        "net_units": 412_500 + 1000 * number,
        "fee_units": 45_833,
        "used_seconds": 1650.0,
        "state": "settled",
        "pay": "paid",
        "review_ends_at_s": None,
        "signature": "5VERv8NMvzbJMEkV8xnrLkEa",
    }
    return found | changes


def pay(state: str | None, net_units: int) -> dict[str, Any]:
    """The ``pay`` of an attempt that has ended."""
    return {
        "asset": "usdc",
        "decimals": 6,
        "rate_units_per_hour": 900_000,
        "fee_bps": 1000,
        "state": state,
        "estimate": False,
        "net_units": net_units,
        "fee_units": net_units // 9,
    }


JOBS = [
    job(1),
    job(
        2,
        phase="staging",
        staged_bytes=412_000_000,
        staging_bytes=1_300_000_000,
        run_seconds=0.0,
        started_at_s=None,
    ),
    job(
        3,
        phase="cleaned",
        finished_at_s=NOW_S - 100,
        run_seconds=1650.0,
        exit_code=0,
        pay=pay("paid", 371_250),
        stop_means=None,
    ),
    job(
        4,
        phase="failed",
        failure="script_error",
        run_seconds=12.0,
        finished_at_s=NOW_S - 200,
        detail="The script ended with exit code 1: ValueError: bad shape",
        exit_code=1,
        pay=pay(None, 0),
    ),
    job(5, phase="stopped", run_seconds=99.0, detail="The node's owner stopped it.", pay=pay(None, 0)),
]
EARNINGS = [
    earning(1, pay="running", state="running", net_units=90_000),
    earning(3),
    earning(6, pay="in_review", state="completed", review_ends_at_s=NOW_S + 80_000, signature=None),
    earning(30, pay="waiting_for_signature", state="completed", signature=None),
    *(earning(number * 17) for number in range(4, 40)),
    earning(50, pay="disputed", state="completed", signature=None),
    earning(52, asset="sol", decimals=9, net_units=2_500_000_000, fee_units=250_000_000),
]


def check(
    name: str, ok: bool, found: str, needed: str, why: str, fix: str = "", **more: Any
) -> dict[str, Any]:
    """An item of the answer to ``check``."""
    row = {
        "id": name.replace(" ", "-"),
        "name": name,
        "ok": ok,
        "found": found,
        "needed": needed,
        "why": why,
        "fix": fix,
        "required": True,
        "action": None,
        "commands": [],
    }
    return row | more


CHECKS = [
    check("docker", True, "Docker 27.3.1, API 1.47", "Docker 20.10 or later", "every job runs in one"),
    check(
        "gpu runtime",
        False,
        "runtimes: io.containerd.runc.v2, runc",
        "the NVIDIA Container Toolkit, if there is a GPU",
        "a container reaches a GPU only through it",
        "Install nvidia-container-toolkit, run `nvidia-ctk runtime configure`, restart Docker.",
        commands=[
            "sudo apt-get install nvidia-container-toolkit",
            "sudo nvidia-ctk runtime configure --runtime=docker",
            "sudo systemctl restart docker",
        ],
    ),
    check(
        "job image",
        False,
        "There is no job image on this machine.",
        "the job image",
        "jobs run in it",
        "Build it: image/build",
        action="Build the job image.",
        commands=["image/build"],
    ),
    check(
        "output limit",
        False,
        "a size watcher, which may overshoot",
        "root, mkfs.ext4 and loop devices",
        "a job then cannot write a byte more than it may",
        "Run the node as root, with e2fsprogs installed.",
        required=False,
    ),
    check("available", True, "on", "on", "no job comes while it is off", required=False),
]
SETTINGS: dict[str, Any] = {
    "available": True,
    "scheduled": True,
    "hours": "mon-fri 18:00-08:00, sat,sun 00:00-24:00",
    "maintenance": "wed 03:00-04:30",
    "paused_until_s": 0.0,
    "only_when_idle": True,
    "idle_minutes": 10,
    "idle_percent": 20,
    "on_battery": False,
    "exclusive_apps": ["blender"],
    "exclusive_stops": False,
    "electricity_usd_micros_per_kwh": 300_000,
    "watts": 180,
    "min_price_usd_micros_per_hour": 250_000,
    "gpus": [],
    "cpus": 0.0,
    "memory_bytes": 0,
    "network": True,
    "image": "",
    "wallet_keypair": "",
    "wallet": "",
    "wallet_keystore": "",
    "login_ends_at_s": 0.0,
    "listen": ["/ip4/0.0.0.0/tcp/0"],
    "private_data_urls": False,
}
STATUS: dict[str, Any] = {
    "registered": True,
    "last_contact_s": NOW_S,
    "problem": None,
    "peer_id": "12D3KooWNode",
    "wallet": WALLET,
    "available": True,
    "slots": 2,
    "slots_busy": 2,
    "job_cpus": 4.0,
    "job_memory_bytes": 12 * GIB,
    "networks": ["none", "outbound"],
    "image": "sha256:0123456789ab",
    "payout": {
        "wallet": WALLET,
        "kind": "keypair",
        "file": "/srv/cyxwiz/node/wallet.json",
        "own": True,
        "login": None,
        "login_ends_at_s": None,
        "login_words": None,
        "login_command": None,
    },
    "availability": {
        "switch": "available",
        "takes": True,
        "reason": "full",
        "words": "All slots are taken (2 of 2).",
        "until_s": None,
        "paused_until_s": None,
    },
    "hardware": {"gpus": [], "cpu_count": 16, "memory_bytes": 64 * GIB, "disk_free_bytes": 420 * GIB},
    "reading": {
        "cpu_percent": 62.0,
        "memory_used_bytes": 23 * GIB,
        "gpu_percent": [],
        "gpu_memory_used_bytes": [],
    },
    "jobs": JOBS[:2],
    "news": 7,
    "coordinator": "/dns4/coordinator.example.org/tcp/4001/p2p/12D3KooWOne",
    "earned": {
        "as_of_s": NOW_S,
        "assets": [
            {
                "asset": "sol",
                "decimals": 9,
                "today_units": 0,
                "week_units": 2_500_000_000,
                "in_review_units": 0,
                "unpaid_units": 0,
                "running_units": 0,
                "lifetime_units": 2_500_000_000,
            },
            {
                "asset": "usdc",
                "decimals": 6,
                "today_units": 834_000,
                "week_units": 4_877_000,
                "in_review_units": 881_000,
                "unpaid_units": 442_500,
                "running_units": 97_000,
                "lifetime_units": 28_866_000,
            },
        ],
    },
}

PROJECTION: dict[str, Any] = {
    "as_of_s": NOW_S,
    "days_asked": 7,
    "assets": [
        {
            "asset": "usdc",
            "decimals": 6,
            "days": 7,
            "window_units": 4_877_000,
            "per_day_units": 696_714,
            "per_month_units": 20_901_428,
            "projected_units": 5_120_000,
        }
    ],
    "electricity": {
        "usd_micros_per_kwh": 300_000,
        "watts": 180,
        "measured": False,
        "days": 7,
        "used_seconds": 19_800,
        "cost_usd_micros": 297_000,
        "net_usd_micros": 4_580_000,
        "not_counted": [],
    },
}


async def log_lines(params: dict[str, Any]) -> AsyncGenerator[Any, None]:
    """What ``log`` streams."""
    lines = [f"2026-11-26 16:0{at % 10}:00,000 INFO node.jobs: job {at:012x} runs" for at in range(60)]
    yield {"offset": 0, "lines": lines, "anew": False}
    await trio.sleep_forever()


async def no_news(params: dict[str, Any]) -> AsyncGenerator[Any, None]:
    """What ``news`` streams while nothing happens."""
    await trio.sleep_forever()
    yield None


async def mended(params: dict[str, Any]) -> AsyncGenerator[Any, None]:
    """What ``fix`` streams."""
    yield {"line": "Step 1 of 2"}
    yield {"row": CHECKS[0]}


RATES = [
    {"gpu_class": "rtx4090", "usd_micros_per_hour": 400_000, "nodes_online": 5, "nodes_free": 2, "own": True},
    {"gpu_class": "cpu", "usd_micros_per_hour": 60_000, "nodes_online": 3, "nodes_free": 3, "own": False},
]


def streams() -> dict[str, Any]:
    """What it streams."""
    return {"log": log_lines, "news": no_news, "fix": mended}


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
        "projection": PROJECTION,
        "rates": RATES,
        "hardware": HARDWARE,
        "readings": readings,
        "autostart": {"on": True, "how": "systemd", "place": "/etc/x"},
        "support_bundle": {"file": "/tmp/b.zip", "parts": [{"name": "status.json", "size_bytes": 4000}]},
    }
