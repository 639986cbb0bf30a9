"""A hostile job: what it tries to reach, to become, and to leave behind."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.jobspec import NetworkMode
from p2p.core.limits import MIB
from p2p.node.runner import LogCursor

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = pytest.mark.docker

ESCAPES = Path(__file__).with_name("escapes.py")


async def test_no_escape_attempt_succeeds(bench: Bench) -> None:
    report = await bench.run(bench.spec(ESCAPES.read_text()))
    results = [json.loads(line) for line in bench.text.splitlines() if line.startswith("{")]
    assert report.ok, bench.text
    assert len(results) > 80
    assert [result for result in results if result["succeeded"]] == []
    assert bench.text.endswith("end of attempts\n")


async def test_the_container_is_locked_down_as_docker_itself_reports_it(bench: Bench) -> None:
    spec = bench.spec("import time\nprint('ready'); time.sleep(600)")
    await bench.runner.prepare(spec)
    container = await bench.runner.start(spec)
    inspected = json.loads(output_of("docker", "inspect", container))[0]
    host, config = inspected["HostConfig"], inspected["Config"]
    assert config["User"] == "10001:10001"
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    assert host["Init"]
    assert host["IpcMode"] == host["CgroupnsMode"] == "private"
    assert host["PidMode"] == host["UTSMode"] == host["UsernsMode"] == ""
    assert host["NetworkMode"] == "none"
    assert not host["Devices"]
    assert not host["DeviceRequests"]
    assert host["Memory"] == host["MemorySwap"] == 256 * MIB
    assert host["NanoCpus"] == 10**9
    assert host["PidsLimit"] == 1024
    assert host["RestartPolicy"]["Name"] == "no"
    assert "no-new-privileges:true" in host["SecurityOpt"]
    profile = json.loads(next(option for option in host["SecurityOpt"] if option.startswith("seccomp="))[8:])
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    mounts = {mount["Destination"]: mount for mount in inspected["Mounts"]}
    assert set(mounts) == {"/job", "/out", "/scratch"}
    assert [path for path, mount in mounts.items() if mount["RW"]] == ["/out", "/scratch"] or not mounts[
        "/job"
    ]["RW"]
    assert not any("docker.sock" in mount["Source"] for mount in mounts.values())


HOSTILE_OUTPUT = r"""
import os, socket
os.symlink('/etc/shadow', 'shadow'); os.symlink('/', 'root'); os.symlink('../../../../etc', 'relative')
os.symlink('/job/data', 'data'); os.symlink('/etc', 'checkpoints/data')
os.mkfifo('pipe'); s = socket.socket(socket.AF_UNIX); s.bind('sock')
open('ok.txt', 'w').write('fine'); os.link('ok.txt', 'hard.txt')
open('sparse', 'wb').truncate(50 << 30)
for name in ('a\nb', 'c\x1b[31mred', 'CON', 'nul.txt', 'tail.', ' lead', 'back\\slash', 'co:lon', 'st*r',
             'x' * 255, 'Ok.TXT', 'e\u0301', 'r\u202etl'):
    open(name, 'w').write('bad')
open(b'bad\xff.bin', 'wb').close()
os.mkdir('closed', 0); open('unreadable', 'w').close(); os.chmod('unreadable', 0)
open('suid', 'w').write('#!'); os.chmod('suid', 0o6777)
d = '.'
for i in range(40):
    d += '/deep'; os.mkdir(d)
open(d + '/bottom', 'w').write('x')
try: os.mknod('dev', 0o60666, os.makedev(8, 0)); print('DEVICE MADE')
except OSError: pass
print('planted')
"""


async def test_hostile_output_yields_only_regular_files_with_canonical_names(
    bench: Bench, tmp_path: Path
) -> None:
    spec = bench.spec(HOSTILE_OUTPUT)
    report = await bench.run(spec)
    assert report.ok, bench.text
    assert bench.text == "planted\n"
    target = tmp_path / "got"
    collected = await bench.runner.collect(spec, target)
    names = sorted(file.path for file in collected.files)
    # `Ok.TXT` comes before `ok.txt` in byte order: the first of two names that are one on Windows is kept.
    assert names == sorted(["Ok.TXT", "hard.txt", "suid", "unreadable", "x" * 255])
    reasons = {skipped.name: skipped.reason for skipped in collected.skipped}
    assert reasons["shadow"] == reasons["root"] == reasons["relative"] == "is a link"
    assert reasons["checkpoints/data"] == "is a link"
    assert "data" not in reasons
    assert (reasons["pipe"], reasons["sock"]) == ("is a pipe", "is a socket")
    assert "exceeds" in reasons["sparse"]
    assert "case" in reasons["ok.txt"]
    assert any("nested too deeply" in reason for reason in reasons.values())
    assert not any("\x1b" in name or "\n" in name for name in reasons)
    found = [path for path in target.rglob("*") if not path.is_dir()]
    assert all(
        path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o7777 == 0o600 for path in found
    )
    assert sorted(str(path.relative_to(target)) for path in found) == names


PROBE = """
import os, socket
for host, port in PROBES:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(2)
    try: s.connect((host, port)); print("CONNECTED", host, port)
    except OSError as e: print("blocked", host, port, e)
    s.close()
