"""The runner's pure parts: profile, control groups, pip's configuration and reports, states."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.states import FailureCode
from p2p.node.runner import RunSpec
from p2p.node.runner.cgroup import read_usage
from p2p.node.runner.egress import PRIVATE_RANGES, Bridge, blocked_ranges
from p2p.node.runner.hostpip import make_host_pip, parse_config
from p2p.node.runner.install import failure_of, lock_text
from p2p.node.runner.seccomp import allowed_names, profile
from p2p.node.runner.supervise import Verdict, read_state, read_verdict, write_verdict

FORBIDDEN = """
io_uring_setup io_uring_enter io_uring_register bpf perf_event_open userfaultfd ptrace process_vm_readv
process_vm_writev keyctl add_key request_key mount umount2 pivot_root chroot open_tree move_mount fsopen
fsmount fsconfig fspick mount_setattr unshare setns clone clone3 socket personality init_module
finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff syslog settimeofday
clock_settime open_by_handle_at fanotify_init quotactl acct iopl ioperm kcmp pidfd_getfd lookup_dcookie
""".split()  # noqa: SIM905


def test_the_profile_denies_by_default_and_names_none_of_the_dangerous_calls() -> None:
    found = json.loads(profile("x86_64"))
    assert found["defaultAction"] == "SCMP_ACT_ERRNO"
    assert found["architectures"] == ["SCMP_ARCH_X86_64"]
    assert allowed_names().isdisjoint(FORBIDDEN)
    families = [rule["args"][0]["value"] for rule in found["syscalls"] if rule["names"] == ["socket"]]
    assert families == [1, 2, 10, 16]
    (clone,) = [rule for rule in found["syscalls"] if rule["names"] == ["clone"]]
    assert clone["args"][0]["value"] & 0x10000000  # CLONE_NEWUSER
    assert "architectures" not in json.loads(profile("riscv64"))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_usage_from_control_groups_of_version_2(tmp_path: Path) -> None:
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    write(proc / "7" / "cgroup", "0::/system.slice/docker-abc.scope\n")
    group = root / "system.slice" / "docker-abc.scope"
    write(root / "cgroup.controllers", "cpu memory pids\n")
    write(group / "cpu.stat", "usage_usec 2500000\nuser_usec 1\n")
    write(group / "memory.current", "1000\n")
    write(group / "memory.stat", "anon 1\ninactive_file 300\n")
    write(group / "pids.current", "4\n")
    usage = read_usage(7, root=root, proc=proc)
    assert usage is not None
    assert (usage.cpu_s, usage.memory_bytes, usage.memory_peak_bytes, usage.processes) == (2.5, 700, 700, 4)
    write(group / "memory.peak", "900\n")
    assert read_usage(7, root=root, proc=proc) is not None
    (group / "cpu.stat").unlink()
    assert read_usage(7, root=root, proc=proc) is None


def test_usage_from_control_groups_of_version_1(tmp_path: Path) -> None:
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    write(
        proc / "7" / "cgroup",
        "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n2:pids:/docker/abc\n1:name=systemd:/x\n",
    )
    write(root / "cpuacct/docker/abc/cpuacct.usage", "1500000000\n")
    write(root / "memory/docker/abc/memory.usage_in_bytes", "1000\n")
    write(root / "memory/docker/abc/memory.max_usage_in_bytes", "2000\n")
    write(root / "memory/docker/abc/memory.stat", "total_inactive_file 400\n")
    write(root / "pids/docker/abc/pids.current", "3\n")
    usage = read_usage(7, root=root, proc=proc)
    assert usage is not None
    assert (usage.cpu_s, usage.memory_bytes, usage.memory_peak_bytes, usage.processes) == (1.5, 600, 2000, 3)
    assert read_usage(8, root=root, proc=proc) is None


def test_pips_configuration_is_read_the_environment_first() -> None:
    listing = (
        ":env:.find-links='/srv/links'\n:env:.disable-pip-version-check='1'\n"
        "global.find-links='/other'\nglobal.index-url='https://u:p@10.0.0.1:8443/simple'\ninstall.timeout='9'\nrubbish\n"
    )
    assert parse_config(listing) == {
        "find-links": "/srv/links",
        "disable-pip-version-check": "1",
        "timeout": "9",
        "index-url": "https://u:p@10.0.0.1:8443/simple",
    }


def test_only_what_reaches_an_index_goes_into_the_container(tmp_path: Path) -> None:
    index = tmp_path / "mirror" / "simple"
    index.mkdir(parents=True)
    certificate = tmp_path / "ca.crt"
    certificate.write_text("x")
    settings = {
        "index-url": "https://10.0.0.1:8443/simple",
        "extra-index-url": f"file://{index}",
        "cert": str(certificate),
        "target": "/evil",
        "no-build-isolation": "1",
        "find-links": f"{tmp_path} https://10.0.0.2/links",
    }
    found = make_host_pip(settings, {"https_proxy": "http://10.0.0.3:3128"})
    assert set(found.settings) == {"index-url", "extra-index-url", "cert", "find-links"}
    assert {mount["Target"] for mount in found.mounts} == {
        str(tmp_path / "mirror"),
        str(certificate),
        str(tmp_path),
    }
    assert all(mount["ReadOnly"] for mount in found.mounts)
    assert set(found.reach) == {("10.0.0.1", 8443), ("10.0.0.2", 443), ("10.0.0.3", 3128)}
    assert "target" not in found.config_text()


def item(name: str, version: str, **archive: object) -> dict[str, object]:
    return {
        "metadata": {"name": name, "version": version},
        "download_info": {"url": "https://x/y", "archive_info": archive},
    }


def report(*items: dict[str, object]) -> bytes:
    return json.dumps({"install": items}).encode()


def test_the_lock_names_versions_and_hashes_in_order(tmp_path: Path) -> None:
    digest = "ab" * 32
    both = report(item("b", "2+cpu", hashes={"sha256": digest}), item("a", "1", hashes={"sha256": digest}))
    assert lock_text(both, []) == f"a==1 --hash=sha256:{digest}\nb==2+cpu --hash=sha256:{digest}\n"
    (tmp_path / "c.whl").write_bytes(b"wheel")
    local = item("c", "3")
    local["download_info"] = {"url": f"file://{tmp_path}/c.whl", "archive_info": {}}
    assert hashlib.sha256(b"wheel").hexdigest() in lock_text(report(local), [tmp_path])
    with pytest.raises(UserError):
        lock_text(report(local), [])


@pytest.mark.parametrize(
    "data",
    [
        item("a b", "1", hashes={"sha256": "ab" * 32}),
        item("a", "1\n--index-url x", hashes={"sha256": "ab" * 32}),
        item("a", "1"),
        item("a", "1", hashes={"sha256": "short"}),
    ],
)
def test_a_report_that_would_write_anything_else_into_the_lock_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(UserError):
        lock_text(report(data), [])


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"install": [1]}', b"[" * 100_000])
def test_a_broken_report_is_our_failure(data: bytes) -> None:
    with pytest.raises(EnvironmentFailure):
        lock_text(data, [])


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["ERROR: No matching distribution found for nope"], "requirements_unresolvable"),
        (["ERROR: ResolutionImpossible: conflict"], "requirements_unresolvable"),
        (
            ["WARNING: Retrying … NewConnectionError", "ERROR: No matching distribution found"],
            "package_index_unreachable",
        ),
        (["ERROR: Could not install: [Errno 28] No space left on device"], "requirements_too_large"),
        ([], "requirements_unresolvable"),
    ],
)
def test_pips_complaint_is_the_buyers_or_the_nodes(lines: list[str], code: str) -> None:
    assert failure_of("resolve", lines).code == code


def test_a_state_before_the_start_has_no_times() -> None:
    state = read_state(
        {
            "Id": "c",
            "State": {
                "Status": "created",
                "Pid": 0,
                "ExitCode": 0,
                "OOMKilled": False,
                "StartedAt": "0001-01-01T00:00:00Z",
                "FinishedAt": "1970-01-01T00:00:01.25Z",
            },
            "Config": {"Labels": {}},
        }
    )
    assert (state.started_at_s, state.finished_at_s, state.running, state.over) == (None, 1.25, False, False)


def test_the_first_verdict_stands(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    assert read_verdict(path) is None
    write_verdict(path, Verdict(FailureCode.TIMEOUT, "first", 1.0))
    write_verdict(path, Verdict(FailureCode.STOPPED, "second", 2.0))
    assert read_verdict(path) == Verdict(FailureCode.TIMEOUT, "first", 1.0)


def test_names_fit_what_linux_allows() -> None:
    bridge = Bridge("cyxwiz-01234567-pip", "cyx01234567p", "CYXWIZ-01234567-pip")
    assert len(bridge.interface) <= 15
    assert len(bridge.chain) <= 28
    assert set(PRIVATE_RANGES) <= set(blocked_ranges())


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": "x"},
        {"epoch": -1},
        {"script": "../evil.py"},
        {"script": "/etc/passwd"},
        {"script": "-c"},
        {"memory_bytes": 1},
        {"cpus": 0},
        {"timeout_s": 0},
        {"timeout_s": 10**9},
        {"output_max_bytes": 1 << 60},
    ],
)
def test_a_spec_out_of_range_is_refused(changes: dict[str, object]) -> None:
    fields = {
        "job_id": "0" * 32,
        "epoch": 1,
        "script": "a.py",
        "image": "i",
        "memory_bytes": 1 << 30,
        "cpus": 1.0,
        "timeout_s": 60,
    }
    with pytest.raises(UserError):
        RunSpec(**{**fields, **changes})  # type: ignore[arg-type]
