"""Attempts to get out of a job's container. Run as a job; prints one JSON line per attempt."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct

libc = ctypes.CDLL(None, use_errno=True)


def report(name, succeeded, detail=""):
    print(
        json.dumps({"attempt": name, "succeeded": bool(succeeded), "detail": str(detail)[:120]}), flush=True
    )


def call(name, number, *arguments):
    """A raw system call, for x86-64: anything but an error is a success."""
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    report(name, result >= 0, os.strerror(ctypes.get_errno()))


def attempt(name, action):
    try:
        detail = action()
    except (OSError, ValueError, OverflowError) as error:
        report(name, False, error)
    else:
        report(name, True, detail)


def read_something(path):
    with open(path, "rb") as file:
        found = file.read(64)
    if not found:
        raise ValueError("masked: it is empty")
    return found


# -- identity and privileges
attempt("be root", lambda: os.setuid(0))
attempt("be root's group", lambda: os.setgid(0))
attempt("drop into other groups", lambda: os.setgroups([0]))
with open("/proc/self/status") as file:
    status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    report(f"hold capabilities {field}", int(status[field], 16) != 0, status[field])
report("run without seccomp", status["Seccomp"] != "2", status["Seccomp"])
report("gain privileges by exec", status["NoNewPrivs"] != "1", status["NoNewPrivs"])
# -- system calls behind container escapes; numbers of the x86-64 table
unprivileged = {
    "io_uring_setup": (425, 8, ctypes.create_string_buffer(128)),
    "io_uring_enter": (426, 0, 0, 0, 0, 0, 0),
    "io_uring_register": (427, 0, 0, 0, 0),
    "bpf": (321, 0, ctypes.create_string_buffer(128), 128),
    "perf_event_open": (298, ctypes.create_string_buffer(128), 0, -1, -1, 0),
    "userfaultfd": (323, 1),
    "ptrace traceme": (101, 0, 0, 0, 0),
    "process_vm_readv": (310, os.getpid(), 0, 0, 0, 0, 0),
    "process_vm_writev": (311, os.getpid(), 0, 0, 0, 0, 0),
    "kcmp": (312, os.getpid(), os.getpid(), 0, 0, 0),
    "add_key": (248, b"user", b"x", b"y", 1, -3),
    "request_key": (249, b"user", b"x", 0, -3),
    "keyctl": (250, 0, -3, 0),
    "mount": (165, b"none", b"/tmp", b"tmpfs", 0, 0),
    "umount2": (166, b"/tmp", 2),
    "pivot_root": (155, b"/tmp", b"/tmp"),
    "chroot": (161, b"/tmp"),
    "open_tree": (428, -100, b"/", 1),
    "move_mount": (429, -100, b"/", -100, b"/tmp", 0),
    "fsopen": (430, b"tmpfs", 0),
    "fspick": (433, -100, b"/", 0),
    "mount_setattr": (442, -100, b"/", 0, 0, 0),
    "unshare user": (272, 0x10000000),
    "unshare mounts": (272, 0x20000),
    "unshare network": (272, 0x40000000),
    "setns": (308, 0, 0),
    "clone user": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "init_module": (175, b"", 0, b""),
    "finit_module": (313, 0, b"", 0),
    "delete_module": (176, b"x", 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "kexec_file_load": (320, 0, 0, 0, b"", 0),
    "reboot": (169, 0xFEE1DEAD, 672274793, 0, 0),
    "swapon": (167, b"/tmp/x", 0),
    "swapoff": (168, b"/tmp/x"),
    "acct": (163, b"/tmp/x"),
    "syslog": (103, 3, 0, 0),
    "quotactl": (179, 0, 0, 0, 0),
    "settimeofday": (164, ctypes.create_string_buffer(32), 0),
    "clock_settime": (227, 0, ctypes.create_string_buffer(32)),
    "adjtimex": (159, ctypes.create_string_buffer(256)),
    "iopl": (172, 3),
    "ioperm": (173, 0, 1, 1),
    "open_by_handle_at": (304, -100, ctypes.create_string_buffer(64), 0),
    "fanotify_init": (300, 0, 0),
    "lookup_dcookie": (212, 0, 0, 0),
    "sethostname": (170, b"x", 1),
    "setdomainname": (171, b"x", 1),
    "vhangup": (153,),
    "personality of another system": (135, 0x0040000),
    "pidfd_getfd": (438, 0, 0, 0),
    "memfd_secret": (447, 0),
    "landlock": (444, 0, 0, 1),
    "move_pages": (279, 0, 0, 0, 0, 0, 0),
    "set_mempolicy": (238, 0, 0, 0),
    "name space by clone3": (435, struct.pack("<Q", 0x10000000) + bytes(80), 88),
}
for name, arguments in unprivileged.items():
    call(name, *arguments)


def other_table():
    """A call of the x32 table is answered by death: only a child may try it."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if libc.syscall(0x40000000 | 39) > 0 else 1)
    return os.waitpid(pid, 0)[1] == 0


