"""Settings: who is paid, what a job gets of the machine, electricity, how the window looks, the agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PyQt6.QtWidgets import QCheckBox

from gui_kit.boxes import Card, Form, KeyValues, row
from gui_kit.buttons import Button, CopyLabel
from gui_kit.dialogs import Confirm, ask
from gui_kit.fields import TextField
from gui_kit.frame import Frame
from gui_kit.page import Page
from gui_kit.preferences import Preferences
from gui_kit.segments import Segments
from gui_kit.theme import Mode, theme
from gui_kit.words import tr
from node_gui.machine_form import MachineForm, machine_form_of, number, whole
from node_gui.schedule_form import changes
from node_gui.wallet_panel import WalletPanel
from p2p.core.errors import CyxWizError, UserError
from p2p.core.money import parse_usd
from p2p.core.paths import Home


class SettingsPage(Page):
    """What is typed counts once it is saved; wallet and look at once."""

    def __init__(
        self, frame: Frame, home: Home, preferences: Preferences, set_up: Callable[[], None]
    ) -> None:
        self.save = Button(tr("Save"), "primary", "check")
        super().__init__(tr("Settings"), "cog-outline", action=self.save, scrolls=True)
        self._frame, self._preferences = frame, preferences
        self._settings: dict[str, Any] = {}
        self.wallet = WalletPanel(home)
        node_decides = tr("Empty: the node decides.")
        self.cpus = TextField(tr("CPUs for each job"), node_decides, check=number)
        self.memory = TextField(tr("Memory for each job in GiB"), node_decides, check=number)
        self.image = TextField(tr("Tag of the job image"), tr("Empty: the newest on this machine."))
        self.network = QCheckBox(tr("Take jobs that want the internet"))
        self.electricity = TextField(tr("Price of a kWh in USD"), tr("Empty: not counted."), check=parse_usd)
        self.watts = TextField(
            tr("Watts that a job adds"), tr("Used where the GPUs do not say what they draw."), check=whole
        )
        self.look = Segments(
            tr("Theme"),
            [(Mode.SYSTEM.value, tr("As the system")), (Mode.LIGHT.value, tr("Light")),
             (Mode.DARK.value, tr("Dark"))],
        )  # fmt: skip
        self.autostart = QCheckBox(tr("Start the node when I log in to this computer"))
        self.peer, self.folder = CopyLabel("", tr("the peer id")), CopyLabel(str(home.root), tr("the folder"))
        self.stop, self.again = Button(tr("Stop the agent")), Button(tr("Set up again"))
        self._build()
        self.again.clicked.connect(set_up)
        self.show_loading(tr("Asking for the settings"))
        frame.link.status_changed.connect(self._show_status)

    def reload(self) -> None:
        self._frame.link.call(self, "settings").then(self._take_settings, self._show_problem)
        self._frame.link.call(self, "autostart").then(self._take_autostart)
        self._show_status()

    def form(self) -> MachineForm:
        """What is typed and ticked now."""
        return MachineForm(
            self.cpus.text(),
            self.memory.text(),
            self.network.isChecked(),
            self.image.text(),
            self.electricity.text(),
            self.watts.text(),
        )

    def ask_to_stop(self) -> Confirm:
        """Say what it means, then stop the agent."""
        return ask(
            self,
            tr("Stop the node's agent?"),
            tr("No new job comes while it is stopped. Jobs that run go on in their containers; their buyers "
               "get the results once the agent runs again."),
            yes=tr("Stop the agent"),
            then=self._stop,
        )  # fmt: skip

    # -- inside

    def _build(self) -> None:
        self.look.show_key(self._preferences.mode.value)
        self.look.chosen.connect(self._choose_look)
        self.save.clicked.connect(self._save)
        self.stop.clicked.connect(self.ask_to_stop)
        self.wallet.logged_in.connect(lambda words: self._frame.toasts.show(words))
        for field in self._fields():
            field.line.textChanged.connect(self._on_edit)
        self.network.toggled.connect(self._on_edit)
        self.autostart.clicked.connect(self._set_autostart)
        self.body.addWidget(Card(tr("Payout wallet"), self.wallet))
        machine = (self.cpus, self.memory, self.image, self.network)
        self.body.addWidget(Card(tr("What a job gets"), Form(*machine)))
        self.body.addWidget(Card(tr("Electricity"), Form(self.electricity, self.watts)))
        self.body.addWidget(Card(tr("This window"), row(self.look, None)))
        facts = KeyValues(
            (tr("Peer id"), self.peer), (tr("Coordinator"), "–"), (tr("Data folder"), self.folder)
        )
        self._facts = facts
        self.body.addWidget(Card(tr("The agent"), facts, self.autostart, row(self.again, self.stop, None)))
        self.body.addStretch(1)

    def _fields(self) -> tuple[TextField, ...]:
        return (self.cpus, self.memory, self.image, self.electricity, self.watts)

    def _choose_look(self, key: str) -> None:
        mode = Mode(key)
        self.look.show_key(key)
        self._preferences.mode = mode
        theme().set_mode(mode)

    def _show_status(self) -> None:
        status = self._frame.link.status
        self.wallet.show_payout(status.get("payout") or {})
        self.peer.set_text(str(status.get("peer_id") or ""))
        self._facts.set(tr("Coordinator"), str(status.get("coordinator") or "–"))

    def _set_autostart(self, on: bool) -> None:
        call = self._frame.link.call(self, "autostart", to=on)
        call.then(self._take_autostart, self._autostart_failed)

    def _take_autostart(self, found: dict[str, Any]) -> None:
        self.autostart.setChecked(found["on"])

    def _autostart_failed(self, error: CyxWizError) -> None:
        self.autostart.setChecked(not self.autostart.isChecked())
        self._frame.toasts.show(" ".join(error.lines()), "danger")

    def _take_settings(self, settings: dict[str, Any]) -> None:
        edited = bool(self._settings) and self.form() != machine_form_of(self._settings)
        self._settings = settings
        if not edited:
            self._showForm(machine_form_of(settings))
        self._on_edit()
        self.show_content()

    def _showForm(self, form: MachineForm) -> None:
        values = (form.cpus, form.memory_gib, form.image, form.electricity, form.watts)
        for field, text in zip(self._fields(), values, strict=True):
            field.set_text(text)
        self.network.setChecked(form.network)

    def _on_edit(self) -> None:
        try:
            self.form().settings()
            good = True
        except UserError:
            good = False
        self.save.setEnabled(good and self.form() != machine_form_of(self._settings))

    def _save(self) -> None:
        self.save.set_busy(True)
        wanted = changes(self._settings, self.form().settings())
        self._frame.link.call(self, "set", **wanted).then(self._saved, self._not_saved)

    def _saved(self, answer: dict[str, Any]) -> None:
        self._settings = answer["settings"]
        self._showForm(machine_form_of(self._settings))
        self._on_edit()
        waits = answer["at_next_start"]
        self._frame.toasts.show(
            tr("Saved. Counts from the next start of the agent on.") if waits else tr("Saved.")
        )

    def _not_saved(self, error: CyxWizError) -> None:
        self.save.set_busy(False)
        self._frame.toasts.show(" ".join(error.lines()), "danger")

    def _stop(self) -> None:
        self._frame.link.set_auto_start(False)
        self._frame.link.call(self, "stop").then(lambda _: None, self._not_saved)

    def _show_problem(self, error: CyxWizError) -> None:
        self.show_error(error, self.reload)
