"""Leaves nothing behind: containers by label, then mounts, then folders."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Set as AbstractSet
from operator import methodcaller
from pathlib import Path

import docker

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import DOCKER_CALL_TIMEOUT_S
from p2p.node.runner import volume
from p2p.node.runner.daemon import Daemon, Missing
from p2p.node.runner.spec import LABEL_EPOCH, LABEL_JOB


async def remove_containers(
    daemon: Daemon, labels: list[str], keep: AbstractSet[str] = frozenset()
) -> list[str]:
    """Remove the containers that have all ``labels``, running or not, except ``keep`` (``job.epoch``)."""

    def listed(client: docker.APIClient) -> list[tuple[str, str]]:
        # The raw list does not inspect each container, so that a single hung one cannot block it.
        found = client.containers(all=True, filters={"label": labels})
        return [(c["Id"], f"{c['Labels'].get(LABEL_JOB)}.{c['Labels'].get(LABEL_EPOCH)}") for c in found]

    removed = []
    for container, name in await daemon.call("list containers", listed):
        if name in keep:
            continue
        with contextlib.suppress(Missing):
            removal = methodcaller("remove_container", container, v=True, force=True)
            await daemon.end("remove a container", removal, timeout_s=DOCKER_CALL_TIMEOUT_S)
        removed.append(f"container {container[:12]}")
    return removed


def leftover_folders(folder: Path, keep: set[str]) -> list[Path]:
    """The folders of attempts that are not to be kept."""
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name not in keep]


def clear_folder(folder: Path) -> None:
    """Unmount what is mounted below ``folder`` and remove it.

    :raises EnvironmentFailure: something could not be removed.
    """
    if not folder.exists():
        return
    for point in volume.mounts_below(folder):
        volume.unmount(point)
    if still := volume.mounts_below(folder):
        raise EnvironmentFailure("unmount_failed", f"{still[0]} is still mounted.")
    try:
        _open_folders(folder)
        shutil.rmtree(folder)
    except OSError as error:
        raise EnvironmentFailure(
            "cleanup_failed", f"{error.filename} cannot be removed: {error.strerror}"
        ) from None


def _open_folders(folder: Path) -> None:
    """Without root, folders that a job closed to us must be opened before they can be emptied."""
    if os.geteuid() == 0:
        return
    for path, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(f"{path}/{name}"):
                os.chmod(f"{path}/{name}", 0o700)
