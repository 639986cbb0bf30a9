"""The agent's own log, and a bundle of everything that somebody who helps would ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtWidgets import QFileDialog

from gui_kit.buttons import Button
from gui_kit.feed import Feed
from gui_kit.frame import Frame
from gui_kit.page import Page
from gui_kit.words import bytes_text, tr
from p2p.core.errors import CyxWizError

if TYPE_CHECKING:
    from gui_kit.log_view import LogView


class LogsPage(Page):
    """Follows the log from some way before its end on."""

    def __init__(self, frame: Frame) -> None:
        bundle = Button(tr("Support bundle"), "plain", "lifebuoy")
        super().__init__(tr("Logs"), "text-box-outline", action=bundle)
        self._frame = frame
        self.view: LogView | None = None
        bundle.clicked.connect(self._ask_where)
        self.show_loading(tr("Reading the agent's log"))
        self._feed: Feed | None = None

    def reload(self) -> None:
        if self._feed is None:
            view = self._the_view()
            self._feed = feed = self._frame.link.follow(self, "log", every=True, follow=True)
            feed.hold_room()
            feed.item.connect(self._take)
            feed.restarted.connect(view.clear)
            feed.failed.connect(self._fail)

    def write_bundle(self, path: Path) -> None:
        """Have the agent write it; what is in it is said."""
        self._frame.link.call(self, "support_bundle", file=str(path)).then(self._written, self._not_written)

    # -- inside

    def _the_view(self) -> LogView:
        """Made when the page is first opened: what draws it takes a while to load."""
        if self.view is None:
            from gui_kit.log_view import LogView

            toasts = self._frame.toasts
            self.view = view = LogView()
            view.saved.connect(lambda path: toasts.show(tr("Saved as {path}", path=path)))
            view.save_failed.connect(lambda words: toasts.show(words, "danger"))
            self.body.addWidget(view, 1)
        return self.view

    def _take(self, item: dict[str, Any]) -> None:
        view = self._the_view()
        if item["anew"]:
            view.mark(tr("the log begins anew"))
        feed = self._feed
        view.append(item["lines"], None if feed is None else feed.give_room)
        self.show_content()

    def _fail(self, error: CyxWizError) -> None:
        self._feed = None
        self.show_error(error, self.reload)

    def _ask_where(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, tr("Save the support bundle"), "cyxwiz-node-support.zip", tr("Archive (*.zip)")
        )
        if name:
            self.write_bundle(Path(name))

    def _written(self, found: dict[str, Any]) -> None:
        size = bytes_text(sum(part["size_bytes"] for part in found["parts"]))
        names = ", ".join(part["name"] for part in found["parts"])
        self._frame.toasts.show(
            tr("Saved as {path}: {names} ({size}). It holds no key and no password.",
               path=found["file"], names=names, size=size)
        )  # fmt: skip

    def _not_written(self, error: CyxWizError) -> None:
        self._frame.toasts.show(" ".join(error.lines()), "danger")
