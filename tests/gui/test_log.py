"""Logs: what is kept, found, selected and saved; floods; hostile lines; a log that is cut off."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui_kit import audit
from gui_kit.link import AgentLink
from gui_kit.log_feed import LogFeed
from gui_kit.log_layout import LogLayout, Place
from gui_kit.log_search import LogSearch, places
from gui_kit.log_store import LogStore, shown_line
from gui_kit.log_view import LogView
from gui_kit.theme import Mode
from p2p.core.limits import LOG_SHOWN_LINE_MAX_CHARS
from p2p.testing.scripted_agent import ScriptedAgent


@pytest.fixture
def view(qtbot: QtBot) -> LogView:
    made = LogView()
    qtbot.addWidget(made)
    made.resize(800, 400)
    made.show()
    qtbot.waitActive(made)
    return made


def fill(view: LogView, qtbot: QtBot, lines: list[str]) -> None:
    done: list[bool] = []
    view.append(lines, lambda: done.append(True))
    qtbot.waitUntil(lambda: bool(done), timeout=20_000)


def every(store: LogStore) -> list[str]:
    return list(store.texts(store.first, store.end))


# -- the store and how it lies on the screen


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30), max_size=40))
def test_every_line_is_kept_in_order(lines: list[str]) -> None:
    store = LogStore()
    for line in lines * 60:  # more than one piece
        store.add(line)
    assert every(store) == [shown_line(line) for line in lines] * 60


def test_the_oldest_go_when_there_is_no_room() -> None:
    store = LogStore(max_lines=3000)
    for number in range(10_000):
        store.add(str(number))
        store.trim()
    assert len(store) <= 3000 + 1024
    assert every(store) == [str(number) for number in range(store.first, 10_000)]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200), st.sampled_from([0, 7, 20]))
def test_rows_and_places_agree(lengths: list[int], columns: int) -> None:
    store = LogStore(max_lines=1500)
    layout = LogLayout(store)
    layout.set_columns(columns)
    expected: list[Place] = []
    for number, length in enumerate(lengths * 15):
        store.add("x" * length)
        rows = max(1, -(-length // columns)) if columns else 1
        expected += [Place(number, row * columns) for row in range(rows)]
        if number % 97 == 0:
            store.trim()
            layout.update()
    store.trim()
    layout.update()
    expected = [place for place in expected if place.line >= store.first]
    assert layout.rows == len(expected)
    for row in range(0, layout.rows, 13):
        assert layout.place_of_row(row) == expected[row]
        assert layout.row_of(expected[row]) == row


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07done", "red done"),
        ("10%\r50%\r100%", "100%"),
        ("a\tb", "a    b"),
        ("\u202egnp.exe", "gnp.exe"),
        ("<b>bold</b>", "<b>bold</b>"),
    ],
)
def test_nothing_in_a_line_acts(raw: str, shown: str) -> None:
    assert shown_line(raw) == shown


def test_of_a_huge_line_the_beginning_is_shown() -> None:
    shown = shown_line("é" * 1_000_000)
    assert shown.startswith("é" * LOG_SHOWN_LINE_MAX_CHARS)
    assert shown.endswith("… (1,000,000 characters; the whole line is in the saved log)")


def test_search_finds_every_line_as_the_log_grows() -> None:
    store = LogStore()
    search = LogSearch(store)
    search.set_word("LOSS")
    found = []
    for number in range(5000):
        store.add("loss=0.5" if number % 500 == 499 else "nothing")
        if number % 499 == 0:
            search.scan(1)
    search.scan(1)
    found = list(range(499, 5000, 500))
    assert list(search.hits) == found
    assert search.after(499) == 999
    assert search.after(4999) == 499, "from the beginning again"
    assert search.before(499) == 4999
    assert places("Loss and loss", "loss") == [0, 9]


# -- the view


def test_it_follows_until_the_reader_scrolls_up_and_again_at_the_end(view: LogView, qtbot: QtBot) -> None:
    fill(view, qtbot, [f"line {n}" for n in range(500)])
    bar = view.canvas.verticalScrollBar()
    assert bar is not None
    assert bar.value() == bar.maximum() > 0
    qtbot.keyClick(view.canvas, Qt.Key.Key_PageUp)
    assert not view.follow.isChecked()
    at = view.canvas.top_line()
    fill(view, qtbot, [f"more {n}" for n in range(500)])
    assert view.canvas.top_line() == at, "the reader is left where they are"
    qtbot.keyClick(view.canvas, Qt.Key.Key_End)
    assert view.follow.isChecked()
    assert bar.value() == bar.maximum()


def test_find_goes_from_place_to_place(view: LogView, qtbot: QtBot) -> None:
    fill(view, qtbot, [f"step {n}" + (" loss" if n % 100 == 50 else "") for n in range(1000)])
    qtbot.keyClick(view.canvas, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert view.field.hasFocus()
    view.canvas.set_follow(False)
    qtbot.keyClick(view.canvas, Qt.Key.Key_Home)
    qtbot.keyClicks(view.field, "LOSS")
    qtbot.waitUntil(lambda: view.count.text() == "1 of 10")
    assert view.canvas.hit == 50
    qtbot.keyClick(view.field, Qt.Key.Key_Return)
    assert (view.canvas.hit, view.count.text()) == (150, "2 of 10")
    view.find_previous()
    view.find_previous()
    assert (view.canvas.hit, view.count.text()) == (950, "10 of 10")
    view.field.setText("never there")
    qtbot.waitUntil(lambda: view.count.text() == "Not found")


def test_select_with_mouse_and_keys_and_copy(view: LogView, qtbot: QtBot) -> None:
    fill(view, qtbot, ["first line", "second line", "third line"])
    port, canvas = view.canvas.viewport(), view.canvas
    row, char = canvas._row_px, canvas._char_px
    start = QPointF(8 + 6 * char, 4 + row / 2).toPoint()
    end = QPoint(round(8 + 6 * char), start.y() + row)
    qtbot.mousePress(port, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(port, end)
    canvas._select(canvas._place_at(QPointF(start)), canvas._place_at(QPointF(end)))
    qtbot.mouseRelease(port, Qt.MouseButton.LeftButton, pos=end)
    assert canvas.selected_text() == "line\nsecond"
    qtbot.keyClick(canvas, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(canvas, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == "first line\nsecond line\nthird line"


def test_saved_is_what_is_shown_with_its_marks(view: LogView, qtbot: QtBot, tmp_path: Path) -> None:
    view.append(["one", "two"])
    view.mark("attempt 2 begins")
    fill(view, qtbot, ["three"])
    with qtbot.waitSignal(view.saved):
        view.save_to(tmp_path / "log.txt")
    assert (tmp_path / "log.txt").read_text() == "one\ntwo\n── attempt 2 begins ──\nthree\n"
    with qtbot.waitSignal(view.save_failed) as failed:
        view.save_to(tmp_path / "no" / "log.txt")
    assert failed.args[0].endswith("No such file or directory.")


def test_wrapped_and_not_it_passes_the_audit(view: LogView, mode: Mode, qtbot: QtBot) -> None:
    fill(view, qtbot, ["a long line " * 40, "short"] * 100)
    assert audit.problems(view) == []
    view.wrap.click()
    assert audit.problems(view) == []
    bar = view.canvas.verticalScrollBar()
    assert bar is not None
    assert bar.maximum() > 200


def test_a_full_memory_says_what_is_missing_and_where_to_get_it(qtbot: QtBot) -> None:
    view = LogView(LogStore(max_lines=2000))
    qtbot.addWidget(view)
    view.show()
    fill(view, qtbot, [str(n) for n in range(5000)])
    assert view.store.first > 0
    assert view._note.text() == f"{view.store.first:,} earlier lines are not held here."
    with qtbot.waitSignal(view.reread) as asked:
        view._note_button.click()
    assert asked.args == [True]
    view.clear(keep_start=True)
    done: list[int] = []
    for first in range(0, 5000, 500):
        view.append([str(n) for n in range(first, first + 500)], lambda first=first: done.append(first))
    qtbot.waitUntil(lambda: view._note.text() == "The log goes on after this.")
    assert view.store.line(0) == "0"
    assert done == [0, 500, 1000, 1500], "and no more is asked for"


# -- from the agent


def test_every_line_comes_once_though_the_agent_is_killed(
    agent: ScriptedAgent, link: AgentLink, view: LogView, qtbot: QtBot
) -> None:
    async def logs(params: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        held = 25_000 if agent.starts == 1 else 40_000
        for first in range(0, held, 1000):
            yield {"epoch": 1, "lines": [f"line {n}" for n in range(first, first + 1000)]}
        if agent.starts == 1:
            await trio.sleep_forever()
        yield {"epoch": 2, "lines": ["again"]}

    agent.streams["logs"] = logs
    link.start()
    feed = LogFeed(view, lambda: link.follow(view, "logs", every=True, job="x", follow=True))
    ended: list[bool] = []
    feed.ended.connect(lambda: ended.append(True))
    qtbot.waitUntil(lambda: view.store.end == 25_000, timeout=20_000)
    agent.stop()
    qtbot.waitUntil(lambda: bool(ended) and view.store.end == 40_002, timeout=20_000)
    expected = [f"line {n}" for n in range(40_000)]
    assert every(view.store) == [*expected, "── attempt 2 begins ──", "again"]
