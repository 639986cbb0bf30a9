"""The seam behind which operating systems differ: locks, detached processes, local sockets."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import CONNECTIONS_MAX

WINDOWS = sys.platform == "win32"

_CHILDREN: list[subprocess.Popen[bytes]] = []
"""Detached processes that this one started: kept until they end, because only their parent can reap them."""

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl
    import resource


class ProcessLock:
    """A file locked by this process for as long as it lives; the kernel frees it after ``kill -9``.

    The file holds the owner's process id.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock.

        :raises EnvironmentFailure: ``already_running``: another process has it.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(fd)
        except OSError:
            os.close(fd)
            raise EnvironmentFailure(
                "already_running",
                f"Another process (pid {lock_owner(self._path) or 'unknown'}) already runs on this home.",
                "Two at once could pay or run a job twice, so this one was not started.",
                "Use the one that runs, or stop it first.",
                retryable=False,
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0) if not WINDOWS else os.write(
            fd, str(os.getpid()).encode()
        )
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> ProcessLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _lock(fd: int) -> None:
    if sys.platform == "win32":
        os.lseek(fd, 1 << 20, os.SEEK_SET)  # beyond the pid, which others may read
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        os.lseek(fd, 0, os.SEEK_SET)
    else:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(path: Path) -> bool:
    """Whether some process holds the :class:`ProcessLock` at ``path``."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        _lock(fd)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def lock_owner(path: Path) -> int | None:
    """The process id in a lock file, or None; only meaningful while it :func:`is_locked`."""
    try:
        return int(path.read_bytes()[:20])
    except (OSError, ValueError):
        return None


def connections_max() -> int:
    """How many connections a peer in this process may hold: half the file descriptors that it can have.

    Takes as many descriptors as the system gives without asking (on Linux usually only 1,024 are in force at
    first). The other half is for files, databases and transfers: strangers who dial must not use those up.
    """
    if sys.platform == "win32":
        return CONNECTIONS_MAX
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(2 * CONNECTIONS_MAX, hard) if hard != resource.RLIM_INFINITY else 2 * CONNECTIONS_MAX
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return min(CONNECTIONS_MAX, wanted // 2)


def start_detached(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one and its terminal; its output is appended to ``log``."""
    flags = 0
    if sys.platform == "win32":
        flags = (
            subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS | subprocess.CREATE_NO_WINDOW
        )
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _reap()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=None if environment is None else dict(environment),
            start_new_session=not WINDOWS,
            creationflags=flags,
            close_fds=True,
        )
    finally:
        os.close(descriptor)
    _CHILDREN.append(process)
    return process


@atexit.register
def _reap() -> None:
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists and is not a zombie that waits to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def ask_to_stop(pid: int) -> None:
    """SIGTERM, or its nearest relative; no error when the process is gone."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return


def kill(pid: int) -> None:
    """End a process at once; no error when it is gone."""
    try:
        os.kill(pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """What to bind or connect a unix socket at ``path`` to.

    The kernel takes at most 107 bytes; a longer path is named through its folder's descriptor.
    """
    if len(os.fsencode(path)) <= 107:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
