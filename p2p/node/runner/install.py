"""Installs a buyer's requirements without running a line of their code outside a sandbox.

1. *Resolve*, wheels only, against what the image has: names and versions with their hashes, the lock.
2. *Download* exactly those, by hash.
3. *Install* them offline into a folder of their own, which the job gets read-only.

The first two reach the package index over their own bridge; all three run in containers as locked down as
the job's. A wheel runs no code when it is installed; a source distribution would, and is never used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import docker
import docker.errors
import trio
from docker.types import Mount

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.limits import DEPENDENCIES_MAX_BYTES, GIB, REQUIREMENTS_INSTALL_MAX_S, REQUIREMENTS_MAX_BYTES
from p2p.core.requirements import check_requirements
from p2p.core.text import clean_bytes, clean_name
from p2p.node.runner import container, volume
from p2p.node.runner.daemon import Daemon
from p2p.node.runner.egress import Egress
from p2p.node.runner.follow import follow
from p2p.node.runner.hostpip import HostPip, read_host_pip
from p2p.node.runner.logs import LogCursor
from p2p.node.runner.spec import LABEL_EPOCH, LABEL_JOB, LABEL_NODE, LABEL_ROLE, JobFolders, RunSpec
from p2p.node.runner.supervise import read_state

INSTALL_MEMORY_BYTES = 2 * GIB
INSTALL_CPUS = 2.0
INSTALL_INODES = 300_000
OUTPUT_KEPT_LINES = 200
LINE_CHARS = 400
REPORT_MAX_BYTES = 64 << 20
PACKAGES_MAX = 500

_PIP = ["python", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
_WHEELS_ONLY = ["--only-binary", ":all:"]
_PATIENCE = ["--retries", "2", "--timeout", "20"]
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_NETWORK_WORDS = re.compile(
    r"NewConnectionError|NameResolutionError|name resolution|Max retries|ConnectTimeout|ReadTimeout"
    r"|ProxyError|SSLError|CERTIFICATE_VERIFY|Network is unreachable"
)


class Installer:
    """The three steps for one job."""

    def __init__(self, daemon: Daemon, egress: Egress, node: str, spec: RunSpec, folders: JobFolders) -> None:
        self._daemon, self._egress, self._node, self._spec, self._folders = (
            daemon,
            egress,
            node,
            spec,
            folders,
        )
        self._config = folders.root / "pip"
        self._work = folders.deps / "work"

    async def install(self, log: Callable[[str], None]) -> str:
        """The lock's text, after everything in it is installed. Idempotent.

        :raises UserError: ``bad_requirement``, ``requirements_unresolvable`` or ``requirements_too_large``.
        :raises EnvironmentFailure: ``package_index_unreachable``, ``install_slow``, or Docker failed.
        """
        if self._folders.lock.exists():
            return self._folders.lock.read_text()
        lines = check_requirements(_read_bounded(self._folders.inputs / "requirements.txt"))
        lock = ""
        if lines:
            try:
                with trio.fail_after(REQUIREMENTS_INSTALL_MAX_S):
                    lock = await self._three_steps(lines, log)
            except trio.TooSlowError:
                raise EnvironmentFailure(
                    "install_slow", f"Installing took longer than {REQUIREMENTS_INSTALL_MAX_S // 60} minutes."
                ) from None
            finally:
                shutil.rmtree(self._config, ignore_errors=True)
        await trio.to_thread.run_sync(_write_synced, self._folders.lock, lock)
        return lock

    async def _three_steps(self, lines: list[str], log: Callable[[str], None]) -> str:
        host = await trio.to_thread.run_sync(read_host_pip)
        await trio.to_thread.run_sync(self._make_folders, lines, host)
        network, dns = await self._egress.ensure("pip", host.reach)
        online = {"network": network, "dns": dns, "host": host}
        log("Resolving requirements (wheels only)")
        await self._step(
            "resolve",
            ["install", "--dry-run", "--quiet", *_WHEELS_ONLY, *_PATIENCE, "--report", "/scratch/report.json",
             "-r", "/pip/requirements.txt"],
            log, **online,  # type: ignore[arg-type]
        )  # fmt: skip
        lock = await trio.to_thread.run_sync(lambda: lock_text(_read_report(self._work), host.folders()))
        if not lock:
            log("The image already has everything that is required")
            return ""
        (self._config / "lock.txt").write_text(lock)
        log(f"Downloading {lock.count('--hash')} packages by their hashes")
        await self._step(
            "download",
            ["download", "--quiet", "--no-deps", "--require-hashes", *_WHEELS_ONLY, *_PATIENCE,
             "-d", "/scratch/wheels", "-r", "/pip/lock.txt"],
            log, **online,  # type: ignore[arg-type]
        )  # fmt: skip
        log("Installing without a network")
        await self._step(
            "install",
            ["install", "--quiet", "--no-index", "--find-links", "/scratch/wheels", "--no-deps",
             "--require-hashes", "--target", "/scratch/site", "-r", "/pip/lock.txt"],
            log, network="none", dns=[], host=HostPip(),
        )  # fmt: skip
        await trio.to_thread.run_sync(self._keep_site)
        return lock

    def _make_folders(self, lines: list[str], host: HostPip) -> None:
        shutil.rmtree(self._config, ignore_errors=True)
        self._config.mkdir(mode=0o755)
        (self._config / "requirements.txt").write_text("\n".join(lines) + "\n")
        (self._config / "pip.conf").write_text(host.config_text())
        if volume.can_mount():
            if not self._folders.deps_disk.exists():
                volume.make_disk(
                    self._folders.deps_disk, DEPENDENCIES_MAX_BYTES, inodes=INSTALL_INODES, reserve=False
                )
            volume.mount(self._folders.deps_disk, self._folders.deps, executable=True)
        else:
            self._folders.deps.mkdir(exist_ok=True)
        shutil.rmtree(self._work, ignore_errors=True)
        uid, gid = (int(part) for part in container.job_user().split(":"))
        for path in (self._work, self._work / "tmp"):
            path.mkdir(mode=0o755)
            os.chown(path, uid, gid)

    def _keep_site(self) -> None:
        """Only the installed files stay; the job must not be able to change them, so they become root's."""
        shutil.rmtree(self._folders.site, ignore_errors=True)
        (self._work / "site").rename(self._folders.site)
        shutil.rmtree(self._work)

    async def _step(
        self,
        name: str,
        words: list[str],
        log: Callable[[str], None],
        *,
        network: str,
        dns: list[str],
        host: HostPip,
    ) -> None:
        """Run pip in a container of its own.

        :raises UserError: pip says that the requirements cannot be met.
        :raises EnvironmentFailure: the index cannot be reached.
        """
        output: list[str] = []
        found = await self._daemon.call(
            f"create the container to {name}",
            lambda client: self._create(client, name, words, network, dns, host),
        )
        try:
            await self._daemon.call(f"start the container to {name}", lambda client: client.start(found))
            async with follow(self._daemon, found, LogCursor(), lambda entry: None) as entries:
                async for entry in entries:
                    line = clean_bytes(entry.data, LINE_CHARS).rstrip()
                    if line and len(output) < OUTPUT_KEPT_LINES:
                        output.append(line)
                        if not line.startswith(
                            "WARNING"
                        ):  # about this machine's index: not the buyer's business
                            log(line)
            state = await self._daemon.call(
                "inspect a container", lambda client: read_state(client.inspect_container(found))
            )
        finally:
            with trio.CancelScope(shield=True):
                await self._daemon.call(
                    "remove a container", lambda client: client.remove_container(found, v=True, force=True)
                )
        if state.exit_code:
            raise failure_of(name, output)

    def _create(
        self,
        client: docker.APIClient,
        name: str,
        words: list[str],
        network: str,
        dns: list[str],
        host: HostPip,
    ) -> str:
        mounts = [
            Mount("/pip", str(self._config), "bind", read_only=True, propagation="rprivate"),
            Mount("/scratch", str(self._work), "bind", propagation="rprivate"),
            *host.mounts,
        ]
        full_name = f"cyxwiz-{self._node}-{self._spec.job_id}-{self._spec.epoch}-{name}"
        with contextlib.suppress(docker.errors.NotFound):
            client.remove_container(full_name, v=True, force=True)  # of an agent that died
        return container.create(
            client,
            name=full_name,
            image=self._spec.image,
            command=[*_PIP, *words],
            working_dir="/scratch",
            environment={
                "HOME": "/tmp",
                "TMPDIR": "/scratch/tmp",
                "PIP_CONFIG_FILE": "/pip/pip.conf" if host.settings else os.devnull,
                "PYTHONDONTWRITEBYTECODE": "",
                **host.environment,
            },
            labels={
                LABEL_NODE: self._node,
                LABEL_JOB: self._spec.job_id,
                LABEL_EPOCH: str(self._spec.epoch),
                LABEL_ROLE: "install",
            },
            host=container.host_config(
                client,
                memory_bytes=INSTALL_MEMORY_BYTES,
                cpus=INSTALL_CPUS,
                mounts=mounts,
                network=network,
                dns=dns,
            ),
        )


