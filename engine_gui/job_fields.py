"""The fields of a new job, and reading and filling them as a :class:`~engine_gui.job_form.JobForm`."""

from __future__ import annotations

from PyQt6.QtCore import QSignalBlocker, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QWidget

from engine_gui.job_form import JobForm, Measured, is_url
from engine_gui.path_field import PathField
from gui_kit.boxes import Card, column, row
from gui_kit.buttons import Button
from gui_kit.fields import Field, TextField
from gui_kit.labels import Label
from gui_kit.tokens import MARGIN_PX
from gui_kit.words import bytes_text, files_text, tr
from p2p.core.jobspec import ANY_GPU
from p2p.core.money import Asset


class JobFields(QWidget):
    """``changed`` comes with every change by anybody; ``read_config`` and ``write_config`` when the person
    wants that."""

    changed = pyqtSignal()
    read_config = pyqtSignal()
    write_config = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.script = PathField(
            tr("Script"),
            tr("A Python file; it is sent, never run on this computer."),
            files=tr("Python (*.py)"),
        )
        self.requirements = PathField(
            tr("Requirements (optional)"), tr("Packages and versions that the script needs, one a line."),
            files=tr("Text (*.txt)"),
        )  # fmt: skip
        self.name = TextField(tr("Name (optional)"), placeholder=tr("The script's name"))
        self.data = PathField(
            tr("Data (optional)"),
            tr("A folder, a file, or an http(s) address that the node fetches. Drop it here."),
            files=tr("All files (*)"),
            folders=True,
        )
        self.data_sha256 = TextField(
            tr("SHA-256 of the data (optional)"),
            tr("What is fetched is refused if it hashes to anything else."),
        )
        self.exclude = TextField(tr("Leave out"), placeholder=".git, *.tmp")
        self.amount = Label("", "muted", wrap=True)
        self.gpu_type = QComboBox()
        self.gpu_type.setEditable(True)
        self.gpu = Field(tr("GPU"), self.gpu_type)
        self.min_vram = TextField(tr("VRAM at least, GB"), placeholder=tr("Any"))
        self.max_price = TextField(tr("Dollars an hour at most"), placeholder=tr("Any"))
        self.timeout = TextField(tr("Time limit"), tr("The job is stopped then."))
        self.asset = QComboBox()
        self.outbound = QCheckBox(tr("The script may reach the internet"))
        self.out = PathField(
            tr("Results folder"),
            tr("New or empty. Results appear in it once they are verified."),
            folders=True,
        )
        self._texts: dict[str, PathField | TextField] = {
            "script": self.script, "requirements": self.requirements, "data": self.data, "out": self.out,
            "data_sha256": self.data_sha256, "exclude": self.exclude, "name": self.name,
            "min_vram": self.min_vram, "max_price": self.max_price, "timeout": self.timeout,
        }  # fmt: skip
        self._build()
        self.set_classes(())
        self.show_form(JobForm())
        self._listen()

    # -- as a form

    def form(self) -> JobForm:
        """As typed."""
        return JobForm(
            script=self.script.text(),
            requirements=self.requirements.text(),
            data=self.data.text(),
            data_sha256=self.data_sha256.text(),
            exclude=self.exclude.text(),
            name=self.name.text(),
            out=self.out.text(),
            gpu_type=self.gpu_type.currentText().strip().lower(),
            min_vram=self.min_vram.text(),
            max_price=self.max_price.text(),
            timeout=self.timeout.text(),
            outbound=self.outbound.isChecked(),
            asset=str(self.asset.currentData()),
        )

    def show_form(self, form: JobForm) -> None:
        """Fill in."""
        with QSignalBlocker(self):
            for name, field in self._texts.items():
                field.set_text(getattr(form, name))
            self.gpu_type.setCurrentText(form.gpu_type)
            self.outbound.setChecked(form.outbound)
            self.asset.setCurrentIndex(max(0, self.asset.findData(form.asset)))
        self._on_change()

    def set_classes(self, classes: tuple[str, ...]) -> None:
        """The GPU classes to choose from; any other can be typed."""
        chosen = self.gpu_type.currentText() or ANY_GPU
        names = [ANY_GPU, *classes]
        if names != [self.gpu_type.itemText(at) for at in range(self.gpu_type.count())]:
            with QSignalBlocker(self.gpu_type):
                self.gpu_type.clear()
                self.gpu_type.addItems(names)
                self.gpu_type.setCurrentText(chosen)

    # -- what is wrong, and how much it is

    def show_problems(self, problems: dict[str, str]) -> None:
        """Each beside its field; the others are in order."""
        for name, field in self._fields().items():
            field.set_problem(problems.get(name, ""))

    def focus(self, name: str) -> None:
        """Go to a field."""
        self._fields()[name].setFocus()

    def show_measured(self, measured: Measured) -> None:
        """How much would be sent, and how much of it the agent has hashed before."""
        parts = [
            f"{files_text(measured.files)}, {bytes_text(measured.size_bytes)}",
            tr("{size} hashed before", size=bytes_text(measured.known_bytes)) if measured.known_bytes else "",
            tr("{count} left out", count=f"{measured.left_out:,}") if measured.left_out else "",
        ]
        self.amount.setText(tr("To be sent: {what}", what=" · ".join(part for part in parts if part)))

    def show_counting(self, files: int, size_bytes: int) -> None:
        """How far the count is."""
        self.amount.setText(
            tr("Counting: {files}, {size}", files=files_text(files), size=bytes_text(size_bytes))
        )

    # -- inside

    def _fields(self) -> dict[str, Field]:
        return {**self._texts, "gpu_type": self.gpu}

    def _on_change(self) -> None:
        url = is_url(self.data.text())
        self.data_sha256.setVisible(url)
        self.exclude.setVisible(bool(self.data.text()) and not url)
        self.changed.emit()

    def _listen(self) -> None:
        for field in self._texts.values():
            field.line.textChanged.connect(self._on_change)
        self.gpu_type.currentTextChanged.connect(self._on_change)
        self.asset.currentIndexChanged.connect(self._on_change)
        self.outbound.toggled.connect(self._on_change)

    def _build(self) -> None:
        for asset in (Asset.USDC, Asset.SOL):
            self.asset.addItem(asset.symbol, asset.value)
        read, write = Button(tr("Read config.json"), "flat"), Button(tr("Write config.json"), "flat")
        read.clicked.connect(self.read_config)
        write.clicked.connect(self.write_config)
        two = _pair(self.gpu, self.min_vram)
        more = _pair(self.max_price, self.timeout)
        pay = _pair(self.name, Field(tr("Paid in"), self.asset))
        what = column(self.script, self.requirements, self.data, self.data_sha256, self.exclude, self.amount,
                      spacing_px=MARGIN_PX)  # fmt: skip
        where = column(two, more, self.outbound, row(read, write, None), spacing_px=MARGIN_PX)
        cards = (
            Card(tr("What runs"), what),
            Card(tr("Where it runs"), where),
            Card(tr("Results and payment"), column(self.out, pay, spacing_px=MARGIN_PX)),
        )
        self.setLayout(column(*cards, None, spacing_px=MARGIN_PX))


def _pair(left: QWidget, right: QWidget) -> QHBoxLayout:
    """Two fields of one width; help or a problem below one of them moves the other nowhere."""
    line = row(column(left, None), column(right, None), spacing_px=MARGIN_PX)
    for at in range(line.count()):
        line.setStretch(at, 1)
    return line
