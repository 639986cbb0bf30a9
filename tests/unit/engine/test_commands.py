"""One list of commands; the agent answers each of them and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.core.errors import Bug
from p2p.engine.api import Api
from p2p.engine.commands import BY_NAME, COMMANDS, check_call
from p2p.engine.packaging import PackageRequest
from p2p.engine.parameters import package_request


def test_names_are_unique_and_described() -> None:
    assert len(BY_NAME) == len(COMMANDS)
    assert all(command.what.endswith(".") for command in COMMANDS)


def test_the_agent_has_a_handler_for_each() -> None:
    engine: Any = object()
    api = Api(engine, engine, engine, lambda: None, "0")
    handlers, streams = api.handlers(), api.streams()
    assert set(handlers) | set(streams) == set(BY_NAME)
    assert set(streams) == {"plan", "measure", "news", "watch", "logs"}


@pytest.mark.parametrize(
    ("name", "params"),
    [("nothing", {}), ("show", {}), ("show", {"job": "x", "more": 1}), ("jobs", {"job": "x"})],
)
def test_calls_that_cannot_be_are_refused_before_they_are_sent(name: str, params: dict[str, object]) -> None:
    with pytest.raises(Bug):
        check_call(name, params)


def test_a_plan_takes_exactly_what_a_package_needs() -> None:
    command = BY_NAME["plan"]
    fields = set(PackageRequest.__dataclass_fields__) | {"out"}
    assert set(command.needs) | set(command.takes) == fields
    asked = package_request({"script": "/s.py", "out": "/o", "data_sha256": "ab" * 32, "exclude": ["x"]})
    assert asked.data_sha256 == bytes.fromhex("ab" * 32)
    assert asked.exclude == ("x",)
