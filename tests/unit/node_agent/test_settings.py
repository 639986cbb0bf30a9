"""The seller's settings: checked, kept whole."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.node.settings import NodeSettings, change_settings, load_settings, save_settings, settings_path


def test_they_come_back_as_they_were_kept(tmp_path: Path) -> None:
    path = settings_path(tmp_path / "node")
    assert load_settings(path) == NodeSettings()
    settings = NodeSettings(False, 200_000, ("GPU-1",), 2.5, 1 << 33, False, "cyxwiz/job:x", "/k.json")
    save_settings(path, settings)
    assert load_settings(path) == settings
    assert list(path.parent.iterdir()) == [path]


def test_every_setting_can_be_set() -> None:
    other: dict[str, Any] = asdict(NodeSettings(gpus=("a",), cpus=1.0, memory_bytes=1 << 30))
    for field in fields(NodeSettings):
        assert getattr(change_settings(NodeSettings(), {field.name: other[field.name]}), field.name) == (
            tuple(other[field.name]) if isinstance(other[field.name], (list, tuple)) else other[field.name]
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("available", "yes"),
        ("min_price_usd_micros_per_hour", -1),
        ("min_price_usd_micros_per_hour", True),
        ("min_price_usd_micros_per_hour", 0.5),
        ("gpus", "GPU-1"),
        ("gpus", ["x"] * 17),
        ("cpus", -0.5),
        ("cpus", float("nan")),
        ("memory_bytes", 1000),
        ("image", "a\x1b[2J"),
        ("listen", [7]),
        ("wallet", "somebody"),
        ("wallet", None),
        ("login_ends_at_s", -1),
        ("login_ends_at_s", float("nan")),
        ("colour", "red"),
    ],
)
def test_an_impossible_value_is_refused_and_named(name: str, value: object) -> None:
    with pytest.raises(UserError, match=name) as caught:
        change_settings(NodeSettings(), {name: value})
    assert caught.value.code == "bad_settings"
    assert len(caught.value.lines()) == 3


@pytest.mark.parametrize("text", ["", "[]", "{", '{"available": 1}', "[" * 100_000])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = settings_path(tmp_path)
    path.write_text(text)
    with pytest.raises(UserError):
        load_settings(path)
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written_is_an_environment_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure) as caught:
        save_settings(tmp_path / "file" / "settings.json", replace(NodeSettings(), cpus=1.0))
    assert caught.value.code == "settings_unusable"
