"""The first run as a list of steps, each done, skipped or still to do. No window is needed for it.

What was done is kept as a text, so that the person can go away in the middle and come back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from gui_kit.words import tr


@dataclass(frozen=True, slots=True)
class Step:
    """``what``: what it does, in a sentence."""

    key: str
    title: str
    what: str


CHECKS, WALLET, PRICE, HOURS, LOGIN = "checks", "wallet", "price", "hours", "login"
_DONE, _SKIPPED = "done", "skipped"


def steps() -> tuple[Step, ...]:
    """All of them, in their order."""
    return (
        Step(CHECKS, tr("Check this machine"), tr("Jobs run in containers. This looks whether everything is "
             "there that they need, and says how to mend what is not.")),
        Step(WALLET, tr("Choose who is paid"), tr("Earnings arrive in escrow for this wallet. Only its key "
             "can take them out.")),
        Step(PRICE, tr("Set a price"), tr("Jobs below your price are not offered to this machine.")),
        Step(HOURS, tr("Say when jobs may come"), tr("You can change that at any time, or switch the machine "
             "off with one click.")),
        Step(LOGIN, tr("Start with this computer"), tr("A node earns only while it runs. Jobs that run when "
             "the computer goes down begin again elsewhere.")),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wizard:
    """How far the first run is. Each change gives another one."""

    at: str = CHECKS
    marks: dict[str, str] = field(default_factory=dict)

    def state(self, key: str) -> str:
        """A key of :data:`gui_kit.states.STEPS`."""
        return "current" if key == self.at and not self.is_over else self.marks.get(key, "open")

    def finish(self) -> Wizard:
        """The present step is done: on to the next one."""
        return self._mark(_DONE)

    def skip(self) -> Wizard:
        """Leave the present step for later: on to the next one."""
        return self._mark(_SKIPPED)

    def go(self, key: str) -> Wizard:
        """To any step, forward or back."""
        return replace(self, at=key) if key in _KEYS else self

    def back(self) -> Wizard:
        """To the step before."""
        return self.go(_KEYS[max(0, _KEYS.index(self.at) - 1)])

    @property
    def step(self) -> Step:
        """The present one."""
        return steps()[_KEYS.index(self.at)]

    @property
    def is_first(self) -> bool:
        return self.at == _KEYS[0]

    @property
    def is_over(self) -> bool:
        """Whether every step was done or skipped."""
        return all(key in self.marks for key in _KEYS)

    @property
    def open_count(self) -> int:
        """How many steps are not done."""
        return sum(self.marks.get(key) != _DONE for key in _KEYS)

    def save(self) -> str:
        """As a text."""
        return json.dumps({"at": self.at, "marks": self.marks})

    def _mark(self, mark: str) -> Wizard:
        marks = self.marks | {self.at: mark}
        order = _KEYS[_KEYS.index(self.at) + 1 :] + _KEYS
        following = next((key for key in order if key not in marks), self.at)
        return Wizard(following, marks)


_KEYS = (CHECKS, WALLET, PRICE, HOURS, LOGIN)


def finished() -> Wizard:
    """With every step done."""
    return Wizard(_KEYS[-1], dict.fromkeys(_KEYS, _DONE))


def resumed(text: str) -> Wizard:
    """Where :meth:`Wizard.save` left it; from the beginning if the text says nothing."""
    try:
        found = json.loads(text)
        at, marks = found["at"], found["marks"]
        known = {key: marks[key] for key in _KEYS if marks.get(key) in (_DONE, _SKIPPED)}
    except (ValueError, LookupError, TypeError, AttributeError):
        return Wizard()
    return Wizard(at if at in _KEYS else CHECKS, known)
