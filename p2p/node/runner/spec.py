"""What to run, where its files lie, and what is said about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from p2p.core.errors import UserError
from p2p.core.ids import parse_job_id
from p2p.core.jobspec import NetworkMode
from p2p.core.limits import OUTPUT_MAX_BYTES, STOP_GRACE_S, TIMEOUT_MAX_S
from p2p.core.manifest import check_path
from p2p.core.states import FailureCode

JOB_UID = 10001
"""The unprivileged user of the job image, when the agent is root; otherwise jobs run as the agent's user."""

LABEL_NODE = "cyxwiz.node"
LABEL_JOB = "cyxwiz.job"
LABEL_EPOCH = "cyxwiz.epoch"
LABEL_ROLE = "cyxwiz.role"  # "job", or "install" for the short-lived helpers
LABEL_IMAGE = "cyxwiz.job-image"

_MEMORY_MIN_BYTES = 64 << 20
_CPUS_MIN = 0.05


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One attempt at one job.

    ``script`` is a path inside the input directory; ``image`` a tag or image id; ``gpus`` NVML UUIDs
    (none: the job sees no GPU); ``timeout_s`` counts from the start of the container.

    :raises UserError: a field is out of range.
    """

    job_id: str
    epoch: int
    script: str
    image: str
    memory_bytes: int
    cpus: float
    timeout_s: int
    gpus: tuple[str, ...] = ()
    output_max_bytes: int = OUTPUT_MAX_BYTES
    network: NetworkMode = NetworkMode.NONE
    grace_s: float = STOP_GRACE_S

    def __post_init__(self) -> None:
        parse_job_id(self.job_id)
        check_path(self.script)
        checks = {
            "epoch": 0 <= self.epoch < 2**31,
            "script": not self.script.startswith("-"),
            "memory_bytes": self.memory_bytes >= _MEMORY_MIN_BYTES,
            "cpus": self.cpus >= _CPUS_MIN,
            "timeout_s": 1 <= self.timeout_s <= TIMEOUT_MAX_S,
            "output_max_bytes": 1 <= self.output_max_bytes <= OUTPUT_MAX_BYTES,
            "grace_s": 0 <= self.grace_s <= 600,
        }
        for name, good in checks.items():
            if not good:
                raise UserError("bad_run_spec", f"{name} = {getattr(self, name)!r} is out of range.")


@dataclass(frozen=True, slots=True)
class JobFolders:
    """Where the files of one attempt lie on the node, all under ``root``."""

    root: Path

    @property
    def inputs(self) -> Path:
        """Staged by the agent, mounted read-only at ``/job``."""
        return self.root / "in"

    @property
    def disk(self) -> Path:
        """The image file behind :attr:`mount`."""
        return self.root / "out.img"

    @property
    def mount(self) -> Path:
        """The file system of fixed size; a plain folder where the agent is not root."""
        return self.root / "mnt"

    @property
    def out(self) -> Path:
        """``/out``: the working directory, and what is collected."""
        return self.mount / "out"

    @property
    def scratch(self) -> Path:
        """``/scratch``: caches of libraries; counts as output, is not collected."""
        return self.mount / "scratch"

    @property
    def deps_disk(self) -> Path:
        return self.root / "deps.img"

    @property
    def deps(self) -> Path:
        """Mount point of the installed requirements."""
        return self.root / "deps"

    @property
    def site(self) -> Path:
        """``/deps``: what the requirements installed, mounted read-only."""
        return self.deps / "site"

    @property
    def lock(self) -> Path:
        """The requirements as they were resolved, with hashes. Exists once they are installed."""
        return self.root / "requirements.lock"

    @property
    def verdict(self) -> Path:
        """Why the job is being stopped; written before it is stopped."""
        return self.root / "verdict.json"


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What Docker says of a container. Times are Unix times in seconds, None before they happened."""

    container: str
    status: str  # created, running, paused, exited, dead
    pid: int
    exit_code: int
    oom_killed: bool
    started_at_s: float | None
    finished_at_s: float | None

    @property
    def running(self) -> bool:
        return self.status in ("running", "paused", "restarting")

    @property
    def over(self) -> bool:
        return self.status in ("exited", "dead")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a running container has used so far."""

    cpu_s: float
    memory_bytes: int
    memory_peak_bytes: int
    processes: int


@dataclass(frozen=True, slots=True)
class ExitReport:
    """How an attempt ended. ``failure`` is None if the script ended with 0 and nothing was cut off."""

    failure: FailureCode | None
    exit_code: int
    words: str
    started_at_s: float
    finished_at_s: float
    usage: Usage

    @property
    def ok(self) -> bool:
        return self.failure is None


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One row of the node's self-test."""

    name: str
    ok: bool
    found: str
    needed: str
    why: str
    fix: str = ""
    required: bool = True
