"""Nothing is cut at twice the scale: a screen of 1920 × 1080 has room for 960 × 540 then."""

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
from engine_gui.job_pages import add_job_pages
from gui_kit import audit
from gui_kit.frame import SMALLEST_SIZE, Frame
from gui_kit.link import AgentLink
from gui_kit.theme import Mode, theme
from p2p.testing import scripted_jobs
from p2p.testing.scripted_agent import ScriptedAgent

app = QApplication([])
theme().install(app, Mode.LIGHT)
agent = ScriptedAgent(Path(sys.argv[1]))
agent.answers |= {
    "jobs": scripted_jobs.jobs(), "offers": scripted_jobs.offers(), "estimate": scripted_jobs.estimate(),
    "results": scripted_jobs.results(), "metrics": scripted_jobs.metrics(), "usage": scripted_jobs.usage(),
}

async def watch(params):
    yield scripted_jobs.job("settled", review=scripted_jobs.review())

async def measure(params):
    yield {"measure": scripted_jobs.measure()}

async def logs(params):
    yield {"epoch": 1, "lines": ["one", "two"]}

agent.streams |= {"watch": watch, "measure": measure, "logs": logs}
agent.start()
frame = Frame("CyxWiz Engine", AgentLink(agent.client()))
actions = add_job_pages(frame)
frame.resize(*SMALLEST_SIZE)
frame.show()

def look(ready):
    deadline = QDeadlineTimer(20_000)
    while not ready():
        assert not deadline.hasExpired()
        app.processEvents()
    for _ in range(5):
        app.processEvents()
    print(*audit.clipped(frame), sep="\\n", end="")

look(lambda: frame.page().is_ready)
assert frame.devicePixelRatioF() == 2.0
frame.go_to("New job")
look(lambda: frame.page().panel.has_cost)
actions.go.open_job(scripted_jobs.JOB_ID)
look(lambda: frame.page().is_ready)
for number in range(1, frame.page().tabs.count()):
    frame.page().open_tab(number)
    look(lambda: True)
frame.close()
agent.stop()
"""


def test_no_page_is_cut_at_twice_the_scale(tmp_path: Path) -> None:
    environment = {**os.environ, "QT_SCALE_FACTOR": "2", "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "agent.sock")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
