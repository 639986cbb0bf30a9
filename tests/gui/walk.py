"""Walks through every page of a window and prints what is wrong with each, as JSON.

    python -m tests.gui.walk engine|node HOME [hostile]

``hostile``: with text in every answer that would do harm if it were more than text.

A program, because the size of everything (``QT_SCALE_FACTOR``) is settled before a program's first window.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import traceback
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import trio
from PyQt6 import sip
from PyQt6.QtCore import QDeadlineTimer, QEventLoop, qInstallMessageHandler
from PyQt6.QtWidgets import QApplication, QPushButton, QTableView, QTabWidget

import engine_gui.app
import node_gui.app
from engine_gui.first_run_page import FirstRunPage
from gui_kit import audit
from gui_kit.frame import SMALLEST_SIZE, Frame
from gui_kit.page import Page
from gui_kit.preferences import Preferences
from gui_kit.theme import Mode, theme
from node_gui.setup_page import SetupPage
from p2p.core.paths import Home
from p2p.local.server import StreamHandler
from p2p.testing import node_answers, scripted_jobs
from p2p.testing.scripted_agent import ScriptedAgent
from tests.gui import harm
from tests.gui.engine_wallet import answers as wallet_answers

Json = dict[str, Any]
READY_MS = 20_000
SETTLE_MS = 100
IGNORED = "This plugin does not support"
CONFIG = """
[coordinator]
address = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWExample"
[chain]
cluster = "localnet"
"""


async def _watch(params: Json) -> AsyncGenerator[Json, None]:
    yield scripted_jobs.job("settled", cost=scripted_jobs.cost(83_778))


async def _logs(params: Json) -> AsyncGenerator[Json, None]:
    yield {"epoch": 1, "lines": [f"epoch {number} loss={1 / number:.3f}" for number in range(1, 90)]}


async def _news(params: Json) -> AsyncGenerator[Json, None]:
    yield {"cursor": 0, "news": None}
    await trio.sleep_forever()


def engine_agent(home: Home) -> ScriptedAgent:
    """With something of everything."""
    agent = ScriptedAgent(home.engine.socket)
    agent.answers |= wallet_answers.answers() | {
        "jobs": scripted_jobs.jobs(),
        "estimate": scripted_jobs.estimate(),
        "show": scripted_jobs.job("settled"),
        "metrics": scripted_jobs.metrics(),
        "usage": scripted_jobs.usage(),
        "results": scripted_jobs.results(),
    }
    agent.streams |= {"watch": _watch, "logs": _logs, "news": _news}
    return agent


def node_agent(home: Home) -> ScriptedAgent:
    """With something of everything."""
    agent = ScriptedAgent(home.node.socket)
    agent.answers |= node_answers.answers()
    agent.streams |= node_answers.streams()
    return agent


def press(page: str, word: str) -> Callable[[Frame], None]:
    """The way to a page by a button of another one."""

    def go(frame: Frame) -> None:
        frame.go_to(page)
        wait(lambda: frame.page().is_ready)
        next(found for found in frame.findChildren(QPushButton) if found.text() == word).click()

    return go


def open_row(page: str) -> Callable[[Frame], None]:
    """The way to a page by the first row of another one's table."""

    def go(frame: Frame) -> None:
        frame.go_to(page)
        table = next(found for found in frame.page().findChildren(QTableView))
        model = table.model()
        assert model is not None
        wait(lambda: model.rowCount() > 0)
        table.doubleClicked.emit(model.index(0, 0))

    return go


def window(name: str, home: Home) -> tuple[Frame, ScriptedAgent, tuple[Callable[[Frame], None], ...]]:
    """A window, its agent, and the ways to those of its pages that have no place in the rail."""
    paths, make, make_agent, ways = {
        "engine": (
            home.engine, engine_gui.app.make_window, engine_agent,
            (open_row("Jobs"), press("Wallet", "Deposit"), press("Wallet", "Withdraw"),
             press("Wallet", "Switch the wallet"), press("Wallet", "Renew this computer's"),
             press("Settings", "Show the first steps")),
        ),
        "node": (
            home.node, node_gui.app.make_window, node_agent,
            (open_row("Jobs"), press("Settings", "Set up again")),
        ),
    }[name]  # fmt: skip
    home.config.write_text(CONFIG)
    paths.folder.mkdir(mode=0o700)
    agent = make_agent(home)
    agent.start()
    preferences = Preferences(home.root / "window.ini")
    preferences.set("first_run", "left")
    preferences.set("first_run_seen", "yes")
    return make(home, preferences), agent, ways


