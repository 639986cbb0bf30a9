"""The runner's face: one job attempt from its input folder to its collected output."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import docker
import docker.errors
import trio

from p2p.core.clock import Clock
from p2p.core.errors import Bug, EnvironmentFailure
from p2p.core.jobspec import NetworkMode
from p2p.core.limits import LOG_RATE_MAX_BYTES_PER_S, MIB, OUTPUT_SLACK_BYTES
from p2p.core.states import FailureCode
from p2p.node.runner import checks, container, volume
from p2p.node.runner.cgroup import read_usage
from p2p.node.runner.collect import Collected, collect
from p2p.node.runner.daemon import Daemon, Missing
from p2p.node.runner.egress import Egress
from p2p.node.runner.follow import follow
from p2p.node.runner.install import Installer
from p2p.node.runner.logs import LogCursor, LogEntry, LogMeter
from p2p.node.runner.spec import (
    LABEL_EPOCH,
    LABEL_IMAGE,
    LABEL_JOB,
    LABEL_NODE,
    LABEL_ROLE,
    CheckRow,
    ContainerState,
    ExitReport,
    JobFolders,
    RunSpec,
    Usage,
)
from p2p.node.runner.supervise import Supervisor, read_state
from p2p.node.runner.sweep import clear_folder, leftover_folders, remove_containers


class Runner:
    """Runs jobs whose files lie under ``folder``; containers carry a label made from that path.

    ``docker_url`` None means what ``DOCKER_HOST`` says, or the platform's usual socket.
    """

    def __init__(self, folder: Path, clock: Clock, docker_url: str | None = None) -> None:
        self._folder = folder.resolve()
        self._clock = clock
        self._daemon = Daemon(docker_url)
        self.node = hashlib.sha256(str(self._folder).encode()).hexdigest()[:8]
        self._egress = Egress(self._daemon, self.node)
        self._supervisors: dict[tuple[str, int], Supervisor] = {}
        self._limits_s: dict[tuple[str, int], int] = {}

    # -- the machine

    async def check(self) -> list[CheckRow]:
        """The self-test: Docker, image, GPU runtime, disk, mounts, firewall. What it finds is no error."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return await checks.run_checks(self._daemon, self._folder, LABEL_IMAGE)

    async def find_image(self, tag: str | None = None) -> str:
        """The id of the image with ``tag``, or of the newest job image on this machine.

        :raises EnvironmentFailure: ``no_job_image``.
        """
        return await self._daemon.call(
            "list images", lambda client: checks.job_image(client, LABEL_IMAGE, tag)
        )

    async def image_digest(self, tag: str) -> str:
        """The content digest (``sha256:…``) of the image with this tag or id.

        :raises Missing: there is none.
        """
        return await self._daemon.call(f"find the image {tag}", lambda client: checks.image_id(client, tag))

    # -- one attempt

    def folders(self, spec: RunSpec) -> JobFolders:
        return JobFolders(self._folder / f"{spec.job_id}.{spec.epoch}")

    def input_dir(self, spec: RunSpec) -> Path:
        """Where the agent stages the inputs; made if it is missing."""
        inputs = self.folders(spec).inputs
        inputs.mkdir(parents=True, exist_ok=True)
        return inputs

    async def prepare(self, spec: RunSpec) -> str:
        """Make what the job will write to. Returns how its size is enforced, in words. Idempotent.

        :raises EnvironmentFailure: ``disk_full`` or ``mount_failed``.
        """
        return await trio.to_thread.run_sync(self._prepare, spec)

    def _prepare(self, spec: RunSpec) -> str:
        folders = self.folders(spec)
        if not (folders.inputs / spec.script).is_file():
            raise Bug(f"{spec.script} was not staged before the job was prepared")
        folders.root.chmod(0o711)
        _make_readable(folders.inputs)
        if volume.can_mount():
            if not folders.disk.exists():
                volume.make_disk(folders.disk, spec.output_max_bytes)
            volume.mount(folders.disk, folders.mount, executable=False)
            words = f"The output has a file system of its own of {spec.output_max_bytes >> 20} MiB."
        else:
            folders.mount.mkdir(exist_ok=True)
            words = (
                f"The output is watched and the job is stopped above {spec.output_max_bytes >> 20} MiB; "
                "it may overshoot for a moment, because this agent is not root and cannot mount file systems."
            )
        uid, gid = (int(part) for part in container.job_user().split(":"))
        for path in (folders.out, folders.out / "checkpoints", folders.scratch):
            path.mkdir(exist_ok=True)
            os.chown(path, uid, gid)
        link = folders.out / container.DATA_LINK
        if (folders.inputs / "data").is_dir() and not link.is_symlink():
            link.symlink_to(container.DATA_TARGET)
            os.chown(link, uid, gid, follow_symlinks=False)
        return words

    async def install_requirements(self, spec: RunSpec, log: Callable[[str], None]) -> str | None:
        """Resolve, lock and install ``requirements.txt`` if there is one; the lock's text. Idempotent.

        :raises UserError: a line is not allowed, or nothing satisfies it.
        :raises EnvironmentFailure: Docker, the network or the package index failed.
        """
        folders = self.folders(spec)
        if not (folders.inputs / "requirements.txt").is_file():
            return None
        return await Installer(self._daemon, self._egress, self.node, spec, folders).install(log)

    async def start(self, spec: RunSpec) -> str:
        """Start the job's container, or find it: the same attempt never runs twice. Its id.

        :raises EnvironmentFailure: Docker refused; ``gpu_runtime_missing`` if it cannot hand out the GPU.
        """
        state = await self._find(spec)
        if state is not None and state.status != "created":
            return state.container
        if state is not None:  # an agent died between create and start
            await self._remove(state.container)
        network, dns = "none", list[str]()
        if spec.network is NetworkMode.OUTBOUND:
            network, dns = await self._egress.ensure()
        found = await self._daemon.call(
            "create the job's container", lambda c: self._create(c, spec, network, dns)
        )
        try:
            await self._daemon.call("start the job's container", lambda client: client.start(found))
        except EnvironmentFailure as failure:
            with trio.CancelScope(shield=True), contextlib.suppress(EnvironmentFailure):
                await self._remove(found)
            if spec.gpus and ("device driver" in failure.what or "nvidia" in failure.what.lower()):
                raise EnvironmentFailure(
                    "gpu_runtime_missing",
                    f"Docker cannot give a container the GPU: {failure.what}",
                    "GPU jobs cannot run on this node.",
                    "Install the NVIDIA Container Toolkit and restart Docker.",
                    retryable=False,
                ) from None
            raise
        return found

    def _create(self, client: docker.APIClient, spec: RunSpec, network: str, dns: list[str]) -> str:
        folders = self.folders(spec)
        dependencies = folders.lock.exists() and folders.site.is_dir()
        host = container.host_config(
            client,
            memory_bytes=spec.memory_bytes,
            cpus=spec.cpus,
            mounts=container.job_mounts(folders, dependencies=dependencies),
            network=network,
            dns=dns,
            gpus=spec.gpus,
        )
        labels = {
            LABEL_NODE: self.node,
            LABEL_JOB: spec.job_id,
            LABEL_EPOCH: str(spec.epoch),
            LABEL_ROLE: "job",
        }
        return container.create(
            client,
            name=self._name(spec),
            image=spec.image,
            command=["python", "-u", f"{container.INPUTS}/{spec.script}"],
            working_dir=container.OUT,
            environment=container.job_environment(spec, dependencies=dependencies),
            labels=labels,
            host=host,
        )

    @contextlib.asynccontextmanager
    async def follow_logs(self, spec: RunSpec, cursor: LogCursor) -> AsyncIterator[AsyncIterator[LogEntry]]:
        """The job's output after ``cursor``, until it has ended. Prints too much: the job is stopped.

        :raises Missing: there is no such container.
        """
        supervisor = await self._supervisor(spec)
        meter = LogMeter(self._clock.monotonic_s)
        token, flooded = trio.lowlevel.current_trio_token(), trio.Event()

        def on_entry(entry: LogEntry) -> None:
            if meter.add(len(entry.data)) and not flooded.is_set():
                token.run_sync_soon(flooded.set, idempotent=True)

        async def stop_the_flood() -> None:
            await flooded.wait()
            detail = f"It may print {LOG_RATE_MAX_BYTES_PER_S // MIB} MiB per second."
            await supervisor.stop(FailureCode.LOG_FLOOD, detail, 0)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_the_flood)
            async with follow(self._daemon, await self._container(spec), cursor, on_entry) as entries:
                yield entries
            nursery.cancel_scope.cancel()

    async def supervise(self, spec: RunSpec) -> ExitReport:
        """Enforce the job's limits until it ends; how it ended. Cancelling leaves the job running.

        :raises Missing: there is no such container.
        """
        return await (await self._supervisor(spec)).run()

    def extend(self, spec: RunSpec) -> None:
        """The job may run for as long as this ``spec`` says, even if it was started with less."""
        self._limits_s[(spec.job_id, spec.epoch)] = spec.timeout_s

    async def state(self, spec: RunSpec) -> ContainerState | None:
        """What Docker says of the job's container; None if there is none."""
        return await self._find(spec)

    async def stats(self, spec: RunSpec) -> Usage | None:
        """What the running job uses; None if it does not run."""
        state = await self._find(spec)
        if state is None or not state.running:
            return None
        return await trio.to_thread.run_sync(read_usage, state.pid)

    async def output_bytes(self, spec: RunSpec) -> int:
        """How much the job's output file system holds; 0 where the output has none of its own."""
        return await trio.to_thread.run_sync(volume.used_bytes, self.folders(spec).mount)

    async def stop(
        self, spec: RunSpec, failure: FailureCode, detail: str, grace_s: float | None = None
    ) -> None:
        """Stop the job for ``failure``: SIGTERM, then SIGKILL after ``grace_s``. No effect once it has ended.

        :raises Missing: there is no such container.
        """
        supervisor = await self._supervisor(spec)
        await supervisor.stop(failure, detail, spec.grace_s if grace_s is None else grace_s)

    async def collect(self, spec: RunSpec, destination: Path) -> Collected:
        """Copy the job's regular output files to ``destination``, following no link.

        :raises EnvironmentFailure: ``collect_failed``, the destination cannot be written.
        """
        folders = self.folders(spec)
        bytes_max = spec.output_max_bytes + spec.output_max_bytes // 50 + OUTPUT_SLACK_BYTES

        def work() -> Collected:
            return collect(
                folders.out,
                destination,
                bytes_max=bytes_max,
                ignored_link=(container.DATA_LINK, container.DATA_TARGET),
                checkpoint=trio.from_thread.check_cancelled,
            )

        try:
            return await trio.to_thread.run_sync(work)
        except OSError as error:
            raise EnvironmentFailure(
                "collect_failed",
                f"The job's output could not be copied: {error.strerror or error}.",
                "The results stay where the job left them.",
                "Free space on the node's disk.",
            ) from None

    async def cleanup(self, spec: RunSpec) -> None:
        """Remove the container, the mounts and the folder of this attempt. Idempotent.

        :raises EnvironmentFailure: something could not be removed.
        """
        self._supervisors.pop((spec.job_id, spec.epoch), None)
        self._limits_s.pop((spec.job_id, spec.epoch), None)
        labels = [f"{LABEL_NODE}={self.node}", f"{LABEL_JOB}={spec.job_id}", f"{LABEL_EPOCH}={spec.epoch}"]
        await remove_containers(self._daemon, labels)
        await trio.to_thread.run_sync(clear_folder, self.folders(spec).root)

    # -- all attempts

    async def sweep(self, keep: set[tuple[str, int]]) -> list[str]:
        """Remove what crashes left behind: everything of this node but ``keep`` (job id, epoch).

        Returns what was removed, for the agent's log.
        """
        names = {f"{job_id}.{epoch}" for job_id, epoch in keep}
        removed = await remove_containers(self._daemon, [f"{LABEL_NODE}={self.node}"], keep=names)
        for folder in await trio.to_thread.run_sync(leftover_folders, self._folder, names):
            await trio.to_thread.run_sync(clear_folder, folder)
            removed.append(folder.name)
        return removed

    async def remove_network(self) -> None:
        """Remove the bridge and the firewall rules of outbound jobs, if they are there."""
        await self._egress.remove()

    def close(self) -> None:
        """Close the connections to Docker. Jobs go on."""
        self._daemon.close()

    # -- inside

    def _name(self, spec: RunSpec) -> str:
        return f"cyxwiz-{self.node}-{spec.job_id}-{spec.epoch}"

    async def _find(self, spec: RunSpec) -> ContainerState | None:
        def inspect(client: docker.APIClient) -> Any:
            return client.inspect_container(self._name(spec))

        try:
            return read_state(await self._daemon.call("inspect the job's container", inspect))
        except Missing:
            return None

    async def _container(self, spec: RunSpec) -> str:
        state = await self._find(spec)
        if state is None:
            raise Missing(f"Job {spec.job_id} has no container on this node.")
        return state.container

    async def _supervisor(self, spec: RunSpec) -> Supervisor:
        key = (spec.job_id, spec.epoch)
        if key not in self._supervisors:
            found = await self._container(spec)
            self._supervisors[key] = Supervisor(
                self._daemon,
                self._clock,
                spec,
                self.folders(spec),
                found,
                lambda: max(spec.timeout_s, self._limits_s.get(key, 0)),
            )
        return self._supervisors[key]

    async def _remove(self, found: str) -> None:
        await self._daemon.call("remove a container", lambda c: c.remove_container(found, v=True, force=True))


def _make_readable(folder: Path) -> None:
    """The job's user must be able to read its inputs, whoever staged them."""
    for _, folders, names, handle in os.fwalk(folder, follow_symlinks=False):
        os.fchmod(handle, 0o755)
        for name in (*folders, *names):
            if not os.path.islink(f"/proc/self/fd/{handle}/{name}"):
                os.chmod(name, 0o755 if name in folders else 0o644, dir_fd=handle)
