"""File systems of fixed size for what a job writes.

An image file with ext4 on it, mounted through a loop device, stops a job hard at its limit in bytes and in
files. That needs root; without it the output is a plain folder whose size is watched, which overshoots by
what a job writes within one period of the watch. Blocking functions: call them in a thread.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import MANIFEST_FILES_MAX, MIB, MOUNT_TIMEOUT_S, OUTPUT_SLACK_BYTES

INODE_BYTES = 256
INODES = MANIFEST_FILES_MAX + MANIFEST_FILES_MAX // 2  # the files of a result, and folders and caches beside
FILESYSTEM_MIN_BYTES = 32 * MIB


def can_mount() -> bool:
    """Whether this process may mount file systems."""
    return os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None


def make_disk(disk: Path, size_bytes: int, *, inodes: int = INODES, reserve: bool = True) -> None:
    """An image file with an empty ext4 that holds ``size_bytes``. ``reserve``: take the space now.

    :raises EnvironmentFailure: ``disk_full``, or the tools failed.
    """
    size = max(
        FILESYSTEM_MIN_BYTES, size_bytes + size_bytes // 50 + OUTPUT_SLACK_BYTES + inodes * INODE_BYTES
    )
    free = shutil.disk_usage(disk.parent).free
    if free < size:
        raise EnvironmentFailure(
            "disk_full",
            f"{free >> 20} MiB are free in {disk.parent}, and this job may write {size >> 20} MiB.",
            "The job cannot run on this node now.",
            "Free space on the node's disk.",
        )
    partial = disk.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    if not (reserve and _allocated(partial, size)):
        os.truncate(partial, size)
    _run(
        "mkfs.ext4",
        "-q",
        "-F",
        "-m0",
        "-N",
        str(inodes),
        "-I",
        str(INODE_BYTES),
        "-O",
        "^has_journal",
        "-E",
        "nodiscard,root_owner=0:0",
        str(partial),
    )
    partial.rename(disk)


def mount(disk: Path, at: Path, *, executable: bool) -> None:
    """Mount ``disk`` at ``at`` unless it is. ``executable``: whether code on it may be mapped and run.

    :raises EnvironmentFailure: it cannot be mounted.
    """
    at.mkdir(mode=0o711, exist_ok=True)
    if is_mounted(at):
        return
    options = "loop,nosuid,nodev,noatime" + ("" if executable else ",noexec")
    _run("mount", "-t", "ext4", "-o", options, str(disk), str(at))
    if (at / "lost+found").is_dir():
        (at / "lost+found").rmdir()


def unmount(at: Path) -> None:
    """Unmount ``at`` if it is mounted; a busy one is detached and goes when its last user does.

    :raises EnvironmentFailure: not even that works.
    """
    if not is_mounted(at):
        return
    try:
        _run("umount", str(at))
    except EnvironmentFailure:
        _run("umount", "--lazy", str(at))


def mounts_below(folder: Path) -> list[Path]:
    """Mount points inside ``folder``, deepest first."""
    prefix = str(folder.resolve()) + "/"
    points = [_unescape(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [Path(point) for point in sorted(points, key=len, reverse=True) if point.startswith(prefix)]


def is_mounted(at: Path) -> bool:
    return at.resolve() in mounts_below(at.parent)


def used_bytes(at: Path) -> int:
    """What the file system at ``at`` holds; 0 where none is mounted."""
    if not is_mounted(at):
        return 0
    found = os.statvfs(at)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def is_full(at: Path) -> bool:
    """Whether the file system at ``at`` has no room for another block or another file."""
    found = os.statvfs(at)
    return found.f_bavail * found.f_frsize < MIB or found.f_favail < 2


def folder_exceeds(folder: Path, bytes_max: int, files_max: int) -> bool:
    """Whether a plain folder holds more than that. Follows no link, and stops counting once it knows."""
    used = files = 0
    for _, folders, names, handle in os.fwalk(folder, follow_symlinks=False, onerror=None):
        files += len(folders) + len(names)
        for name in names:
            try:
                used += os.stat(name, dir_fd=handle, follow_symlinks=False).st_blocks * 512
            except FileNotFoundError:
                continue
        if used > bytes_max or files > files_max:
            return True
    return False


def _allocated(path: Path, size: int) -> bool:
    """Reserve ``size`` bytes; False where the file system cannot do it at once."""
    done = subprocess.run(
        ["fallocate", "--length", str(size), str(path)],
        capture_output=True,
        timeout=MOUNT_TIMEOUT_S,
        check=False,
    )
    return done.returncode == 0


def _unescape(point: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return point


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MOUNT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFailure("mount_failed", f"`{command[0]}` could not run: {error}") from None
    if done.returncode:
        raise EnvironmentFailure("mount_failed", f"`{command[0]}` failed: {done.stderr.strip()[-300:]}")
