"""The bridge to the agent, over a real socket: answers, streams, an agent that goes and comes back."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from typing import Any

import trio
from PyQt6.QtCore import QObject, QThread
from PyQt6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from gui_kit.link import AgentLink
from gui_kit.states import LinkState
from p2p.core.errors import Bug, CyxWizError, Refused
from p2p.testing.scripted_agent import ScriptedAgent, ScriptedClient


class Window(QWidget):
    """Notes what came, and in which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []
        self.threads: set[QThread | None] = set()

    def take(self, value: object) -> None:
        self.got.append(value)
        self.threads.add(QThread.currentThread())


def test_an_answer_comes_in_the_windows_thread(agent: ScriptedAgent, link: AgentLink, qtbot: QtBot) -> None:
    agent.answers["double"] = lambda params: 2 * params["n"]
    window = Window()
    link.start()
    link.call(window, "double", n=21).then(window.take)
    qtbot.waitUntil(lambda: window.got == [42])
    assert window.threads == {window.thread()}
    assert agent.starts == 1, "the link started the agent, which did not run"


def test_a_refusal_comes_as_the_agent_said_it(agent: ScriptedAgent, link: AgentLink, qtbot: QtBot) -> None:
    agent.answers["pay"] = Refused("too_poor", "There is too little.", "Nothing was paid.", "Deposit more.")
    window = Window()
    link.start()
    link.call(window, "pay").then(window.take, window.take)
    qtbot.waitUntil(lambda: len(window.got) == 1)
    error = window.got[0]
    assert isinstance(error, CyxWizError)
    assert error.lines() == ("There is too little.", "Nothing was paid.", "Deposit more.")


def test_an_answer_for_a_dead_window_is_dropped(agent: ScriptedAgent, link: AgentLink, qtbot: QtBot) -> None:
    gate = threading.Event()
    agent.answers["slow"] = lambda params: trio.to_thread.run_sync(gate.wait)
    agent.answers["fast"] = 1
    got: list[Any] = []
    receiver = QObject()
    link.start()
    call = link.call(receiver, "slow")
    call.succeeded.connect(got.append)
    qtbot.waitUntil(lambda: agent.count("slow") == 1)
    with qtbot.waitSignal(receiver.destroyed):
        receiver.deleteLater()
    gate.set()
    window = Window()
    link.call(window, "fast").then(window.take)
    qtbot.waitUntil(lambda: window.got == [1])
    assert got == []


def test_of_states_only_the_latest_is_shown(agent: ScriptedAgent, link: AgentLink, qtbot: QtBot) -> None:
    sent = threading.Event()

    async def watch(params: dict[str, Any]) -> AsyncGenerator[int, None]:
        for number in range(1000):
            yield number
        sent.set()
        await trio.sleep_forever()

    agent.streams["watch"] = watch
    window = Window()
    link.start()
    link.follow(window, "watch").item.connect(window.take)
    sent.wait(10)  # the window's thread stands still meanwhile
    qtbot.waitUntil(lambda: window.got[-1:] == [999])
    assert len(window.got) < 500


def test_of_lines_every_one_is_shown_and_the_agent_waits(
    agent: ScriptedAgent, link: AgentLink, qtbot: QtBot
) -> None:
    yielded = 0

    async def logs(params: dict[str, Any]) -> AsyncGenerator[str, None]:
        nonlocal yielded
        for number in range(300):
            yielded = number
            yield f"{number} " + "x" * 100_000

    agent.streams["logs"] = logs
    window = Window()
    ended: list[bool] = []
    link.start()
    feed = link.follow(window, "logs", every=True)
    feed.item.connect(window.take)
    feed.ended.connect(lambda: ended.append(True))
    feed.hold_room()
    qtbot.waitUntil(lambda: len(window.got) == 4)
    qtbot.wait(200)
    assert len(window.got) == 4, "no more than fits is taken"
    assert yielded < 100, "and the agent was held back"
    feed.item.connect(feed.give_room)
    for _ in range(4):
        feed.give_room()
    qtbot.waitUntil(lambda: bool(ended), timeout=20_000)
    assert [int(item.split()[0]) for item in window.got] == list(range(300))


