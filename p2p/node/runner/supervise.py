"""Watches one running container: its deadline, its disk, its log; and says how it ended.

The reason for stopping a job is written to disk before the job is stopped, so that whoever looks later,
perhaps after a crash of the agent, gives the same reason.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import trio

from p2p.core.clock import Clock
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import (
    DOCKER_IDLE_READ_S,
    MANIFEST_FILES_MAX,
    OUTPUT_FULL_GRACE_S,
    REASON_MAX_CHARS,
    WATCH_PERIOD_S,
)
from p2p.core.states import FailureCode
from p2p.core.text import clean_name
from p2p.node.runner import volume
from p2p.node.runner.cgroup import read_usage
from p2p.node.runner.daemon import Daemon
from p2p.node.runner.spec import ContainerState, ExitReport, JobFolders, RunSpec, Usage

SIGKILL_EXIT = 128 + signal.SIGKILL
POLL_S = 0.25
WATCHED_POLL_S = 2.0
EXIT_POLL_S = 0.02
DAEMON_RESTART_POLLS_MAX = 120
NO_USAGE = Usage(0.0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a job is being stopped."""

    failure: FailureCode
    detail: str
    at_s: float


def write_verdict(path: Path, verdict: Verdict) -> None:
    """Persist ``verdict``, unless an earlier one is there: the first reason is the reason."""
    if path.exists():
        return
    record = {"failure": verdict.failure.value, "detail": verdict.detail, "at_s": verdict.at_s}
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_verdict(path: Path) -> Verdict | None:
    """The persisted verdict, if the job was ever to be stopped."""
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return Verdict(FailureCode(record["failure"]), record["detail"], record["at_s"])


def read_state(inspected: dict[str, Any]) -> ContainerState:
    """From what Docker's inspect answers."""
    state = inspected["State"]
    return ContainerState(
        container=inspected["Id"],
        status=state["Status"],
        pid=state["Pid"],
        exit_code=state["ExitCode"],
        oom_killed=bool(state.get("OOMKilled")),
        started_at_s=_unix(state["StartedAt"]),
        finished_at_s=_unix(state["FinishedAt"]),
    )


def _unix(stamp: str) -> float | None:
    """Docker's time stamp; its year 1 means never."""
    if stamp.startswith("0001-"):
        return None
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{fraction or 0}")


@contextmanager
def _watched(pid: int) -> Iterator[int | None]:
    """A descriptor that becomes readable when ``pid`` ends; None where that cannot be had."""
    try:
        handle = os.pidfd_open(pid) if pid > 0 else None
    except (OSError, AttributeError):
        handle = None
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


