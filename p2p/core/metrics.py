"""Metrics and progress, read from what training scripts print anyway.

Understood: JSON lines; the dicts that Hugging Face's Trainer prints; tqdm bars; Keras' and Lightning's
``name: value`` lists; ``Epoch 3/10`` and its relatives. Every pattern has a bounded length on both
sides, so that no line of a hostile job costs more than a linear scan.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

LINE_MAX_CHARS = 4000
NAME_MAX_CHARS = 64
METRICS_PER_LINE_MAX = 64

_NUMBER = r"[-+]?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE][-+]?\d{1,3})?"
_VALUE = rf"(?:{_NUMBER}|[-+]?(?:nan|inf(?:inity)?|NaN|Infinity))"
_PAIR = re.compile(rf"(?<![\w./-])([A-Za-z_][\w./-]{{0,39}})\s{{0,3}}[=:]\s{{0,3}}({_VALUE})(?![\w.])")
_QUOTED = re.compile(rf"""["']([^"'\\]{{1,64}})["']\s{{0,2}}:\s{{0,2}}["']?({_VALUE})["']?\s{{0,2}}[,}}]""")
_COUNTER = re.compile(
    r"\b(epoch|step|iter(?:ation)?|batch)\s{0,2}[:=\[#]?\s{0,3}(\d{1,9})(?:\s{0,2}(?:/|of)\s{0,2}(\d{1,9}))?"
    r"(?![\w.])",
    re.IGNORECASE,
)
_BAR = re.compile(r"(\d{1,3})%\|[^|]{0,200}\|\s{0,3}(\d{1,10})/(\d{1,10})\s{0,2}\[")
_NUMERIC = re.compile(rf"{_VALUE}\Z")
_NOT_METRICS = frozenset({"http", "https", "epoch", "step", "iter", "iteration", "batch"})


@dataclass(frozen=True)
class Progress:
    """How far a job has come, as far as its own output tells. Fields it never printed are None."""

    epoch: float | None = None
    epochs: float | None = None
    step: float | None = None
    steps: float | None = None

    def updated(self, values: dict[str, float]) -> Progress:
        """This progress after a line with ``values`` (the reserved names of :func:`parse_line`)."""
        changed = {name: values[name] for name in RESERVED if math.isfinite(values.get(name, math.nan))}
        return Progress(**{**self.__dict__, **changed}) if changed else self

    @property
    def fraction(self) -> float | None:
        """Between 0 and 1: by epochs when their number is known, otherwise by steps; None if neither."""
        if self.epochs and self.epoch is not None:
            return min(1.0, max(0.0, self.epoch / self.epochs))
        if self.steps and self.step is not None:
            return min(1.0, max(0.0, self.step / self.steps))
        return None


RESERVED = ("epoch", "epochs", "step", "steps")
"""Names that say how far a job is."""


def parse_line(line: str) -> dict[str, float]:
    """The metrics in one line of output; empty if it has none.

    Names are as printed. Reserved ones: ``epoch``, ``epochs`` (how many in all), ``step``, ``steps``.
    Values may be NaN or infinite: a loss that diverged is worth seeing.
    """
    text = line[-LINE_MAX_CHARS:].rstrip("\r\n").rsplit("\r", 1)[-1].strip()
    if text.startswith("{") and text.endswith("}"):
        found = _from_json(text) or _from_repr(text)
        if found:
            return found
    values: dict[str, float] = {}
    if bar := _BAR.search(text):
        values["step"], values["steps"] = float(bar[2]), float(bar[3])
    for counter in _COUNTER.finditer(text):
        name = "epoch" if counter[1].lower() == "epoch" else "step"
        if name == "step" and bar:
            continue
        values[name] = float(counter[2])
        if counter[3]:
            values[name + "s"] = float(counter[3])
    for pair in _PAIR.finditer(text):
        if len(values) >= METRICS_PER_LINE_MAX:
            break
        if pair[1].lower() not in _NOT_METRICS:
            values.setdefault(pair[1], float(pair[2]))
    return values


def _from_json(text: str) -> dict[str, float]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    values: dict[str, float] = {}
    for name, value in found.items():
        number = _number(value)
        if number is not None and len(values) < METRICS_PER_LINE_MAX:
            values[name[:NAME_MAX_CHARS]] = number
    return values


def _number(value: object) -> float | None:
    if isinstance(value, str) and len(value) < 32 and _NUMERIC.match(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _from_repr(text: str) -> dict[str, float]:
    """From a printed Python dict, without evaluating it."""
    pairs = list(_QUOTED.finditer(text))[:METRICS_PER_LINE_MAX]
    return {pair[1]: float(pair[2]) for pair in pairs}
