"""How a container is locked down: the one place that knows every setting of the create call."""

from __future__ import annotations

import os
from typing import Any

import docker
from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from p2p.core.jobspec import NetworkMode
from p2p.core.limits import (
    JOB_LOG_FILE_BYTES,
    JOB_OPEN_FILES_MAX,
    JOB_PIDS_MAX,
    JOB_SHM_BYTES,
    JOB_TMP_BYTES,
    JOB_TMP_INODES_MAX,
    LOG_TOTAL_MAX_BYTES,
)
from p2p.node.runner import seccomp
from p2p.node.runner.spec import JOB_UID, JobFolders, RunSpec

INPUTS, OUT, SCRATCH, DEPENDENCIES = "/job", "/out", "/scratch", "/deps"
DATA_LINK = "data"
DATA_TARGET = f"{INPUTS}/data"


def job_user() -> str:
    """``uid:gid`` of a job's processes; without root only our own can own what they write."""
    uid, gid = (JOB_UID, JOB_UID) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    return f"{uid}:{gid}"


def job_environment(spec: RunSpec, *, dependencies: bool) -> dict[str, str]:
    """What a script finds in its environment: our names, and those of other training services."""
    checkpoints = f"{OUT}/checkpoints"
    found = {
        "DATA_DIR": DATA_TARGET,
        "OUTPUT_DIR": OUT,
        "CHECKPOINT_DIR": checkpoints,
        "CYXWIZ_JOB_ID": spec.job_id,
        # what scripts written for SageMaker and Vertex AI read
        "SM_MODEL_DIR": OUT,
        "SM_OUTPUT_DATA_DIR": OUT,
        "SM_CHANNEL_TRAINING": DATA_TARGET,
        "AIP_MODEL_DIR": OUT,
        "AIP_CHECKPOINT_DIR": checkpoints,
        "AIP_TENSORBOARD_LOG_DIR": f"{OUT}/tensorboard",
        "WANDB_MODE": "offline",
        "WANDB_DIR": OUT,
        "MLFLOW_TRACKING_URI": f"file://{OUT}/mlruns",
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        "XDG_CACHE_HOME": f"{SCRATCH}/cache",
        "HF_HOME": f"{SCRATCH}/huggingface",
        "TORCH_HOME": f"{SCRATCH}/torch",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": str(max(1, int(spec.cpus))),
        "TQDM_MININTERVAL": "1",
    }
    if dependencies:
        found["PYTHONPATH"] = DEPENDENCIES
    if spec.network is NetworkMode.NONE:
        found |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return found


def job_mounts(folders: JobFolders, *, dependencies: bool) -> list[Mount]:
    mounts = [
        Mount(INPUTS, str(folders.inputs), "bind", read_only=True, propagation="rprivate"),
        Mount(OUT, str(folders.out), "bind", propagation="rprivate"),
        Mount(SCRATCH, str(folders.scratch), "bind", propagation="rprivate"),
    ]
    if dependencies:
        mounts.append(Mount(DEPENDENCIES, str(folders.site), "bind", read_only=True, propagation="rprivate"))
    return mounts


def host_config(
    client: docker.APIClient,
    *,
    memory_bytes: int,
    cpus: float,
    mounts: list[Mount],
    network: str,
    dns: list[str],
    gpus: tuple[str, ...] = (),
) -> Any:
    """The locked-down host configuration that jobs and installers share."""
    ulimits = [
        Ulimit(name="nofile", soft=JOB_OPEN_FILES_MAX, hard=JOB_OPEN_FILES_MAX),
        Ulimit(name="core", soft=0, hard=0),
    ]
    if gpus:
        ulimits.append(Ulimit(name="memlock", soft=-1, hard=-1))  # pinned host memory
    request = DeviceRequest(
        driver="nvidia", device_ids=list(gpus), capabilities=[["gpu", "compute", "utility"]]
    )
    return client.create_host_config(
        init=True,
        read_only=True,
        privileged=False,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true", f"seccomp={seccomp.profile()}"],
        ipc_mode="private",
        cgroupns="private",
        network_mode=network,
        dns=dns or None,
        mem_limit=memory_bytes,
        memswap_limit=memory_bytes,
        nano_cpus=int(min(cpus, os.cpu_count() or 1) * 1e9),
        pids_limit=JOB_PIDS_MAX,
        shm_size=min(JOB_SHM_BYTES, memory_bytes // 2),
        oom_score_adj=500,
        ulimits=ulimits,
        tmpfs={"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={JOB_TMP_BYTES},nr_inodes={JOB_TMP_INODES_MAX}"},
        mounts=mounts,
        device_requests=[request] if gpus else None,
        log_config=LogConfig(
            type="local",
            config={
                "max-size": str(JOB_LOG_FILE_BYTES),
                "max-file": str(LOG_TOTAL_MAX_BYTES // JOB_LOG_FILE_BYTES),
                "compress": "false",
                "mode": "blocking",  # a non-blocking log drops lines when Docker is slow
            },
        ),
        restart_policy={"Name": "no"},
    )


def create(
    client: docker.APIClient,
    *,
    name: str,
    image: str,
    command: list[str],
    working_dir: str,
    environment: dict[str, str],
    labels: dict[str, str],
    host: Any,
) -> str:
    """Create the container; its id.

    :raises docker.errors.APIError: Docker refuses, for instance because the name is taken (409).
    """
    found = client.create_container(
        image=image,
        command=command,
        name=name,
        hostname="job",
        user=job_user(),
        working_dir=working_dir,
        environment=environment,
        labels=labels,
        entrypoint=[],
        stop_signal="SIGTERM",
        host_config=host,
        use_config_proxy=False,
    )
    return str(found["Id"])