report("x32 call", other_table())

# -- sockets
for name, family, kind, protocol in [
    ("raw ICMP", socket.AF_INET, socket.SOCK_RAW, 1),
    ("raw IPv6", socket.AF_INET6, socket.SOCK_RAW, 58),
    ("packet", 17, socket.SOCK_RAW, 3),
    ("kernel crypto", 38, socket.SOCK_SEQPACKET, 0),
    ("vsock", 40, socket.SOCK_STREAM, 0),
    ("bluetooth", 31, socket.SOCK_RAW, 1),
    ("xdp", 44, socket.SOCK_RAW, 0),
    ("can", 29, socket.SOCK_RAW, 1),
    ("rds", 21, socket.SOCK_SEQPACKET, 0),
    ("tipc", 30, socket.SOCK_DGRAM, 0),
    ("key", 15, socket.SOCK_RAW, 2),
    ("smc", 43, socket.SOCK_STREAM, 0),
]:
    attempt(
        f"socket {name}",
        lambda family=family, kind=kind, protocol=protocol: socket.socket(family, kind, protocol),
    )
attempt("docker socket", lambda: socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock"))
attempt("containerd socket", lambda: socket.socket(socket.AF_UNIX).connect("/run/containerd/containerd.sock"))
attempt(
    "abstract containerd shim", lambda: socket.socket(socket.AF_UNIX).connect("\0/containerd-shim/x.sock")
)


# -- files of the kernel and the host
def spared():
    with open("/proc/1/oom_score_adj", "w") as file:
        file.write("-1000")


WRITES = [
    "/x",
    "/etc/passwd",
    "/etc/ld.so.preload",
    "/usr/bin/x",
    "/opt/job/x",
    "/job/x",
    "/job/train.py",
    "/var/tmp/x",
    "/run/x",
    "/dev/x",
    "/sys/x",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sysrq-trigger",
    "/proc/sys/vm/overcommit_memory",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/pids/pids.max",
    "/sys/fs/cgroup/devices/devices.allow",
    "/sys/fs/cgroup/release_agent",
    "/sys/fs/cgroup/memory/release_agent",
    "/proc/1/mem",
]
for path in WRITES:
    attempt(f"write {path}", lambda path=path: os.write(os.open(path, os.O_WRONLY | os.O_CREAT), b"1"))
READS = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/1/root" + "/etc/shadow",
    "/etc/shadow",
    "/dev/mem",
    "/dev/kmsg",
    "/dev/kvm",
    "/dev/fuse",
    "/dev/sda",
    "/dev/vda",
    "/dev/loop0",
    "/dev/loop-control",
    "/dev/net/tun",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/sys/firmware/dmi/tables/DMI",
    "/proc/acpi/wakeup",
    "/proc/scsi/scsi",
]
for path in READS:
    attempt(f"read {path}", lambda path=path: read_something(path))
attempt("be spared by the kernel when memory is short", spared)
attempt("make a block device", lambda: os.mknod("/tmp/device", 0o60666, os.makedev(8, 0)))
attempt("make a character device", lambda: os.mknod("/out/device", 0o20666, os.makedev(1, 1)))


def run_from_output():
    with open("/out/program", "w") as file:
        file.write("#!/bin/sh\necho ran\n")
    os.chmod("/out/program", 0o700)
    pid = os.posix_spawn("/out/program", ["program"], {})
    return os.waitpid(pid, 0)


attempt("run a program from the output", run_from_output)
attempt("leave by a relative path", lambda: os.stat("/out/../../../../../../host"))
others = [
    pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) not in (1, os.getpid(), os.getppid())
]
report("see processes of others", others, others)
report(
    "see other interfaces",
    [name for name in os.listdir("/sys/class/net") if name != "lo"],
    os.listdir("/sys/class/net"),
)
secrets = [
    name
    for name in os.environ
    if any(word in name for word in ("TOKEN", "SECRET", "KEY", "DOCKER", "PASSWORD"))
]
report("find secrets in the environment", secrets, secrets)
print("end of attempts")
