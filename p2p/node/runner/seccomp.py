"""Which system calls a job may make.

An allow-list: what is not named fails with EPERM, and what the kernel gains later is not named. The
families that container escapes of recent years went through are left out on purpose: io_uring, bpf,
perf, userfaultfd, keyrings, ptrace and process_vm, mounts and name spaces, kernel modules, and every
socket family but local, IP and netlink (no vsock, packet, ALG, Bluetooth, XDP).
Names follow syscalls(2); ``clone3`` answers ENOSYS, so that the C library falls back to ``clone``, whose
flags can be filtered.
"""

from __future__ import annotations

import json
import platform

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr
flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr
llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open
openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat
sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev
"""
_MEMORY = """
brk madvise membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock
munlockall munmap pkey_alloc pkey_free pkey_mprotect process_madvise shmat shmctl shmdt shmget
"""
_PROCESSES = """
alarm arch_prctl capget capset execve execveat exit exit_group fork getcpu getegid geteuid getgid getgroups
getitimer getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid
getuid ioprio_get ioprio_set kill pause pidfd_open pidfd_send_signal prctl prlimit64 rseq restart_syscall
rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
sched_setscheduler sched_yield seccomp set_robust_list get_robust_list set_tid_address setfsgid setfsuid
setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid
sigaltstack sysinfo tgkill time times tkill uname vfork wait4 waitid
"""
_WAITING = """
clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait
epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 futex futex_waitv getrandom gettimeofday io_cancel
io_destroy io_getevents io_setup io_submit mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend
mq_unlink msgctl msgget msgrcv msgsnd nanosleep pipe pipe2 poll ppoll pselect6 select semctl semget semop
semtimedop signalfd signalfd4 timer_create timer_delete timer_getoverrun timer_gettime timer_settime
timerfd_create timerfd_gettime timerfd_settime
"""
_SOCKETS = """
accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg
sendmsg sendto setsockopt shutdown socketpair
"""

_EPERM, _ENOSYS = 1, 38
_NAMESPACE_FLAGS = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of clone(2)
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK of socket(2)
_PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)  # Linux, Linux32, UNAME26, both, only ask
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}


def allowed_names() -> frozenset[str]:
    """The calls that are allowed whatever their arguments."""
    return frozenset(f"{_FILES} {_MEMORY} {_PROCESSES} {_WAITING} {_SOCKETS}".split())


def profile(machine: str | None = None) -> str:
    """The profile for this machine's architecture, as the JSON that Docker takes."""
    architecture = _ARCHITECTURES.get(machine or platform.machine())
    rules: list[dict[str, object]] = [
        {"names": sorted(allowed_names()), "action": "SCMP_ACT_ALLOW"},
        _when("clone", 0, "SCMP_CMP_MASKED_EQ", _NAMESPACE_FLAGS, 0),
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
    ]
    rules += [_when("socket", 0, "SCMP_CMP_EQ", family) for family in _FAMILIES]
    rules += [_when("personality", 0, "SCMP_CMP_EQ", value) for value in _PERSONALITIES]
    found: dict[str, object] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _EPERM,
        "syscalls": rules,
    }
    if architecture:
        found["architectures"] = [architecture]
    return json.dumps(found, separators=(",", ":"))


def _when(name: str, index: int, comparison: str, value: int, value_two: int = 0) -> dict[str, object]:
    argument = {"index": index, "value": value, "valueTwo": value_two, "op": comparison}
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument]}