def test_a_killed_agent_is_started_again_and_streams_go_on(
    agent: ScriptedAgent, link: AgentLink, qtbot: QtBot
) -> None:
    async def watch(params: dict[str, Any]) -> AsyncGenerator[int, None]:
        yield agent.starts
        await trio.sleep_forever()

    agent.streams["watch"] = watch
    window = Window()
    states: list[LinkState] = []
    restarts: list[bool] = []
    link.state_changed.connect(lambda: states.append(link.state))
    link.start()
    feed = link.follow(window, "watch")
    feed.item.connect(window.take)
    feed.restarted.connect(lambda: restarts.append(True))
    qtbot.waitUntil(lambda: window.got == [1])
    agent.stop()
    qtbot.waitUntil(lambda: window.got == [1, 2], timeout=20_000)
    qtbot.waitUntil(lambda: link.state is LinkState.CONNECTED)
    assert states == [LinkState.CONNECTED, LinkState.RECONNECTING, LinkState.CONNECTED]
    assert restarts == [True]


def test_an_agent_that_was_stopped_on_purpose_stays_so(
    agent: ScriptedAgent, link: AgentLink, qtbot: QtBot
) -> None:
    link.start()
    qtbot.waitUntil(lambda: link.state is LinkState.CONNECTED)
    link.set_auto_start(False)
    agent.stop()
    link.retry()
    qtbot.waitUntil(lambda: link.state is LinkState.STOPPED, timeout=20_000)
    assert agent.starts == 1
    link.set_auto_start(True)
    qtbot.waitUntil(lambda: link.state is LinkState.CONNECTED)
    assert agent.starts == 2


def test_an_agent_that_does_not_start_is_explained(agent: ScriptedAgent, qtbot: QtBot) -> None:
    link = AgentLink(agent.client(may_start=False))
    link.start()
    qtbot.waitUntil(lambda: link.state is LinkState.FAILED)
    assert link.error is not None
    assert link.error.code == "agent_did_not_start"
    agent.start()
    link.retry()
    qtbot.waitUntil(lambda: link.state is LinkState.CONNECTED)
    link.close()


def test_nobody_asks_while_nobody_looks(agent: ScriptedAgent, link: AgentLink, qtbot: QtBot) -> None:
    agent.answers["jobs"] = [1]
    window = Window()
    qtbot.addWidget(window)
    link.start()
    link.poll(window, "jobs", every_s=0.01).item.connect(window.take)
    qtbot.waitUntil(lambda: link.state is LinkState.CONNECTED)
    assert agent.count("jobs") == 0
    window.show()
    qtbot.waitUntil(lambda: agent.count("jobs") > 5)
    assert window.got == [[1]], "the same answer is no news"
    agent.answers["jobs"] = [2]
    qtbot.waitUntil(lambda: window.got == [[1], [2]])
    window.hide()
    qtbot.wait(50)
    asked = agent.count("jobs")
    qtbot.wait(100)
    assert agent.count("jobs") <= asked + 1


def test_closing_withdraws_what_is_asked(agent: ScriptedAgent, link: AgentLink, qtbot: QtBot) -> None:
    async def slow(params: dict[str, Any]) -> None:
        await trio.sleep_forever()

    agent.answers["slow"] = slow
    window = Window()
    link.start()
    link.call(window, "slow").then(window.take, window.take)
    qtbot.waitUntil(lambda: agent.count("slow") == 1)
    link.close()
    assert not any(thread.name == "agent link" for thread in threading.enumerate())
    assert window.got == []


class BrokenClient(ScriptedClient):
    """Has a mistake in one of its methods."""

    async def call(self, name: str, /, **params: Any) -> Any:
        if name == "broken":
            raise ZeroDivisionError
        return await super().call(name, **params)


def test_a_mistake_of_ours_is_told_and_ends_nothing_else(agent: ScriptedAgent, qtbot: QtBot) -> None:
    agent.answers["whole"] = 7
    link = AgentLink(BrokenClient(agent, agent.socket, may_start=True))
    link.start()
    window = Window()
    link.call(window, "broken").then(window.take, window.take)
    qtbot.waitUntil(lambda: len(window.got) == 1)
    assert isinstance(window.got[0], Bug)
    link.call(window, "whole").then(window.take)
    qtbot.waitUntil(lambda: window.got[1:] == [7])
    link.close()