def lock_text(report: bytes, local: list[Path]) -> str:
    """pip's installation report as ``name==version --hash=…`` lines, sorted.

    ``local``: folders of this machine in which pip may have found packages, of which it names no hash.

    :raises UserError: ``requirements_unresolvable``, something in it is not a wheel with a hash.
    :raises EnvironmentFailure: ``install_failed``, it is not a report.
    """
    try:
        items = json.loads(report)["install"]
        lines = [_locked(item, local) for item in items]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise EnvironmentFailure("install_failed", "pip's report could not be read.") from None
    if len(lines) > PACKAGES_MAX:
        raise UserError(
            "requirements_too_large", f"{len(lines)} packages are needed; at most {PACKAGES_MAX}."
        )
    return "".join(sorted(lines))


def _locked(item: dict[str, dict[str, Any]], local: list[Path]) -> str:
    name, version = str(item["metadata"]["name"]), str(item["metadata"]["version"])
    origin = item["download_info"]
    digest = str((origin.get("archive_info") or {}).get("hashes", {}).get("sha256", ""))
    digest = digest or _hash_of(str(origin.get("url", "")), local)
    if not (_NAME.match(name) and _VERSION.match(version) and _SHA256.match(digest)):
        shown = f"{clean_name(name, 80)} {clean_name(version, 40)}"
        raise UserError("requirements_unresolvable", f"{shown} has no wheel with a hash.")
    return f"{name}=={version} --hash=sha256:{digest}\n"


