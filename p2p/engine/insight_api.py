"""The agent's handlers for commands that only look: at the market, at a job's inside, at the network."""

from __future__ import annotations

from p2p.core.limits import MANIFEST_BYTES_MAX
from p2p.engine.context import Engine
from p2p.engine.estimating import estimate
from p2p.engine.parameters import Params, asset_of, count_of, path_of
from p2p.local.server import Handler


class InsightApi:
    """They change nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def handlers(self) -> dict[str, Handler]:
        """The handlers of commands with one answer."""
        return {"estimate": self.estimate}

    async def estimate(self, params: Params) -> Params:
        """``estimate``."""
        return await estimate(
            self._engine,
            path_of(params, "config"),
            dict(params.get("overrides") or {}),
            asset_of(params),
            count_of(params, "input_bytes", 0, MANIFEST_BYTES_MAX),
        )
