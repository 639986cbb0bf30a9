"""A process that runs one job and spools its log, as an agent does; made to be killed at any moment."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import trio

from p2p.core.clock import SYSTEM_CLOCK
from p2p.node.runner import LogCursor, Runner, RunSpec


class Spool:
    """The log, and up to where it is certain: the cursor and the file's length are synced together."""

    def __init__(self, folder: Path) -> None:
        self._state = folder / "cursor.json"
        saved = json.loads(self._state.read_text()) if self._state.exists() else {"cursor": "", "offset": 0}
        self.cursor = LogCursor.parse(saved["cursor"])
        self._file = (folder / "log").open("ab")
        self._file.truncate(saved["offset"])
        self._unsynced = 0

    def write(self, entry: Any) -> None:
        self._file.write(entry.data)
        self.cursor = self.cursor.after(entry)
        self._unsynced += 1
        if self._unsynced >= 50:
            self.sync()

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        partial = self._state.with_suffix(".partial")
        partial.write_text(json.dumps({"cursor": str(self.cursor), "offset": self._file.tell()}))
        partial.rename(self._state)
        self._unsynced = 0


async def main(folder: Path, fields: dict[str, Any]) -> None:
    runner = Runner(folder / "runner", SYSTEM_CLOCK, os.environ.get("CYXWIZ_TEST_DOCKER"))
    spec = RunSpec(**fields)
    await runner.prepare(spec)
    print("container", await runner.start(spec), flush=True)
    spool = Spool(folder)
    async with runner.follow_logs(spec, spool.cursor) as entries:
        async for entry in entries:
            spool.write(entry)
    spool.sync()
    report = await runner.supervise(spec)
    print("exit", report.exit_code, flush=True)
    runner.close()


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), json.loads(sys.argv[2]))
