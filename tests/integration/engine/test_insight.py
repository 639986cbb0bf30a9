"""What the agent says of the market, of a job's inside and of the network; nothing of it changes anything."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.core.errors import UserError


async def test_an_estimate_needs_no_script(world: Any) -> None:
    async with world.engine() as running:
        estimate = running.api.handlers()["estimate"]
        found = await estimate({"overrides": {"timeout": 1800, "gpu_type": "cpu"}})
        assert (found["deposit_units"], found["cheapest_units"], found["fee_units"]) == (
            20_000,
            20_000,
            2_000,
        )
        assert (found["timeout_s"], found["gpu_type"], found["wait_s"]) == (1800, "cpu", 60.0)
        assert found["misfits"] == [{"rule": "busy", "nodes": 2, "words": "are busy with other jobs"}]
        for overrides in ({"timeout": 1}, {"nonsense": 1}):
            with pytest.raises(UserError):
                await estimate({"overrides": overrides})
