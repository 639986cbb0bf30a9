"""What came out of a job: its files, each with how it stands to the signed root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import QStackedLayout, QWidget

from engine_gui.files_model import FileRow, file_rows, nothing_words, summary
from gui_kit.boxes import column, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.call import Call
from gui_kit.labels import Label, copy_text
from gui_kit.table import Table
from gui_kit.table_model import Column
from gui_kit.tokens import MARGIN_PX
from gui_kit.words import bytes_text, tr
from p2p.core.errors import CyxWizError

Json = dict[str, Any]

_ROOT_WIDTH_PX = 176


class FilesTab(QWidget):
    """``ask`` asks the agent for the files; ``open_folder`` shows a folder of this computer; ``save`` puts
    all of it elsewhere; ``tell`` says something in the window's corner."""

    def __init__(
        self,
        ask: Callable[[], Call],
        open_folder: Callable[[str], object],
        save: Callable[[], object],
        tell: Callable[[str, bool], object],
    ) -> None:
        super().__init__()
        self._ask_agent, self._open_folder, self._tell = ask, open_folder, tell
        self._job: Json | None = None
        self._asked_for: object = None
        self._out = ""
        self.note = Label("", "muted", wrap=True)
        self._summary = Label("", wrap=True)
        self._root = CopyLabel("", tr("the root"))
        self._root.setFixedWidth(_ROOT_WIDTH_PX)
        self.table: Table[FileRow] = Table(
            tr("Files of the results"),
            (
                Column(tr("File"), lambda r: r.key, lambda r: (not r.hash_text, r.key), stretch=True),
                Column(tr("State"), lambda r: r.look.word, look=lambda r: r.look, width_px=160),
                Column(tr("Size"), lambda r: bytes_text(r.size_bytes), lambda r: r.size_bytes, numeric=True,
                       width_px=96),
                Column(tr("Hash"), lambda r: r.hash_text, width_px=176),
                Column(tr("Of"), lambda r: r.hash_kind, width_px=144),
            ),
        )  # fmt: skip
        self.copy = Button(tr("Copy the hash"), "flat", "content-copy")
        self.folder = Button(tr("Open the folder"), "plain", "folder-open-outline")
        self.save = Button(tr("Save all to …"), "plain", "content-save-outline")
        self.copy.clicked.connect(self._copy)
        self.copy.setEnabled(False)
        self.folder.clicked.connect(lambda: open_folder(self._out))
        self.save.clicked.connect(save)
        self.table.chosen.connect(
            lambda found: self.copy.setEnabled(found is not None and bool(found.hash_text))
        )
        self.table.opened.connect(self._open)
        head = row(self._summary, Label(tr("Root"), "muted"), self._root)
        head.setStretch(0, 1)
        shown, empty = QWidget(), QWidget()
        bar = row(self.folder, self.save, None, self.copy)
        shown.setLayout(column(head, bar, self.table, spacing_px=MARGIN_PX))
        empty.setLayout(column(self.note, None))
        self._stack = QStackedLayout(self)
        self._stack.addWidget(empty)
        self._stack.addWidget(shown)

    def show_job(self, job: Json) -> None:
        """Ask for the files when there are others than before."""
        self._job = job
        about = (job["fetched"], job["out"])
        if about != self._asked_for:
            self._asked_for = about
            self._ask()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Files may have been moved or changed while nobody looked."""
        super().showEvent(event)
        if self._asked_for is not None:
            self._ask()

    # -- inside

    def _ask(self) -> None:
        self._ask_agent().then(self._show, self._on_failure)

    def _show(self, found: Json) -> None:
        self._out = found["out"]
        if not found["fetched"] and self._job is not None:
            self.note.setText(nothing_words(self._job))
            self._stack.setCurrentIndex(0)
            return
        self._summary.setText(summary(found))
        self._root.set_text(found["root"] or "")
        self.table.set_rows(file_rows(found))
        self._stack.setCurrentIndex(1)

    def _on_failure(self, error: CyxWizError) -> None:
        self.note.setText("\n".join(error.lines()))
        self._stack.setCurrentIndex(0)

    def _copy(self) -> None:
        found = self.table.current()
        if found is not None:
            self._tell(tr("{copied}: {hash}", copied=copy_text(found.hash_text), hash=found.hash_text), True)

    def _open(self, found: FileRow) -> None:
        """The folder that it lies in; a file of a stranger's is never opened itself."""
        self._open_folder(str((Path(self._out) / found.key).parent))
