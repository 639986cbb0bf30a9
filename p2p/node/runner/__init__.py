"""Runs one buyer's script in one hardened container, and can always say what became of it.

The only package that speaks to Docker. Linux only. The order in which an agent uses it::

    runner = Runner(folder, SYSTEM_CLOCK)
    rows = await runner.check()                        # the self-test; each row: found, needed, why, fix
    await runner.sweep(keep={(job_id, epoch), ...})    # after a start: what earlier crashes left behind

    spec = RunSpec(job_id, epoch, script="train.py", image=await runner.find_image(), memory_bytes=…,
                   cpus=…, timeout_s=…)
    runner.input_dir(spec)                             # stage train.py, requirements.txt, data/ in here
    await runner.prepare(spec)                         # the output file system, of fixed size
    lock = await runner.install_requirements(spec, print)
    container = await runner.start(spec)               # idempotent: finds the container if it is there
    async with runner.follow_logs(spec, cursor) as entries:
        async for entry in entries: ...                # persist cursor.after(entry) with what was written
    report = await runner.supervise(spec)              # deadline, output, log rate; ends with the job
    collected = await runner.collect(spec, destination)
    await runner.cleanup(spec)

``follow_logs`` and ``supervise`` run side by side; the log must be followed for its rate to be watched.
Cancelling either leaves the job running: after a crash or restart of the agent the same calls find it
again. Everything that decides is a label on the container (job, epoch, node, deadline) or a file synced
before it is acted upon (the verdict, which says why a job was stopped).

Inside the container: ``/job`` holds the inputs, read-only; ``/out`` is the working directory, with
``data`` pointing to ``/job/data``; what is left in ``/out`` is the result. ``OUTPUT_DIR``,
``CHECKPOINT_DIR``, ``DATA_DIR`` and the names that training services use say the same.
"""

from __future__ import annotations

from p2p.node.runner.collect import Collected, CollectedFile, Skipped
from p2p.node.runner.logs import LogCursor, LogEntry
from p2p.node.runner.runner import Runner
from p2p.node.runner.spec import CheckRow, ContainerState, ExitReport, RunSpec, Usage

__all__ = [
    "CheckRow",
    "Collected",
    "CollectedFile",
    "ContainerState",
    "ExitReport",
    "LogCursor",
    "LogEntry",
    "RunSpec",
    "Runner",
    "Skipped",
    "Usage",
]