class Supervisor:
    """Enforces the limits of one container until it has ended. ``limit_s``: how long it may run, by now."""

    def __init__(
        self,
        daemon: Daemon,
        clock: Clock,
        spec: RunSpec,
        folders: JobFolders,
        container: str,
        limit_s: Callable[[], int],
    ) -> None:
        self._daemon, self._clock, self._spec, self._folders = daemon, clock, spec, folders
        self._container = container
        self._full_since_s: float | None = None
        self._limit_s = limit_s
        self.usage = NO_USAGE

    async def state(self) -> ContainerState:
        """What Docker says now.

        :raises Missing: the container is gone.
        """
        return await self._daemon.call(
            "inspect the job's container",
            lambda client: read_state(client.inspect_container(self._container)),
        )

    async def run(self) -> ExitReport:
        """Watch until the container has ended; how it ended."""
        state = await self.state()
        if not state.over:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, state)
                await self._until_it_ends(state)
                nursery.cancel_scope.cancel()
            state = await self.state()
        return await trio.to_thread.run_sync(self._report, state)

    async def stop(self, failure: FailureCode, detail: str, grace_s: float) -> None:
        """Write the verdict, then SIGTERM, and SIGKILL after ``grace_s``. Nothing if it has ended."""
        if (await self.state()).over:
            return
        verdict = Verdict(failure, clean_name(detail, REASON_MAX_CHARS), self._clock.now_s())
        await trio.to_thread.run_sync(write_verdict, self._folders.verdict, verdict)
        await self._daemon.end(
            "stop the job's container",
            lambda client: client.stop(self._container, timeout=round(grace_s)),
            timeout_s=grace_s + 2 * DOCKER_IDLE_READ_S,
        )

    async def _until_it_ends(self, state: ContainerState) -> None:
        """Return the moment the container has ended.

        Its first process is watched through the kernel, where we can see it; Docker is asked now and then
        all the same, since it may run in another machine, and alone decides.
        """
        with _watched(state.pid) as handle:
            while not (await self._patient_state()).over:
                if handle is None:
                    await trio.sleep(POLL_S)
                    continue
                with trio.move_on_after(WATCHED_POLL_S):
                    await trio.lowlevel.wait_readable(handle)
                    await trio.sleep(EXIT_POLL_S)  # Docker needs a moment to notice, too

    async def _patient_state(self) -> ContainerState:
        """The state; a daemon that restarts, under a job that may live on, is waited for."""
        for _ in range(DAEMON_RESTART_POLLS_MAX):
            try:
                return await self.state()
            except EnvironmentFailure as failure:
                if failure.code != "docker_unreachable":
                    raise
                await trio.sleep(WATCH_PERIOD_S)
        return await self.state()

    async def _watch(self, state: ContainerState) -> None:
        while True:
            if state.pid:
                found = await trio.to_thread.run_sync(read_usage, state.pid)
                self.usage = found or self.usage
            reason = await trio.to_thread.run_sync(self._reason_to_stop, state)
            if reason is not None:
                await self.stop(*reason, self._spec.grace_s)
                return
            await trio.sleep(WATCH_PERIOD_S)

    def _reason_to_stop(self, state: ContainerState) -> tuple[FailureCode, str] | None:
        earlier = read_verdict(self._folders.verdict)
        if earlier is not None:  # we crashed between the verdict and the signal
            return earlier.failure, earlier.detail
        limit_s = self._limit_s()
        if state.started_at_s is not None and self._clock.now_s() >= state.started_at_s + limit_s:
            return FailureCode.TIMEOUT, f"It had {limit_s} s."
        if not self._output_is_full():
            self._full_since_s = None
            return None
        if not volume.is_mounted(self._folders.mount):  # nothing else holds it back
            return FailureCode.OUTPUT_FULL, self._output_words()
        now = self._clock.monotonic_s()
        if self._full_since_s is None:
            self._full_since_s = now
        if now - self._full_since_s >= OUTPUT_FULL_GRACE_S:
            return FailureCode.OUTPUT_FULL, self._output_words()
        return None

    def _output_is_full(self) -> bool:
        if volume.is_mounted(self._folders.mount):
            return volume.is_full(self._folders.mount)
        return volume.folder_exceeds(self._folders.mount, self._spec.output_max_bytes, MANIFEST_FILES_MAX)

    def _output_words(self) -> str:
        return f"It may write {self._spec.output_max_bytes >> 20} MiB in at most {MANIFEST_FILES_MAX} files."

    def _report(self, state: ContainerState) -> ExitReport:
        failure, detail = self._judge(state)
        words = " ".join(part for part in (failure.words if failure else "", detail) if part)
        return ExitReport(
            failure=failure,
            exit_code=state.exit_code,
            words=words or "The script ended normally.",
            started_at_s=state.started_at_s or state.finished_at_s or 0.0,
            finished_at_s=state.finished_at_s or self._clock.now_s(),
            usage=self.usage,
        )

    def _judge(self, state: ContainerState) -> tuple[FailureCode | None, str]:
        verdict = read_verdict(self._folders.verdict)
        if verdict is not None and verdict.at_s <= (state.finished_at_s or verdict.at_s):
            return verdict.failure, verdict.detail
        if state.exit_code == SIGKILL_EXIT and state.oom_killed:
            return FailureCode.OUT_OF_MEMORY, f"It may use {self._spec.memory_bytes >> 20} MiB."
        if self._output_is_full():  # even after exit code 0: what could not be written is missing
            return FailureCode.OUTPUT_FULL, self._output_words()
        if state.exit_code > 128 and state.exit_code - 128 in {int(number) for number in signal.Signals}:
            name = signal.Signals(state.exit_code - 128).name
            return FailureCode.KILLED, f"Exit code {state.exit_code} ({name})."
        if state.exit_code:
            return FailureCode.SCRIPT_ERROR, f"Exit code {state.exit_code}."
        return None, ""
