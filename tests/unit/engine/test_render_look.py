"""What people read of the commands that only look; a stranger's text in it is harmless."""

from __future__ import annotations

from typing import Any

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.text import is_clean
from p2p.engine import render_look
from p2p.local.protocol import error_to_json

EVIL = "\x1b]0;owned\x07\x1b[2Jname\u202e"
JOB = "ab" * 16


def test_a_measure_names_what_is_left_out_and_each_problem_by_its_field() -> None:
    problem = UserError("no_script", "There is no script file x.py.", "Nothing was sent.", "Check the path.")
    found = {
        "files": 2,
        "bytes": 3_400_000,
        "known_bytes": 1000,
        "left_out": [{"path": f"{n}{EVIL}", "pattern": "*"} for n in range(12)],
        "left_out_count": 300,
        "problems": [{"field": "script", **error_to_json(problem)}],
        "problem_count": 3,
    }
    lines = list(render_look.measure_lines(found))
    assert lines[0] == ("upload", "2 files, 3.4 MB, 1.0 KB of it hashed before")
    assert ("", "and 290 more") in lines
    assert ("script", "There is no script file x.py.") in lines
    assert ("", "and 2 more problems") in lines
    assert all(is_clean(text) for _, text in lines)


def test_series_are_summed_up_by_name() -> None:
    rows = [(1, {"loss": 2.0}), (2, {"loss": float("nan"), EVIL: 1.0}), (3, {"loss": 0.5})]
    loss, evil = render_look.metric_cells(rows)
    assert loss == ["loss", "3", "2", "0.5", "0.5", "2"]
    assert is_clean(evil[0])


def test_usage_shows_limits_and_gpus_only_where_there_are_some() -> None:
    sample = {"at_s": 1.0, "cpu_percent": 50.0, "memory_bytes": 2000, "disk_bytes": 0, "processes": 3}
    bare = {**sample, "gpu_percent": None, "gpu_memory_bytes": None}
    found = {"samples": [bare, {**bare, "cpu_percent": 150.0}], "cpus": 2.0, "memory_limit_bytes": None}
    rows = render_look.usage_cells(found)
    assert rows[0] == ["CPU", "150 %", "100 %", "150 %", "200 %"]
    assert rows[1] == ["memory", "2.0 KB", "2.0 KB", "2.0 KB", ""]
    assert len(rows) == 4
    gpu = {**sample, "gpu_percent": 90.0, "gpu_memory_bytes": 1000}
    assert [row[0] for row in render_look.usage_cells({**found, "samples": [bare, gpu]})][4:] == [
        "GPU",
        "GPU memory",
    ]
    assert render_look.usage_cells({**found, "samples": []}) == []


def network(**fields: Any) -> dict[str, Any]:
    away = EnvironmentFailure("coordinator_unreachable", "The coordinator does not answer.", "Jobs go on.")
    coordinator = {"address": "/ip4/1.2.3.4/tcp/1", "reachable": False, "since_s": 0.0}
    base: dict[str, Any] = {
        "coordinator": {**coordinator, "problem": error_to_json(away)},
        "uptime_s": 61.0,
        "peer_id": "me",
        "addresses": ["a", "b"],
        "peers": [],
        **{f"{way}_bytes{rate}": 5000 for way in ("up", "down") for rate in ("", "_per_s")},
    }
    return {**base, **fields}


def test_the_network_in_words() -> None:
    lines = list(render_look.network_lines(network()))
    assert lines[0][1].startswith("/ip4/1.2.3.4/tcp/1: away since ")
    assert ("", "Jobs go on.") in lines
    assert ("sent", "5.0 KB of files since it runs, 5.0 KB/s now") in lines


def test_the_way_to_a_jobs_node() -> None:
    job = {"job_id": JOB, "name": EVIL, "state": "running", "node_peer_id": "n"}
    job |= {"up_bytes_per_s": 0.0, "down_bytes_per_s": 1500.0}
    ways = ((None, False, ""), (None, True, "connected"), (False, True, "direct"), (True, True, "relayed"))
    for relayed, connected, word in ways:
        (row,) = render_look.path_cells({"jobs": [{**job, "relayed": relayed, "connected": connected}]})
        assert row[4:] == [word, "0 B/s", "1.5 KB/s"]
        assert is_clean(row[1])


def test_news_of_jobs_and_of_the_login() -> None:
    item = {"at_s": 0.0, "job_id": JOB, "job_name": EVIL, "detail": ""}
    for kind in ("finished", "paid_unfetched", "failed", "cancelled", "low_budget"):
        line = render_look.news_line(7, {**item, "kind": kind})
        assert line.startswith("7  ")
        assert "abababab name" in line
        assert is_clean(line)
    ends = {**item, "kind": "login_ends", "job_id": None, "job_name": None}
    assert "Log in again" in render_look.news_line(8, ends)
