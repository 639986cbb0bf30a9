"""How the window looks and what it starts jobs with; the agent beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QButtonGroup, QCheckBox, QComboBox, QFileDialog, QRadioButton, QWidget

from engine_gui.account import Account
from engine_gui.choices import ASSET, NOTIFICATIONS, OUT_FOLDER, asset_of, notifies, out_folder
from gui_kit.boxes import Card, KeyValues, column, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.dialogs import ask
from gui_kit.fields import Field, TextField
from gui_kit.labels import Label, StateLabel
from gui_kit.page import Page
from gui_kit.states import LINK_STATES, LinkState, look
from gui_kit.theme import Mode, theme
from gui_kit.tokens import FORM_WIDTH_PX, MARGIN_PX
from gui_kit.words import tr
from p2p.core.money import Asset

_MODES = {Mode.SYSTEM: "As the system has it", Mode.LIGHT: "Light", Mode.DARK: "Dark"}


class SettingsPage(Page):
    """Every change is kept at once."""

    def __init__(self, account: Account, first_steps: Callable[[], object]) -> None:
        super().__init__(tr("Settings"), "cog-outline", scrolls=True)
        self._account, self._kept = account, account.preferences
        for card in (self._look(), self._news(), self._jobs(), self._agent(), self._home(first_steps)):
            card.setMaximumWidth(FORM_WIDTH_PX)
            self.body.addWidget(card)
        self.body.addStretch(1)
        link = account.frame.link
        link.status_changed.connect(self._show_agent)
        link.state_changed.connect(self._show_agent)
        self._show_agent()

    # -- cards

    def _look(self) -> Card:
        self.modes: dict[Mode, QRadioButton] = {}
        group = QButtonGroup(self)
        for mode, words in _MODES.items():
            button = QRadioButton(tr(words))
            button.setAccessibleName(tr(words))
            button.setChecked(mode is self._kept.mode)
            button.toggled.connect(lambda on, mode=mode: self._set_mode(mode) if on else None)
            group.addButton(button)
            self.modes[mode] = button
        return Card(tr("Appearance"), *self.modes.values())

    def _news(self) -> Card:
        self.notifies = QCheckBox(tr("Tell me when a job has finished, failed or needs money"))
        self.notifies.setAccessibleName(self.notifies.text())
        self.notifies.setChecked(notifies(self._kept))
        self.notifies.toggled.connect(lambda on: self._kept.set(NOTIFICATIONS, "on" if on else "off"))
        return Card(tr("Notifications"), self.notifies)

    def _jobs(self) -> Card:
        self.out = TextField(
            tr("Results go to"),
            tr("A new folder for each job is made in it. Left empty: beside the job's script."),
        )
        self.out.set_text(str(out_folder(self._kept) or ""))
        self.out.line.editingFinished.connect(self._keep_out)
        choose = Button(tr("Choose…"))
        choose.clicked.connect(self._choose_out)
        self.asset = QComboBox()
        for asset in (Asset.USDC, Asset.SOL):
            self.asset.addItem(asset.symbol, asset)
        self.asset.setCurrentIndex(self.asset.findData(asset_of(self._kept)))
        self.asset.currentIndexChanged.connect(
            lambda _: self._kept.set(ASSET, self.asset.currentData().value)
        )
        form = QWidget()
        form.setLayout(
            column(
                self.out, row(choose, None), Field(tr("Jobs are paid in"), self.asset), spacing_px=MARGIN_PX
            )
        )
        return Card(tr("New jobs start with"), form)

    def _agent(self) -> Card:
        self._state, self._version, self._pid = (
            StateLabel(),
            Label("", selectable=True),
            Label("", selectable=True),
        )
        log = CopyLabel(str(self._account.home.engine.log), tr("the path of the log"))
        self.restart, self.stop = Button(tr("Restart")), Button(tr("Stop"), "danger")
        self.restart.clicked.connect(self._ask_restart)
        self.stop.clicked.connect(self._ask_stop)
        pairs = KeyValues(
            (tr("State"), self._state), (tr("Version"), self._version), (tr("Process"), self._pid),
            (tr("Log"), log),
        )  # fmt: skip
        why = tr("The agent does the work: it goes on with your jobs when this window is closed.")
        return Card(tr("Agent"), Label(why, "muted", wrap=True), pairs, row(self.restart, self.stop, None))

    def _home(self, first_steps: Callable[[], object]) -> Card:
        root = self._account.home.root
        folder = Button(tr("Open the folder"))
        folder.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(root))))
        self.first_steps = Button(tr("Show the first steps"))
        self.first_steps.clicked.connect(first_steps)
        path = CopyLabel(str(root), tr("the path of the home folder"))
        why = tr("Jobs, keys and settings lie here, for you alone to read.")
        return Card(
            tr("Home folder"), Label(why, "muted", wrap=True), path, row(folder, self.first_steps, None)
        )

    # -- changes

    def _set_mode(self, mode: Mode) -> None:
        self._kept.mode = mode
        theme().set_mode(mode)

    def _choose_out(self) -> None:
        path = QFileDialog.getExistingDirectory(self, tr("Where results go"), self.out.text())
        if path:
            self.out.set_text(path)
            self._keep_out()

    def _keep_out(self) -> None:
        path = Path(self.out.text()).expanduser() if self.out.text() else None
        absolute = path is None or path.is_absolute()
        self.out.set_problem("" if absolute else tr("Name the folder by its whole path."))
        if absolute:
            self._kept.set(OUT_FOLDER, "" if path is None else str(path))

    # -- the agent

    def _show_agent(self) -> None:
        link = self._account.frame.link
        self._state.set_look(look(LINK_STATES, link.state.value))
        self._version.setText(str(link.status.get("version") or "–"))
        self._pid.setText(str(link.status.get("pid") or "–"))
        there = link.state is LinkState.CONNECTED
        self.stop.setEnabled(there)
        self.restart.setEnabled(there or link.state in (LinkState.STOPPED, LinkState.FAILED))

    def _ask_restart(self) -> None:
        link = self._account.frame.link
        if link.state is not LinkState.CONNECTED:
            link.set_auto_start(True)
            link.retry()
            return
        ask(
            self, tr("Restart the agent?"),
            tr("Jobs go on at their nodes and are taken up again within seconds; transfers go on, too."),
            yes=tr("Restart"), then=self._restart,
        )  # fmt: skip

    def _ask_stop(self) -> None:
        jobs = self._account.frame.link.status.get("jobs")
        going_on = ((tr("Jobs that go on at their nodes"), str(jobs)),) if jobs else ()
        ask(
            self, tr("Stop the agent?"),
            tr(
                "Jobs go on at their nodes, but nothing is fetched, shown or settled until it runs again. "
                "A job that needs its inputs waits, and may reach its time limit."
            ),
            going_on, yes=tr("Stop the agent"), danger=True, then=self._stop,
        )  # fmt: skip

    def _restart(self) -> None:
        link = self._account.frame.link
        link.set_auto_start(True)
        link.call(self, "stop").then(lambda _: link.retry(), self._account.tell)

    def _stop(self) -> None:
        link = self._account.frame.link
        link.set_auto_start(False)
        link.call(self, "stop").then(lambda _: link.retry(), self._account.tell)