def _hash_of(url: str, local: list[Path]) -> str:
    parts = urlsplit(url)
    path = Path(unquote(parts.path)).resolve()
    if (
        parts.scheme != "file"
        or not any(path.is_relative_to(folder) for folder in local)
        or not path.is_file()
    ):
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def failure_of(step: str, output: list[str]) -> UserError | EnvironmentFailure:
    """What pip's complaint means: the buyer's requirements, or our surroundings."""
    errors = [line for line in output if line.startswith("ERROR")] or output[-1:] or ["no message"]
    said = errors[-1].removeprefix("ERROR: ")
    text = "\n".join(output)
    if "No space left" in text:
        return UserError(
            "requirements_too_large", f"The requirements need over {DEPENDENCIES_MAX_BYTES / GIB:.0f} GiB."
        )
    if _NETWORK_WORDS.search(text):
        return EnvironmentFailure(
            "package_index_unreachable",
            f"The package index could not be reached to {step} the requirements: {said}",
            "The requirements are not installed.",
            "The node needs a working `pip` configuration; try `pip download einops` there.",
        )
    return UserError(
        "requirements_unresolvable",
        f"The requirements could not be installed: {said}",
        "The script was not started.",
        "Only packages that have a wheel for Linux and Python 3.11 can be installed.",
    )


def _read_report(work: Path) -> bytes:
    """The report, from a folder that belongs to the job's user: no link, no more than it may have."""
    handle = os.open(work / "report.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        return file.read(REPORT_MAX_BYTES)


def _read_bounded(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(REQUIREMENTS_MAX_BYTES + 1)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UserError("bad_requirement", "requirements.txt is not UTF-8 text.") from None


def _write_synced(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
