"""The seller's window on a screen of 1920 × 1080 at 200 %, which has room for 960 × 540."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from PyQt6.QtCore import QDeadlineTimer
from PyQt6.QtWidgets import QApplication
from gui_kit import audit
from gui_kit.frame import SMALLEST_SIZE
from gui_kit.preferences import Preferences
from gui_kit.theme import Mode, theme
from node_gui.app import make_window
from node_gui.screenshots import SHOTS
from p2p.core.paths import Home
from p2p.testing.node_answers import answers, streams
from p2p.testing.scripted_agent import ScriptedAgent

home = Home(Path(sys.argv[1]))
agent = ScriptedAgent(home.node.socket)
agent.answers |= answers()
agent.streams |= streams()
agent.start()
app = QApplication([])
theme().install(app, Mode.LIGHT)
window = make_window(home, Preferences(home.root / "window.ini"), agent.client())
window.resize(*SMALLEST_SIZE)
window.show()
assert window.devicePixelRatioF() == 2.0
for shot in SHOTS:
    shot.go(window)
    deadline = QDeadlineTimer(20_000)
    while not shot.ready(window) and not deadline.hasExpired():
        app.processEvents()
    print(*(f"{shot.name}: {problem}" for problem in audit.problems(window)), sep="\\n", end="")
window.close()
agent.stop()
"""


def test_nothing_is_cut_at_twice_the_scale(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    environment = {**os.environ, "QT_SCALE_FACTOR": "2", "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
