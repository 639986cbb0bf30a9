"""A log that grows in a window, beside Qt's own text widget in the same run.

    python benchmarks/gui_log.py [--seconds 8] [--json]

Measured on a real screen in memory: pictures a second while 10,000 lines a second are appended; and how
late the window's clock ticks, which is how long a click would wait, while an agent, a process of its own,
sends lines over its socket as fast as they are taken: ordinary ones, lines full of escape codes, HTML and
turned text, and the longest that a node passes on. The reference is QPlainTextEdit with ordinary lines at
the same rate as the first.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

from _screen import Lateness, screen
from PyQt6.QtCore import QEvent, QObject, Qt, QTimer
from PyQt6.QtWidgets import QApplication, QPlainTextEdit, QWidget

from gui_kit.link import AgentLink
from gui_kit.log_feed import LogFeed
from gui_kit.log_view import LogView
from gui_kit.theme import Mode, theme
from p2p.core.limits import LOG_BATCH_MAX_BYTES, LOG_LINE_MAX_BYTES
from p2p.testing.scripted_agent import ScriptedAgent

LINES_PER_S = 10_000
TICK_MS = 10
TARGET_FPS = 30
TARGET_P99_MS = 50
HOSTILE = "\x1b[31m\x1b]0;t\x07<img src=x>\u202e\u0645\u0631\u062d\u0628\u0627 \x1b[2K" * 8
HUGE = ("x<b>\x1b[1m\u202e" * LOG_LINE_MAX_BYTES)[: LOG_LINE_MAX_BYTES // 2]
FLOODS = {
    "flood": [
        f"epoch 1 step {number} loss=0.{number:04} lr=0.001 throughput=1234.5 samples/s"
        for number in range(2500)
    ],
    "hostile flood": [f"{number} {HOSTILE}" for number in range(1000)],
    "longest lines": [HUGE] * (LOG_BATCH_MAX_BYTES // LOG_LINE_MAX_BYTES),
}
LINE = "epoch {0} step {1} loss=0.{1:04} accuracy=0.9{1:04} lr=0.001 throughput=1234.5 samples/s"


@dataclass(frozen=True, slots=True)
class Measured:
    """``lines_per_s`` that were shown; ``mb_per_s`` of their text."""

    frames_per_s: float
    late_p50_ms: float
    late_p99_ms: float
    lines_per_s: float
    mb_per_s: float


class Frames(QObject):
    """Counts the pictures of a widget."""

    def __init__(self, of: QObject | None) -> None:
        super().__init__()
        self.count = 0
        if of is not None:
            of.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        self.count += event is not None and event.type() is QEvent.Type.Paint
        return False


def measure(
    window: QWidget, port: QObject | None, seconds: float, size: Callable[[], tuple[int, int]]
) -> Measured:
    """Let the event loop run for so long; ``size``: lines and characters that are shown."""
    frames, lateness = Frames(port), Lateness()
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lateness.tick)
    timer.start(TICK_MS)
    began = time.monotonic()
    QTimer.singleShot(int(seconds * 1000), QApplication.quit)
    QApplication.exec()
    took = time.monotonic() - began
    lines, chars = size()
    window.close()
    return Measured(
        frames.count / took,
        lateness.percentile_ms(0.5),
        lateness.percentile_ms(0.99),
        lines / took,
        chars / took / 1e6,
    )


class Source(QObject):
    """Lines at a steady rate."""

    def __init__(self, take: Callable[[list[str]], object]) -> None:
        super().__init__()
        self._began, self._sent = time.monotonic(), 0
        self._take = take
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._send)
        self._timer.start(TICK_MS)

    def _send(self) -> None:
        due = int((time.monotonic() - self._began) * LINES_PER_S)
        self._take([LINE.format(number // 1000, number % 1000) for number in range(self._sent, due)])
        self._sent = due


def steady(seconds: float) -> Measured:
    view = LogView()
    view.resize(1000, 640)
    view.show()
    source = Source(view.append)
    found = measure(view, view.canvas.viewport(), seconds, lambda: (view.store.end, view.store.chars))
    source.deleteLater()
    return found


def reference(seconds: float) -> Measured:
    edit = QPlainTextEdit()
    edit.setReadOnly(True)
    edit.resize(1000, 640)
    edit.show()
    source = Source(lambda lines: edit.appendPlainText("\n".join(lines)) if lines else None)
    document = edit.document()
    assert document is not None
    found = measure(edit, edit.viewport(), seconds, lambda: (edit.blockCount(), document.characterCount()))
    source.deleteLater()
    return found


def serve(socket: Path, name: str) -> None:
    """An agent whose log is one of the floods, until it is killed."""
    batch = FLOODS[name]

    async def logs(params: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        while True:
            yield {"epoch": 1, "lines": batch}

    agent = ScriptedAgent(socket)
    agent.streams["logs"] = logs
    agent.start()
    Event().wait()


def flood(seconds: float, folder: Path, name: str) -> Measured:
    """From an agent's socket, as fast as it goes."""
    mean_chars = sum(map(len, FLOODS[name])) / len(FLOODS[name])
    socket = folder / f"{len(name)}.sock"
    with subprocess.Popen([sys.executable, __file__, "--serve", str(socket), name]) as agent:
        while not socket.exists():
            time.sleep(0.05)
        link = AgentLink(ScriptedAgent(socket).client(may_start=False))
        link.start()
        view = LogView()
        view.resize(1000, 640)
        view.show()
        LogFeed(view, lambda: link.follow(view, "logs", every=True))
        found = measure(
            view,
            view.canvas.viewport(),
            seconds,
            lambda: (view.store.end, round(view.store.end * mean_chars)),
        )
        link.close()
        agent.kill()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(Path(options.serve[0]), options.serve[1])
    with screen() as display, tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
        app = QApplication(sys.argv[:1])
        app.setQuitOnLastWindowClosed(False)
        theme().install(app, Mode.LIGHT)
        found = {
            "steady": steady(options.seconds),
            "QPlainTextEdit": reference(options.seconds),
            **{name: flood(options.seconds, Path(folder), name) for name in FLOODS},
        }
        del app
    if options.json:
        print(json.dumps({name: asdict(one) for name, one in found.items()}, indent=2))
    else:
        for name, one in found.items():
            print(
                f"{name:15} {one.frames_per_s:5.0f} pictures/s  tick late p50 {one.late_p50_ms:5.1f} ms, "
                f"p99 {one.late_p99_ms:6.1f} ms  {one.lines_per_s:9,.0f} lines/s  {one.mb_per_s:6.1f} MB/s"
            )
    late_ms = max(found[name].late_p99_ms for name in FLOODS)
    missed = found["steady"].frames_per_s < TARGET_FPS or late_ms > TARGET_P99_MS
    if missed:
        print(f"MISSED: {TARGET_FPS} pictures/s, and ticks late by at most {TARGET_P99_MS} ms in a flood")
    sys.exit(int(missed))


if __name__ == "__main__":
    main()
