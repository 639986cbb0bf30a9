"""config.json: exactly the documented fields, each with its own error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import UserError
from p2p.core.jobspec import JobConfig, NetworkMode, check_data_url, parse_config
from p2p.core.limits import GIB


def test_an_empty_config_is_the_default() -> None:
    assert parse_config(b"{}") == JobConfig()


def test_every_field() -> None:
    raw = b'{"gpu_type":"RTX4090","min_vram":8,"max_price":0.1,"timeout":600,"network":"outbound"}'
    assert parse_config(raw) == JobConfig("rtx4090", 8 * GIB, 100_000, 600, NetworkMode.OUTBOUND)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"gpu": "any"}, "gpu"),
        ({"gpu_type": 4090}, "gpu_type"),
        ({"gpu_type": "rtx 4090; rm"}, "gpu_type"),
        ({"min_vram": -1}, "min_vram"),
        ({"min_vram": True}, "min_vram"),
        ({"min_vram": float("nan")}, "min_vram"),
        ({"max_price": 0}, "max_price"),
        ({"max_price": "cheap"}, "max_price"),
        ({"max_price": float("inf")}, "max_price"),
        ({"timeout": 3.5}, "timeout"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 10**9}, "timeout"),
        ({"network": "host"}, "network"),
        ({"network": None}, "network"),
        ([], "object"),
    ],
)
def test_a_wrong_field_is_named(config: object, named: str) -> None:
    with pytest.raises(UserError, match=named):
        parse_config(json.dumps(config).encode())


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(raw: bytes) -> None:
    try:
        config = parse_config(raw)
    except UserError:
        return
    assert isinstance(config, JobConfig)


def test_deep_nesting_is_an_error_and_not_a_crash() -> None:
    with pytest.raises(UserError):
        parse_config(b"[" * 60_000)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://x/y",
        "https://u:p@x/y",
        "https://",
        "http://a b/c",
        "x",
        "https://x/" + "y" * 3000,
    ],
)
def test_odd_urls_are_refused(url: str) -> None:
    with pytest.raises(UserError):
        check_data_url(url)
