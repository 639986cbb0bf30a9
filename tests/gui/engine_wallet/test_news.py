"""News are told in words, once, and lead to what they are about."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import trio
from PyQt6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from engine_gui.news import CURSOR
from engine_gui.news_model import cursor_of, telling, together
from gui_kit import audit
from gui_kit.frame import Frame
from gui_kit.preferences import Preferences
from gui_kit.theme import Mode
from gui_kit.toast import Toast
from p2p.testing.scripted_agent import ScriptedAgent
from tests.gui.engine_wallet.answers import EXPIRES_S, JOB

Open = Callable[[], Frame]
KINDS = ("finished", "failed", "cancelled", "paid_unfetched", "low_budget")


def item(cursor: int, kind: str = "finished", name: str = "train.py") -> dict[str, Any]:
    about = None if kind == "login_ends" else JOB
    detail = f"{EXPIRES_S:.0f}" if kind == "login_ends" else ""
    news = {"kind": kind, "at_s": 1.0, "job_id": about, "job_name": name, "detail": detail}
    return {"cursor": cursor, "news": news}


class Journal:
    """The agent's news: a test adds to them."""

    def __init__(self, agent: ScriptedAgent, *items: dict[str, Any]) -> None:
        self.items = list(items)
        self.asked: list[Any] = []
        self._agent = agent
        agent.stop()
        agent.streams["news"] = self.stream
        agent.start()

    async def stream(self, params: dict[str, Any]) -> AsyncGenerator[Any, None]:
        self.asked.append(params.get("after"))
        last = self.items[-1]["cursor"] if self.items else 0
        after = last if params.get("after") is None else min(params["after"], last)
        yield {"cursor": after, "news": None}
        while True:
            for each in [found for found in self.items if found["cursor"] > after]:
                after = each["cursor"]
                yield each
            await trio.sleep(0.02)


def toasts(frame: Frame) -> list[str]:
    return [toast.label.text() for toast in frame.findChildren(Toast) if toast.isVisible()]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_words(kind: str) -> None:
    found = telling(item(1, kind)["news"])
    assert found is not None
    assert found.text.startswith("train.py")
    assert found.job_id == JOB


def test_a_login_that_ends_leads_to_the_wallet_and_the_unknown_is_left_out() -> None:
    found = telling(item(1, "login_ends")["news"])
    assert found is not None
    assert (found.job_id, "2096" in found.text) == ("", True)
    assert telling({**item(1)["news"], "kind": "something_new"}) is None
    broken = telling({**item(1, "login_ends")["news"], "detail": "x" * 9})
    assert broken is not None
    assert "It ends soon." in broken.text


def test_many_at_once_are_one() -> None:
    found = [telling(item(n, kind)["news"]) for n, kind in enumerate((*KINDS, "finished"))]
    known = [each for each in found if each is not None]
    assert together(known[:3]) == known[:3]
    (one,) = together(known)
    assert one.title == "While you were away"
    assert one.text.startswith("Job finished: 2, Job failed: 1")


def test_what_was_kept_is_a_number_or_nothing() -> None:
    assert [cursor_of(text) for text in ("", "7", "-1", "x")] == [None, 7, None, None]


def test_what_was_before_the_first_start_is_not_told_what_comes_then_is_once(
    open_window: Open, engine: ScriptedAgent, preferences: Preferences, qtbot: QtBot, mode: Mode
) -> None:
    journal = Journal(engine, item(1), item(2, "failed"))
    frame = open_window()
    qtbot.waitUntil(lambda: journal.asked == [None, 2])
    journal.items.append(item(3, "failed"))
    wanted = "train.py failed. Its deposit comes back to your balance."
    qtbot.waitUntil(lambda: toasts(frame) == [wanted])
    assert audit.problems(frame) == []
    qtbot.waitUntil(lambda: preferences.get(CURSOR) == "3")
    frame.close()
    again = open_window()
    qtbot.waitUntil(lambda: journal.asked[-1] == 3)
    journal.items.append(item(4, name="other.py"))
    qtbot.waitUntil(lambda: toasts(again) == ["other.py: its results are here and verified."])


def test_an_agent_that_comes_back_tells_what_was_missed_and_nothing_twice(
    open_window: Open, engine: ScriptedAgent, preferences: Preferences, qtbot: QtBot
) -> None:
    preferences.set(CURSOR, "1")
    journal = Journal(engine, item(1), item(2))
    frame = open_window()
    qtbot.waitUntil(lambda: len(toasts(frame)) == 1)
    engine.stop()
    qtbot.waitUntil(lambda: frame.banner.isVisible(), timeout=20_000)
    journal.items.append(item(3, name="other.py"))
    engine.start()
    qtbot.waitUntil(lambda: preferences.get(CURSOR) == "3", timeout=20_000)
    qtbot.waitUntil(lambda: "other.py: its results are here and verified." in toasts(frame))
    assert sum(text.startswith("train.py") for text in toasts(frame)) <= 1


def test_who_wants_none_gets_none_and_is_not_told_later(
    open_window: Open, engine: ScriptedAgent, preferences: Preferences, qtbot: QtBot
) -> None:
    preferences.set(CURSOR, "0")
    preferences.set("notifications", "off")
    Journal(engine, item(1), item(2))
    frame = open_window()
    qtbot.waitUntil(lambda: preferences.get(CURSOR) == "2")
    qtbot.wait(500)
    assert toasts(frame) == []


def test_an_agent_that_began_anew_is_heard_again(
    open_window: Open, engine: ScriptedAgent, preferences: Preferences, qtbot: QtBot
) -> None:
    preferences.set(CURSOR, "900")
    journal = Journal(engine)
    frame = open_window()
    qtbot.waitUntil(lambda: preferences.get(CURSOR) == "0")
    journal.items.append(item(1))
    qtbot.waitUntil(lambda: len(toasts(frame)) == 1)


def test_hostile_names_do_no_harm_and_a_press_opens_the_job(
    open_window: Open, engine: ScriptedAgent, preferences: Preferences, qtbot: QtBot
) -> None:
    preferences.set(CURSOR, "0")
    Journal(engine, item(1, name="\x1b[2J<b>x</b>\u202e"))
    frame = open_window()
    qtbot.waitUntil(lambda: len(toasts(frame)) == 1)
    (text,) = toasts(frame)
    assert text.isprintable()
    assert "<b>x</b>" in text
    before = frame.page()
    (toast,) = frame.findChildren(Toast)
    labels = [label.text() for label in toast.findChildren(QLabel)]
    assert text in labels
    button = next(b for b in toast.findChildren(QPushButton) if b.text() == "Open")
    button.click()
    assert frame.page() is not before
