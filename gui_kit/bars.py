"""The bars of a frame: the strip of a test network, the banner of a lost agent, the status bar."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QSizePolicy, QWidget

from gui_kit.boxes import row
from gui_kit.buttons import Button
from gui_kit.labels import Elided, IconLabel, Label, StateLabel
from gui_kit.states import LINK_STATES, LinkState, look
from gui_kit.tokens import GRID_PX, HALF_PX, MARGIN_PX, SECTION_PX
from gui_kit.words import tr
from p2p.core.errors import CyxWizError


class _Bar(QWidget):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)


class Strip(_Bar):
    """Cannot be closed: whoever pays with play money, or believes that they don't, has to know it."""

    def __init__(self) -> None:
        super().__init__("strip")
        self._label = Label()
        self._label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        line = row(self._label, margin_px=HALF_PX)
        self.setLayout(line)
        self.hide()

    def set_network(self, name: str) -> None:
        """The network's name; empty on the main network."""
        self._label.setText(tr("Test network {name}: coins here have no value.", name=name) if name else "")
        self.setVisible(bool(name))


class Banner(_Bar):
    """Says that the agent is away, what that means, and offers to do something about it."""

    pressed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__("banner")
        self._icon = IconLabel("sync", "warning")
        self._text = Label("", wrap=True)
        self._button = Button(tr("Try again"))
        self._button.clicked.connect(self.pressed)
        line = row(self._icon, self._text, self._button)
        line.setContentsMargins(MARGIN_PX, GRID_PX, MARGIN_PX, GRID_PX)
        line.setStretch(1, 1)
        self.setLayout(line)
        self.hide()

    def show_link(self, state: LinkState, error: CyxWizError | None) -> None:
        """Show how it stands; nothing is shown while all is well."""
        texts = {
            LinkState.RECONNECTING: tr("The agent is away; looking for it. Jobs and money are not touched."),
            LinkState.STOPPED: tr("The agent was stopped. What you see is as it was."),
        }
        text = " ".join(error.lines()) if error is not None else texts.get(state, "")
        found = look(LINK_STATES, state.value)
        self._icon.set_icon(found.icon, found.token)
        self._text.setText(text)
        self._button.setText(tr("Start the agent") if state is LinkState.STOPPED else tr("Try again"))
        self._button.setVisible(state in (LinkState.FAILED, LinkState.STOPPED))
        self.setVisible(bool(text))


class StatusBar(_Bar):
    """Connection, network, balance: at the bottom of every page."""

    def __init__(self) -> None:
        super().__init__("statusbar")
        self._link = StateLabel()
        self._network = Elided("", "muted")
        self._balance = Label("", "body")
        self._balance.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        line = row(self._link, self._network, self._balance, spacing_px=SECTION_PX)
        line.setContentsMargins(MARGIN_PX, GRID_PX, MARGIN_PX, GRID_PX)
        line.setStretch(1, 1)
        self.setLayout(line)

    def set_link(self, state: LinkState) -> None:
        """How the window stands with its agent."""
        self._link.set_look(look(LINK_STATES, state.value))

    def set_network(self, name: str) -> None:
        """The network's name."""
        self._network.setText(name)

    def set_balance(self, text: str) -> None:
        """What can be spent, or was earned."""
        self._balance.setText(text)