def page_kinds(name: str) -> set[str]:
    """Every kind of page in the package of a window."""
    package = importlib.import_module(f"{name}_gui")
    modules = [
        importlib.import_module(f"{name}_gui.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    ]
    return {
        kind.__name__
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Page) and kind.__module__ == module.__name__
    }


def views(frame: Frame, ways: Sequence[Callable[[Frame], None]]) -> Iterator[str]:
    """Goes from page to page and from part to part; the names of what is to be seen."""
    for go in ways:
        go(frame)
        page = frame.page()
        wait(lambda page=page: page.is_ready, type(page).__name__)
        parts = [found for found in page.findChildren(QTabWidget) if found.isVisible()]
        yield type(page).__name__
        for number, step in enumerate(steps_of(page)):
            step()
            wait(lambda page=page: page.is_ready)
            yield f"{type(page).__name__}: step {number + 1}"
        for tabs in parts:
            for at in range(1, tabs.count()):
                tabs.setCurrentIndex(at)
                yield f"{type(page).__name__}: {tabs.tabText(at)}"


def steps_of(page: Page) -> list[Callable[[], object]]:
    """The ways to the steps of a page that has some."""
    if isinstance(page, FirstRunPage):
        return [button.click for button in page.step_buttons.values()]
    if isinstance(page, SetupPage):
        return [partial(page.go_to_step, key) for key in page.parts]
    return []


def wait(ready: Callable[[], object], what: str = "it") -> None:
    """Let the window live until something is so."""
    deadline = QDeadlineTimer(READY_MS)
    while not ready():
        assert not deadline.hasExpired(), f"{what} never came to be"
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 20)


def make_hostile(agent: ScriptedAgent) -> None:
    """Have all that the agent says be hostile."""
    agent.answers |= {method: harm.hostile(answer) for method, answer in agent.answers.items()}
    for method, stream in list(agent.streams.items()):
        agent.streams[method] = partial(_hostile_items, stream)


async def _hostile_items(stream: StreamHandler, params: Json) -> AsyncGenerator[Json, None]:
    async with aclosing(stream(params)) as items:
        async for item in items:
            yield harm.hostile(item)


def walk(name: str, home: Home, *, is_hostile: bool) -> dict[str, Any]:
    """What is wrong, by view and palette."""
    app = QApplication([name])
    words: list[str] = []
    qInstallMessageHandler(lambda kind, context, message: words.append(str(message)))
    sys.excepthook = traceback.print_exception  # and go on: the window has to, too
    theme().install(app, Mode.LIGHT)
    frame, agent, ways = window(name, home)
    if is_hostile:
        make_hostile(agent)
    frame.resize(*SMALLEST_SIZE)
    frame.show()
    frame.activateWindow()
    wait(lambda: frame.page().is_ready)
    sections = [partial(Frame.go_to, title=page.title) for page in frame.findChildren(Page)]
    found: dict[str, Any] = {}
    seen = set()
    for mode in (Mode.LIGHT, Mode.DARK):
        theme().set_mode(mode)
        for view in views(frame, (*sections, *ways)):
            settle = QDeadlineTimer(SETTLE_MS)
            wait(settle.hasExpired)
            seen.add(view.partition(":")[0])
            found[f"{view} ({mode.value})"] = [*audit.problems(frame), *harm.acting(frame)]
    found["pages never seen"] = sorted(page_kinds(name) - seen)
    found["scale"] = frame.devicePixelRatioF()
    found["Qt says"] = [word for word in words if not word.startswith(IGNORED)]
    frame.close()
    agent.stop()
    sip.delete(frame)  # before the application, which Python would let go first
    return found


if __name__ == "__main__":
    print(json.dumps(walk(sys.argv[1], Home(Path(sys.argv[2])), is_hostile=sys.argv[3:] == ["hostile"])))