try: print("NAME", socket.gethostbyname("example.com"))
except OSError as e: print("no name", e)
print(open("/proc/net/if_inet6").read() if os.path.exists("/proc/net/if_inet6") else "")
"""


@pytest.fixture
def listener() -> Any:
    """A service on every address of this machine."""
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        server.listen()
        yield server.getsockname()[1]


def output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def host_addresses() -> list[str]:
    shown = output_of("ip", "-j", "addr")
    return [
        info["local"]
        for link in json.loads(shown)
        for info in link["addr_info"]
        if info["scope"] in ("global", "host")
    ]


async def test_without_network_nothing_is_reached(bench: Bench, listener: int) -> None:
    targets = [(address, listener) for address in host_addresses() if not address.startswith("127.")]
    await bench.run(bench.spec(f"PROBES = {targets}\n" + PROBE))
    assert "CONNECTED" not in bench.text
    assert "NAME" not in bench.text
    assert bench.text.count("blocked") == len(targets)


async def test_outbound_reaches_neither_host_nor_lan_nor_other_jobs_and_is_removed(
    bench: Bench, listener: int, host_has: Callable[[str], bool]
) -> None:
    serving = bench.spec(
        "import socket\ns = socket.create_server(('', 8000))\n"
        "print(socket.gethostbyname(socket.gethostname()))\n"
        "while True: s.accept()",
        network=NetworkMode.OUTBOUND,
        grace_s=0.0,
    )
    await bench.runner.prepare(serving)
    await bench.runner.start(serving)
    async with bench.runner.follow_logs(serving, LogCursor()) as entries:
        neighbour = (await anext(entries)).data.decode().strip()
    gateway = neighbour.rpartition(".")[0] + ".1"
    private = ["10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", gateway]
    targets = [
        (address, listener) for address in [*host_addresses(), *private] if not address.startswith("127.")
    ]
    targets = [target for target in targets if target[0] != "::1"] + [
        (neighbour, 8000),
        ("169.254.169.254", 80),
    ]
    spec = bench.spec(f"PROBES = {targets}\n" + PROBE, network=NetworkMode.OUTBOUND)
    report = await bench.run(spec)
    assert report.ok, bench.text
    assert "CONNECTED" not in bench.text
    assert bench.text.count("blocked") == len(targets)
    assert "eth0" not in bench.text  # no IPv6 address on the bridge's interface
    assert host_has(f"cyx{bench.runner.node}")
    await bench.runner.sweep(set())
    await bench.runner.remove_network()
    await bench.runner.remove_network()
    assert not host_has(bench.runner.node)


async def test_outbound_reaches_the_internet_through_the_resolver(bench: Bench, tmp_path: Path) -> None:
    """The internet is a name space of the test's own, routed behind this machine, with a public address."""
    with internet(bench.runner.node) as address:
        spec = bench.spec(
            f"PROBES = [('{address}', 443), ('{address}', 25)]\n" + PROBE, network=NetworkMode.OUTBOUND
        )
        await bench.run(spec)
    assert f"CONNECTED {address} 443" in bench.text
    assert f"blocked {address} 25" in bench.text


class internet:
    """A public address (of TEST-NET-2, RFC 5737) behind a veth pair, answering on ports 443 and 25."""

    def __init__(self, tag: str) -> None:
        self._space, self._outer, self._inner = f"cyx{tag}", f"cyi{tag}a", f"cyi{tag}b"

    def __enter__(self) -> str:
        run = _run
        run("ip", "netns", "add", self._space)
        run(
            "ip",
            "link",
            "add",
            self._outer,
            "type",
            "veth",
            "peer",
            "name",
            self._inner,
            "netns",
            self._space,
        )
        run("ip", "addr", "add", "10.213.77.1/30", "dev", self._outer)
        run("ip", "link", "set", self._outer, "up")
        inside = ("ip", "-n", self._space)
        run(*inside, "addr", "add", "10.213.77.2/30", "dev", self._inner)
        run(*inside, "addr", "add", "198.51.100.7/32", "dev", self._inner)
        run(*inside, "link", "set", self._inner, "up")
        run(*inside, "route", "add", "default", "via", "10.213.77.1")
        run("ip", "route", "add", "198.51.100.7/32", "via", "10.213.77.2")
        serve = (
            "import socket, select\nl = [socket.create_server(('', p)) for p in (443, 25)]\n"
            "print('up', flush=True)\n"
            "while True: [s.accept() for s in select.select(l, [], [])[0]]"
        )
        command = ["ip", "netns", "exec", self._space, "python3", "-c", serve]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"up\n"
        return "198.51.100.7"

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.communicate()
        _run("ip", "link", "del", self._outer)
        _run("ip", "netns", "del", self._space)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


async def test_a_gpu_that_docker_cannot_hand_out_is_said_plainly_and_cleaned_up(
    bench: Bench, host_has: Callable[[str], bool]
) -> None:
    if "nvidia" in output_of("docker", "info", "--format", "{{json .Runtimes}}"):
        pytest.skip("this machine can hand out GPUs")
    spec = bench.spec("print(1)", gpus=("GPU-00000000-0000-0000-0000-000000000000",))
    await bench.runner.prepare(spec)
    with pytest.raises(EnvironmentFailure) as caught:
        await bench.runner.start(spec)
    assert caught.value.code == "gpu_runtime_missing"
    assert await bench.runner.state(spec) is None
    with trio.fail_after(30):
        await bench.runner.cleanup(spec)
    assert not host_has(spec.job_id)
