"""What each of the first steps shows and does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QProgressBar, QWidget

from engine_gui.account import CLI, Account
from engine_gui.choices import asset_of, free_folder, out_folder
from engine_gui.first_run import sample_asset
from gui_kit.boxes import KeyValues, column, row
from gui_kit.buttons import Button
from gui_kit.child import Child, last_json
from gui_kit.labels import Label
from gui_kit.network import show_network
from gui_kit.progress import Progress
from gui_kit.tokens import MARGIN_PX
from gui_kit.words import bytes_text, tr
from p2p.core.errors import CyxWizError
from p2p.core.money import Asset, format_amount


class NetworkStep(QWidget):
    """The network that this computer joins. ``joined`` comes when it has."""

    joined = pyqtSignal()

    def __init__(self, account: Account) -> None:
        super().__init__()
        self._account = account
        self._child: Child | None = None
        self.file = Button(tr("Choose the network's file…"), "primary", "file-import-outline")
        self.local = Button(tr("Start a network on this computer"), icon_name="laptop")
        self.cancel = Button(tr("Cancel"), "flat")
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(tr("Joining the network"))
        self._said, self._problem = Label("", "muted", wrap=True), Label("", "problem", wrap=True)
        join = tr(
            "Whoever runs a network gives out its config.toml, which says where coordinator and chain are."
        )
        local = tr(
            "Or try everything on this computer alone, with play money: a chain, a coordinator and a node of "
            "its own. It needs Docker, and takes a minute."
        )
        self.setLayout(
            column(
                Label(join, wrap=True), row(self.file, None), Label(local, wrap=True), row(self.local, None),
                self._bar, self._said, self._problem, row(self.cancel, None), spacing_px=MARGIN_PX,
            )
        )  # fmt: skip
        self.file.clicked.connect(self._choose)
        self.local.clicked.connect(lambda: self.start("local", "up"))
        self.cancel.clicked.connect(self._stop)
        self._set_busy(False)
        self._say("")

    def _choose(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("The network's file"), "", tr("Networks (*.toml)"))
        if path:
            self.start("join", path)

    def start(self, *arguments: str) -> None:
        """Have a command join the network."""
        self._say("")
        self._set_busy(True)
        child = Child(self, self._account.home.root, CLI, arguments)
        child.said.connect(self._said.setText)
        child.succeeded.connect(lambda _: self._done())
        child.failed.connect(self._fail)
        child.cancelled.connect(lambda: self._set_busy(False))
        self._child = child

    def _stop(self) -> None:
        if self._child is not None:
            self._child.cancel()

    def _done(self) -> None:
        self._set_busy(False)
        show_network(self._account.frame, self._account.home)
        self._account.frame.link.retry()
        self.joined.emit()

    def _fail(self, error: CyxWizError) -> None:
        self._set_busy(False)
        self._say("\n".join(error.lines()))

    def _set_busy(self, busy: bool) -> None:
        for button in (self.file, self.local):
            button.set_busy(busy)
        for part in (self._bar, self.cancel, self._said):
            part.setVisible(busy)
        if not busy:
            self._child = None
            self._said.setText("")

    def _say(self, problem: str) -> None:
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))


class SampleStep(QWidget):
    """The sample job: written to the disk, planned, shown with its price, sent after a yes. ``sent`` comes
    with its id."""

    sent = pyqtSignal(str)

    def __init__(self, account: Account, balance: Callable[[], dict[str, Any] | None]) -> None:
        super().__init__()
        self._account, self._balance = account, balance
        self._job_id = ""
        self.prepare = Button(tr("Prepare the sample"), "primary")
        self.run = Button(tr("Run it"), "primary", "play")
        self._progress = Progress(tr("Reading the sample"), can_cancel=False)
        self._problem = Label("", "problem", wrap=True)
        self._names = (
            tr("What is sent"),
            tr("Where it may run"),
            tr("It costs at most"),
            tr("Results go to"),
        )
        self._plan = KeyValues(*((name, "") for name in self._names))
        what = tr(
            "A small script that learns to read handwritten digits. It needs no GPU, runs for about a minute "
            "and costs a cent or so. You see what it can cost at most before anything is paid."
        )
        refund = tr(
            "You pay for the time that is used. The rest comes back by itself; if it fails, all of it."
        )
        self._refund = Label(refund, "muted", wrap=True)
        self.setLayout(
            column(
                Label(what, wrap=True), self._plan, self._refund, self._progress, self._problem,
                row(self.prepare, self.run, None), spacing_px=MARGIN_PX,
            )
        )  # fmt: skip
        self.prepare.clicked.connect(self._write)
        self.run.clicked.connect(self._start)
        self._show_plan(None)
        self._say("")

    def _write(self) -> None:
        """The files first."""
        self._say("")
        self.prepare.set_busy(True)
        folder = self._account.home.root / "sample"
        child = Child(self, self._account.home.root, CLI, ("sample", str(folder), "--json"))
        child.succeeded.connect(self._ask_plan)
        child.failed.connect(self._fail)

    def _ask_plan(self, printed: str) -> None:
        kept = self._account.preferences
        try:
            sample = last_json(printed)
        except CyxWizError as error:
            self._fail(error)
            return
        files = {name: sample[name] for name in ("script", "data", "requirements", "config")}
        out = str(free_folder(out_folder(kept) or Path.home() / "cyxwiz-results", "sample"))
        asset = sample_asset(asset_of(kept), self._balance()).value
        feed = self._account.frame.link.follow(self, "plan", every=True, out=out, asset=asset, **files)
        feed.item.connect(self._take)
        feed.failed.connect(self._fail)

    def _take(self, item: dict[str, Any]) -> None:
        if "progress" in item:
            self._progress.set_bytes(*item["progress"])
        else:
            self._progress.end()
            self._show_plan(item["plan"])

    def _show_plan(self, plan: dict[str, Any] | None) -> None:
        self._job_id = "" if plan is None else plan["job_id"]
        if plan is not None:
            sent = tr("{files} files, {size}", files=plan["files"], size=bytes_text(plan["bytes"]))
            nodes = tr(
                "{fitting} of {online} nodes online",
                fitting=plan["nodes_matching"],
                online=plan["nodes_online"],
            )
            most = format_amount(plan["deposit_units"], Asset(plan["asset"]))
            for name, text in zip(self._names, (sent, nodes, most, plan["out"]), strict=True):
                self._plan.set(name, text)
        for part in (self._plan, self._refund, self.run):
            part.setVisible(plan is not None)
        self.prepare.setVisible(plan is None)
        self.prepare.set_busy(False)
        self.run.set_busy(False)

    def _start(self) -> None:
        self.run.set_busy(True)
        job_id = self._job_id
        self._account.frame.link.call(self, "start", job=job_id).then(
            lambda _: self.sent.emit(job_id), self._fail
        )

    def _fail(self, error: CyxWizError) -> None:
        self._progress.end()
        self.prepare.set_busy(False)
        self.run.set_busy(False)
        self._say("\n".join(error.lines()))

    def _say(self, problem: str) -> None:
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))
