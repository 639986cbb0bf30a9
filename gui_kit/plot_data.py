"""The points of a series: growing arrays, thinned where there are more than anybody can see, smoothed on
demand."""

from __future__ import annotations

from typing import Any

import numpy as np

from p2p.core.limits import PLOT_POINTS_MAX

Floats = np.ndarray[Any, np.dtype[np.float64]]

_FIRST_ROOM = 256


class Series:
    """Points in the order of x."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._xs: Floats = np.empty(_FIRST_ROOM)
        self._ys: Floats = np.empty(_FIRST_ROOM)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def xs(self) -> Floats:
        """Where the points are."""
        return self._xs[: self._count]

    @property
    def ys(self) -> Floats:
        """Their values; may have NaN and infinities."""
        return self._ys[: self._count]

    def add(self, x: float, y: float) -> None:
        """One more point."""
        if self._count == len(self._xs):
            self._make_room()
        self._xs[self._count], self._ys[self._count] = x, y
        self._count += 1

    def set(self, xs: Floats, ys: Floats) -> None:
        """These points and no others."""
        self._xs, self._ys = np.array(xs, dtype=np.float64), np.array(ys, dtype=np.float64)
        self._count = len(self._xs)

    def at(self, x: float) -> int | None:
        """The point that is nearest to ``x``."""
        if self._count == 0:
            return None
        right = int(np.searchsorted(self.xs, x))
        near = [at for at in (right - 1, right) if 0 <= at < self._count]
        return min(near, key=lambda at: abs(float(self._xs[at]) - x))

    def smoothed(self, weight: float) -> Floats:
        """An exponential moving average; ``weight`` of the past is 0 to under 1. Starts unbiased, as in
        the second section of Kingma and Ba, "Adam" (2015). A value that is no number is left out of the
        average."""
        if weight <= 0:
            return self.ys
        smooth, past, scale = np.empty(self._count), 0.0, 0.0
        for at, value in enumerate(self.ys.tolist()):
            if np.isfinite(value):
                past = weight * past + (1 - weight) * value
                scale = weight * scale + (1 - weight)
            smooth[at] = past / scale if scale else np.nan
        return smooth

    def _make_room(self) -> None:
        if self._count >= PLOT_POINTS_MAX:
            half = self._count // 2
            keep = np.r_[0:half:2, half : self._count]
            self._xs, self._ys = self._xs[keep], self._ys[keep]
            self._count = len(keep)
        room = np.empty(max(_FIRST_ROOM, self._count))
        self._xs, self._ys = np.concatenate((self._xs, room)), np.concatenate((self._ys, room))
