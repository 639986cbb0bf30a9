"""The node's self-test: what a machine needs to run jobs, and how to mend what is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import docker
import docker.errors
import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import DISK_FREE_MIN_BYTES, GIB
from p2p.node.runner import volume
from p2p.node.runner.daemon import Daemon
from p2p.node.runner.spec import CheckRow

API_MIN = (1, 41)  # Docker 20.10, the first with cgroup name spaces


async def run_checks(daemon: Daemon, folder: Path, image_label: str) -> list[CheckRow]:
    """One row per thing that jobs need. A failed call is a row, not an error."""
    rows: list[CheckRow] = []
    try:
        version, info = await daemon.call("ask for its version", lambda c: (c.version(), c.info()))
    except EnvironmentFailure as failure:
        rows.append(
            CheckRow(
                "docker",
                False,
                failure.what,
                "a daemon that answers",
                "every job runs in a container",
                failure.hint,
            )
        )
    else:
        rows += [_docker(version), _init(info), _gpu_runtime(info), await _image(daemon, image_label)]
    rows += await trio.to_thread.run_sync(lambda: [_disk(folder), _mounts(), _firewall()])
    return rows


def job_image(client: docker.APIClient, label: str, tag: str | None) -> str:
    """The id of the job image with ``tag``, or of the newest one.

    :raises EnvironmentFailure: ``no_job_image``.
    """
    try:
        if tag is not None:
            return image_id(client, tag)
        found: list[dict[str, Any]] = client.images(filters={"label": f"{label}=1", "dangling": False})
    except docker.errors.ImageNotFound:
        found = []
    if not found:
        raise EnvironmentFailure(
            "no_job_image",
            f"There is no job image{f' {tag}' if tag else ''} on this machine.",
            "No job can run on this node.",
            "Build it: image/build",
            retryable=False,
        )
    return str(max(found, key=lambda image: image["Created"])["Id"])


def image_id(client: docker.APIClient, tag: str) -> str:
    """The id of the image with this tag or id.

    :raises docker.errors.ImageNotFound: there is none.
    """
    return str(client.inspect_image(tag)["Id"])  # type: ignore[no-untyped-call]


def _docker(version: dict[str, Any]) -> CheckRow:
    api = tuple(int(part) for part in version["ApiVersion"].split("."))
    return CheckRow(
        "docker", api >= API_MIN, f"Docker {version['Version']}, API {version['ApiVersion']}",
        "Docker 20.10 or later", "every job runs in a container", "Install a current Docker.",
    )  # fmt: skip


def _init(info: dict[str, Any]) -> CheckRow:
    found = str(info.get("InitBinary") or "")
    return CheckRow(
        "docker-init", bool(found), found or "none", "docker-init (tini)",
        "it passes SIGTERM on and reaps what a job leaves", "Install Docker's init (Debian: tini).",
    )  # fmt: skip


def _gpu_runtime(info: dict[str, Any]) -> CheckRow:
    has_gpu = Path("/dev/nvidiactl").exists()
    runtimes = sorted(info.get("Runtimes") or {})
    ok = "nvidia" in runtimes or not has_gpu
    return CheckRow(
        "gpu runtime", ok, "no NVIDIA GPU" if not has_gpu else f"runtimes: {', '.join(runtimes)}",
        "the NVIDIA Container Toolkit, if there is a GPU", "a container reaches a GPU only through it",
        "Install nvidia-container-toolkit, run `nvidia-ctk runtime configure`, restart Docker.",
        required=has_gpu,
    )  # fmt: skip


async def _image(daemon: Daemon, label: str) -> CheckRow:
    try:
        found = await daemon.call("list images", lambda client: job_image(client, label, None))
    except EnvironmentFailure as failure:
        return CheckRow("job image", False, failure.what, "the job image", "jobs run in it", failure.hint)
    return CheckRow("job image", True, found[:19], "the job image", "jobs run in it")


def _disk(folder: Path) -> CheckRow:
    free = shutil.disk_usage(folder).free
    return CheckRow(
        "disk", free >= DISK_FREE_MIN_BYTES, f"{free / GIB:.1f} GiB free in {folder}",
        f"{DISK_FREE_MIN_BYTES / GIB:.0f} GiB, and 10 GiB for a job with full output",
        "inputs, outputs and logs of jobs", "Free space, or choose another CYXWIZ_HOME.",
    )  # fmt: skip


def _mounts() -> CheckRow:
    ok = volume.can_mount()
    return CheckRow(
        "output limit", ok, "file systems of fixed size" if ok else "a size watcher, which may overshoot",
        "root, mkfs.ext4 and loop devices", "a job then cannot write a byte more than it may",
        "Run the node as root, with e2fsprogs installed.", required=False,
    )  # fmt: skip


def _firewall() -> CheckRow:
    ok = os.geteuid() == 0 and shutil.which("iptables") is not None
    return CheckRow(
        "outbound network", ok, "iptables as root" if ok else "no right to set firewall rules",
        "root and iptables", "jobs that want the internet must not reach this network; else none are taken",
        "Run the node as root, with iptables installed.", required=False,
    )  # fmt: skip
