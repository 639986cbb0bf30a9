"""The log spool: readers, and ``kill -9`` of its writer at each boundary of a commit."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import STREAM_ITEM_MAX_BYTES
from p2p.node.spool import Spool, SpoolWriter
from p2p.store.journal import Journal
from p2p.store.migrations import migrations
from p2p.store.node import NodeTables, Place

JOB = "a" * 32
LINES = 400

# Feeds numbered lines into a spool from the persisted cursor on, and kills itself at a boundary.
WRITER = """
import os, signal, sys
from pathlib import Path
import trio
from p2p.node import spool as module
from p2p.node.spool import Spool, SpoolWriter
from p2p.store.journal import Journal
from p2p.store.migrations import migrations
from p2p.store.node import NodeTables

folder, boundary, lines = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

real_write = module._write
def write(descriptor, offset, data):
    if boundary == "half written":
        os.pwrite(descriptor, data[: len(data) // 2 + 1], offset)
        die()
    real_write(descriptor, offset, data)
    if boundary == "written, not committed":
        die()
module._write = write

async def main():
    async with Journal.open(folder / "journal.db", migrations("node")) as journal:
        tables = NodeTables(journal)
        record = await tables.find(sys.argv[4], 1)
        spool = Spool(folder / "log", record.log_bytes)
        async def commit(size, cursor):
            await tables.note(record, log_bytes=size, log_cursor=cursor)
            if boundary == "committed, not announced":
                die()
        start = int(record.log_cursor or 0)
        async with SpoolWriter(spool, commit) as writer:
            for number in range(start, lines):
                await writer.add(b"line %d\\n" % number, str(number + 1))
                if number % 37 == 36:
                    await writer.flush()
                    if boundary == "between" and number > start + 80:
                        await writer.add(b"not yet", str(number + 2))
                        die()
            await writer.flush()
        spool.end()

trio.run(main)
"""


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    async with Journal.open(tmp_path / "journal.db", migrations("node")) as journal:
        await NodeTables(journal).accept(JOB, 1, b"", Place("", "image", 1.0, 1 << 30))
    return tmp_path


async def write(folder: Path, boundary: str) -> int:
    command = [sys.executable, "-W", "ignore", "-c", WRITER, str(folder), boundary, str(LINES), JOB]
    done = await trio.run_process(command, check=False, capture_stderr=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode


BOUNDARIES = ("half written", "written, not committed", "committed, not announced", "between")


async def test_no_byte_is_lost_or_doubled_wherever_the_writer_is_killed(folder: Path) -> None:
    for boundary in BOUNDARIES:
        assert await write(folder, boundary) == -signal.SIGKILL
    assert await write(folder, "never") == 0
    expected = b"".join(b"line %d\n" % number for number in range(LINES))
    async with Journal.open(folder / "journal.db", migrations("node")) as journal:
        record = await NodeTables(journal).find(JOB, 1)
    assert record is not None
    assert (folder / "log").read_bytes()[: record.log_bytes] == expected
    assert record.log_bytes == len(expected)


async def test_readers_see_only_what_is_committed_and_wait_for_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "log", 0)
    committing, may_commit = trio.Event(), trio.Event()

    async def commit(size_bytes: int, cursor: str) -> None:
        committing.set()
        await may_commit.wait()

    async with SpoolWriter(spool, commit) as writer, trio.open_nursery() as nursery:
        await writer.add(b"certain", "1")
        nursery.start_soon(writer.flush)
        await committing.wait()
        assert (tmp_path / "log").read_bytes() == b"certain"
        got: list[bytes] = []

        async def read() -> None:
            got.append(await spool.read(0))

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        assert not got
        may_commit.set()
        with trio.fail_after(5):
            while not got:
                await trio.lowlevel.checkpoint()
    assert got == [b"certain"]
    spool.end()
    assert await spool.read(7) == b""
    assert await spool.read(3) == b"tain"


async def test_a_read_fits_into_an_item_of_a_stream(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(2 * STREAM_ITEM_MAX_BYTES))
    spool = Spool(tmp_path / "log", 2 * STREAM_ITEM_MAX_BYTES, ended=True)
    assert 0 < len(await spool.read(0)) < STREAM_ITEM_MAX_BYTES


async def test_a_log_that_is_gone_or_too_short_is_said_to_be_gone(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "log", 10, ended=True)
    with pytest.raises(EnvironmentFailure) as caught:
        await spool.read(0)
    assert caught.value.code == "log_gone"
    (tmp_path / "log").write_bytes(b"short")
    with pytest.raises(EnvironmentFailure):
        await spool.sha256()
    with pytest.raises(EnvironmentFailure) as caught:
        await spool.read(5)  # and not nothing, which would be asked for again and again
    assert caught.value.code == "log_gone"

    async def commit(size_bytes: int, cursor: str) -> None:
        raise AssertionError("nothing was written")

    with pytest.raises(EnvironmentFailure):
        async with SpoolWriter(spool, commit):
            pass


async def test_a_full_disk_ends_the_writing(tmp_path: Path) -> None:
    # A limit on the size of files stands in for a disk that fills up.
    program = (
        "import resource, signal, sys, trio; from pathlib import Path\n"
        "from p2p.core.errors import EnvironmentFailure\n"
        "from p2p.node.spool import Spool, SpoolWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "async def main():\n"
        "    spool = Spool(Path(sys.argv[1]) / 'log', 0)\n"
        "    async def commit(size, cursor): pass\n"
        "    async with SpoolWriter(spool, commit) as writer:\n"
        "        await writer.add(b'x' * 900, '1'); await writer.flush()\n"
        "        await writer.add(b'y' * 900, '2')\n"
        "        try: await writer.flush()\n"
        "        except EnvironmentFailure as failure: print(failure.code, spool.size_bytes)\n"
        "trio.run(main)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path)]
    done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.STDOUT, check=False)
    assert done.stdout.decode().split() == ["disk_full", "900"], done.stdout
