"""A log as people read it: it follows, pauses, searches, wraps, copies, saves, and says where something is
missing.

However fast lines come, the window stays awake: they are taken in small portions between two pictures, and
who brings them is told when there is room for more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QFileDialog, QWidget

from gui_kit.boxes import column, row
from gui_kit.buttons import Button, IconButton
from gui_kit.fields import search_field
from gui_kit.labels import IconLabel, Label
from gui_kit.log_canvas import LogCanvas
from gui_kit.log_search import LogSearch
from gui_kit.log_store import LogStore, Piece
from gui_kit.mailbox import Mailbox
from gui_kit.words import tr
from p2p.core.clock import SYSTEM_CLOCK

_TAKE_S = 0.006
"""How long lines are taken in, or looked through, before the window gets its turn."""
_REST_MS = 6
_CHECK_EVERY_LINES = 64


@dataclass(slots=True)
class _Batch:
    lines: Sequence[str]
    done: Callable[[], None] | None
    marker: str = ""
    taken: int = 0


class LogView(QWidget):
    """``reread``: the reader wants to see the beginning (True) or the end (False), which is not held: the
    owner calls :meth:`clear` and brings the log again.

    ``saved`` comes with the path, ``save_failed`` with a sentence.
    """

    reread = pyqtSignal(bool)
    saved = pyqtSignal(str)
    save_failed = pyqtSignal(str)

    def __init__(self, store: LogStore | None = None) -> None:
        super().__init__()
        self.store = store if store is not None else LogStore()
        self.search = LogSearch(self.store)
        self.canvas = LogCanvas(self.store, self.search)
        self._waiting: deque[_Batch] = deque()
        self._keeps_start = False
        self._mailbox = Mailbox(self)
        self._take_timer, self._scan_timer = QTimer(self), QTimer(self)
        for timer, work in ((self._take_timer, self._take), (self._scan_timer, self._scan)):
            timer.setInterval(_REST_MS)
            timer.timeout.connect(work)
        self.field = search_field(tr("Search the log"))
        self.count = Label("", "muted")
        self.follow = IconButton("arrow-collapse-down", tr("Follow the end"), checkable=True)
        self.wrap = IconButton("wrap", tr("Wrap long lines"), checkable=True)
        self._note, self._note_button = Label("", "muted", wrap=True), Button("", "flat")
        self._note_row = QWidget()
        self._build()

    # -- lines

    def append(self, lines: Sequence[str], done: Callable[[], None] | None = None) -> None:
        """Show more lines; ``done`` is called when all of them are in, and there is room for more."""
        self._wait(_Batch(lines, done))

    def mark(self, text: str) -> None:
        """Show a line of our own between the lines, such as where an attempt begins or something is
        missing."""
        self._wait(_Batch((), None, f"── {text} ──"))

    def clear(self, *, keep_start: bool = False) -> None:
        """Begin anew. ``keep_start``: when memory is full the beginning is kept and no more is taken, for
        somebody who reads from there; else the end is kept."""
        self._waiting.clear()
        self._keeps_start = keep_start
        self.store.clear()
        self.search.set_word(self.search.word)
        self.canvas.reset()
        self.canvas.set_follow(not keep_start)
        self._show_note()

    def save_to(self, path: Path) -> None:
        """Write what is held to a file, in a thread of its own."""
        pieces = list(self.store.pieces)
        Thread(target=self._save, args=(path, pieces), name="save log", daemon=True).start()

    # -- searching

    def look_for(self, word: str) -> None:
        """Look for a word and go to its first place from here on."""
        self.search.set_word(word)
        self.canvas.hit = None
        self._scan_timer.start()
        self._show_count()
        self.canvas.refresh()

    def find_next(self) -> None:
        """Go to the next line that has it."""
        self._go(
            self.search.after(self.canvas.top_line() - 1 if self.canvas.hit is None else self.canvas.hit)
        )

    def find_previous(self) -> None:
        """Go to the line before."""
        self._go(self.search.before(self.canvas.top_line() if self.canvas.hit is None else self.canvas.hit))

    # -- taking in

    def _wait(self, batch: _Batch) -> None:
        self._waiting.append(batch)
        if not self._take_timer.isActive():
            self._take_timer.start()

    def _take(self) -> None:
        until_s = SYSTEM_CLOCK.monotonic_s() + _TAKE_S
        while self._waiting and SYSTEM_CLOCK.monotonic_s() < until_s:
            if self._keeps_start and self.store.is_full:
                break
            self._take_some(self._waiting[0])
        else:
            if not self._waiting:
                self._take_timer.stop()
        if self._keeps_start and self.store.is_full:
            self._take_timer.stop()
        else:
            self.store.trim()
        self.canvas.refresh()
        self._show_note()  # after the canvas has learnt what went: it resizes it
        if not self.search.done:
            self._scan_timer.start()

    def _take_some(self, batch: _Batch) -> None:
        end = batch.taken + _CHECK_EVERY_LINES
        for line in batch.lines[batch.taken : end]:
            self.store.add(line)
        batch.taken = end
        if end >= len(batch.lines):
            if batch.marker:
                self.store.add_marker(batch.marker)
            self._waiting.popleft()
            if batch.done is not None:
                batch.done()

    # -- inside

    def _scan(self) -> None:
        self.search.scan(_TAKE_S)
        if self.search.done:
            self._scan_timer.stop()
        if self.canvas.hit is None and len(self.search.hits):
            self.find_next()
        self._show_count()

    def _go(self, line: int | None) -> None:
        if line is not None:
            self.canvas.hit = line
            self.canvas.show_line(line)
        self._show_count()

    def _show_count(self) -> None:
        count = len(self.search.hits)
        if not self.search.word:
            text = ""
        elif not count:
            text = tr("Not found") if self.search.done else tr("Searching")
        else:
            at = self.search.number(self.canvas.hit) if self.canvas.hit is not None else 0
            text = tr("{at} of {count}", at=f"{at:,}", count=f"{count:,}")
        self.count.setText(text)

    def _show_note(self) -> None:
        text = word = ""
        if self.store.first:
            gone = f"{self.store.first:,}"
            text, word = tr("{count} earlier lines are not held here.", count=gone), tr("Read from the start")
        elif self._keeps_start and self.store.is_full:
            text, word = tr("The log goes on after this."), tr("Show its end")
        self._note.setText(text)
        self._note_button.setText(word)
        self._note_button.setAccessibleName(word)
        self._note_row.setVisible(bool(text))

    def _save(self, path: Path, pieces: list[Piece]) -> None:
        try:
            with path.open("w", encoding="utf-8") as file:
                for piece in pieces:
                    file.write(piece.text())
        except OSError as error:
            text = tr("{path} cannot be written: {why}.", path=path, why=error.strerror or error)
            self._mailbox.post(lambda: self.save_failed.emit(text))
        else:
            self._mailbox.post(lambda: self.saved.emit(str(path)))

    def _ask_where(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, tr("Save the log"), "log.txt", tr("Text (*.txt)"))
        if name:
            self.save_to(Path(name))

    def _build(self) -> None:
        back = IconButton("chevron-up", tr("Previous place"))
        on = IconButton("chevron-down", tr("Next place"))
        save = IconButton("content-save-outline", tr("Save the log"))
        back.clicked.connect(self.find_previous)
        on.clicked.connect(self.find_next)
        save.clicked.connect(self._ask_where)
        self.field.textChanged.connect(self.look_for)
        self.field.returnPressed.connect(self.find_next)
        self.follow.setChecked(True)
        self.follow.clicked.connect(self.canvas.set_follow)
        self.canvas.followed.connect(self.follow.setChecked)
        self.wrap.toggled.connect(self.canvas.set_wrap)
        self._note_button.clicked.connect(lambda: self.reread.emit(bool(self.store.first)))
        self._note_row.setLayout(
            row(IconLabel("dots-horizontal", "muted"), self._note, self._note_button, None)
        )
        self._note_row.hide()
        self.setFocusProxy(self.canvas)
        bar = row(self.field, self.count, back, on, self.wrap, self.follow, save)
        bar.setStretch(0, 1)
        self.setLayout(column(bar, self._note_row, self.canvas))
        for keys, work in (
            (QKeySequence.StandardKey.Find, self.field.setFocus),
            (QKeySequence.StandardKey.FindNext, self.find_next),
            (QKeySequence.StandardKey.FindPrevious, self.find_previous),
            (QKeySequence.StandardKey.Save, self._ask_where),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(work)
