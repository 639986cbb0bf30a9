"""Agent and window on one machine: calls, streams, errors, hang-ups."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import trio

from p2p.core.errors import EnvironmentFailure, Refused
from p2p.local.client import LocalClient
from p2p.local.platform import ProcessLock, is_alive, is_locked, kill, lock_owner
from p2p.local.server import LocalServer


async def _echo(params: dict[str, object]) -> object:
    return params


async def _refuse(_: dict[str, object]) -> object:
    raise Refused("no_balance", "Not enough.", "Nothing was paid.", "Deposit first.")


async def _break(_: dict[str, object]) -> object:
    raise RuntimeError("secret inner words")


async def _hang(_: dict[str, object]) -> object:
    return await trio.sleep_forever()


@pytest.fixture
async def stopped() -> trio.Event:
    return trio.Event()


@pytest.fixture
async def client(tmp_path: Path, nursery: trio.Nursery, stopped: trio.Event) -> LocalClient:
    async def count(params: dict[str, object]) -> AsyncGenerator[object, None]:
        try:
            for number in range(int(str(params["until"]))):
                yield number
                await trio.lowlevel.checkpoint()
            await trio.sleep_forever() if params.get("forever") else None
        finally:
            stopped.set()

    path = tmp_path / ("long" * 20) / "agent.sock"  # longer than the kernel's limit for socket paths
    path.parent.mkdir()
    server = LocalServer({"echo": _echo, "refuse": _refuse, "break": _break, "hang": _hang}, {"count": count})
    await nursery.start(server.serve, path)
    return LocalClient(path)


async def test_a_call_is_answered(client: LocalClient) -> None:
    assert await client.call("echo", {"text": "line\nbreak \u202e"}) == {"text": "line\nbreak \u202e"}


async def test_an_error_arrives_with_all_its_parts(client: LocalClient) -> None:
    with pytest.raises(Refused) as caught:
        await client.call("refuse")
    assert caught.value.lines() == ("Not enough.", "Nothing was paid.", "Deposit first.")
    assert caught.value.exit_code == 4


async def test_a_broken_handler_tells_no_secret_and_the_next_call_works(
    client: LocalClient, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(EnvironmentFailure, match="mistake of its own") as caught:
        await client.call("break")
    assert "secret" not in "".join(caught.value.lines())
    assert "secret inner words" in caplog.text
    assert await client.call("echo", {}) == {}


async def test_a_silent_handler_times_out(client: LocalClient) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        await client.call("hang", timeout_s=0.05)
    assert caught.value.code == "agent_silent"


async def test_a_stream_ends(client: LocalClient) -> None:
    assert [item async for item in client.stream("count", {"until": 3})] == [0, 1, 2]


async def test_hanging_up_stops_the_stream_in_the_agent(client: LocalClient, stopped: trio.Event) -> None:
    items = client.stream("count", {"until": 1, "forever": True})
    assert await anext(items) == 0
    await items.aclose()
    with trio.fail_after(5):
        await stopped.wait()


async def test_no_agent_says_so(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        await LocalClient(tmp_path / "agent.sock").call("echo")
    assert caught.value.code == "agent_not_running"


async def test_the_socket_is_private(client: LocalClient) -> None:
    assert client._path.stat().st_mode & 0o077 == 0


async def test_garbage_on_the_socket_harms_nobody(client: LocalClient) -> None:
    async with client._connect() as (stream, _):
        await stream.send_all(b"\xff\xfe{]\n")
        assert b"bad_message" in await stream.receive_some(4096)
    assert await client.call("echo", {"still": "here"}) == {"still": "here"}


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import sys, pathlib; from p2p.local.platform import ProcessLock\n"
        "ProcessLock(pathlib.Path(sys.argv[1])).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(path)
        assert lock_owner(path) == holder.pid
        with pytest.raises(EnvironmentFailure, match=str(holder.pid)):
            ProcessLock(path).acquire()
        kill(holder.pid)
    assert not is_alive(holder.pid)
    with ProcessLock(path):
        assert lock_owner(path) == os.getpid()
    assert not is_locked(path)


@pytest.mark.skipif(sys.platform == "win32", reason="file descriptors are limited on POSIX only")
@pytest.mark.parametrize(
    ("soft", "hard", "after", "connections"), [(64, 300, 300, 150), (200, 20_000, 8192, 4096)]
)
def test_connections_leave_file_descriptors_for_everything_else(
    soft: int, hard: int, after: int, connections: int
) -> None:
    script = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from p2p.local.platform import connections_max\n"
        "print(connections_max(), *resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=60)
    assert [int(number) for number in found.stdout.split()] == [connections, after, hard]
