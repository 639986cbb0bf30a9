"""A client of scripted nodes."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.testing.scripted_rpc import client_of


@pytest.fixture(params=[1, 2], ids=["one node", "two nodes"])
async def chain(request: pytest.FixtureRequest) -> Any:
    return await client_of(request.param)


@pytest.fixture
async def two() -> Any:
    return await client_of(2)
