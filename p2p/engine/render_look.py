"""What the answers of commands that only look are to people. No terminal in here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from p2p.core.text import clean_line, clean_name
from p2p.engine.render import (
    DETAIL_MAX_CHARS,
    NAME_MAX_CHARS,
    REFUND_RULE,
    Json,
    amount,
    duration,
    files,
    market_lines,
    moment,
    short,
    size,
)
from p2p.local.protocol import error_from_json

_LEFT_OUT_SHOWN = 10


def estimate_lines(found: Json) -> Iterator[tuple[str, str]]:
    """What ``cyxwiz estimate`` says."""
    yield from market_lines(found)
    fee = f"{found['fee_bps'] / 100:g} % of what is used, at most {amount(found, found['fee_units'])}"
    yield "fee", f"{fee}; it is part of the rate"
    yield "refund", REFUND_RULE
    yield "wait", wait_words(found)


def measure_lines(found: Json) -> Iterator[tuple[str, str]]:
    """What ``cyxwiz measure`` says."""
    known = f", {size(found['known_bytes'])} of it hashed before" if found["known_bytes"] else ""
    yield "upload", f"{files(found['files'])}, {size(found['bytes'])}{known}"
    for number, item in enumerate(found["left_out"][:_LEFT_OUT_SHOWN]):
        yield "" if number else "left out", f"{clean_line(item['path'], 200)} (fits {item['pattern']})"
    if (more := found["left_out_count"] - _LEFT_OUT_SHOWN) > 0:
        yield "", f"and {more} more"
    for problem in found["problems"]:
        for number, line in enumerate(error_from_json(problem).lines()):
            yield "" if number else problem["field"], clean_line(line, DETAIL_MAX_CHARS)
    if (more := found["problem_count"] - len(found["problems"])) > 0:
        yield "", f"and {more} more problems"
    if not found["problems"]:
        yield "problems", "none"


METRIC_COLUMNS = ("NAME", ">VALUES", ">FIRST", ">LAST", ">LEAST", ">MOST")


def metric_cells(rows: Iterable[tuple[int, dict[str, float]]]) -> list[list[str]]:
    """One row per series, in the order in which they appear."""
    series: dict[str, list[float]] = {}
    for _, values in rows:
        for name, value in values.items():
            series.setdefault(name, []).append(value)
    return [
        [clean_name(name, NAME_MAX_CHARS), str(len(found)), *(f"{value:g}" for value in _ends(found))]
        for name, found in series.items()
    ]


def _ends(values: list[float]) -> tuple[float, ...]:
    """The first, last, least and most; what is not a number is neither least nor most."""
    known = [value for value in values if not math.isnan(value)] or values
    return values[0], values[-1], min(known), max(known)


USAGE_COLUMNS = ("WHAT", ">NOW", ">MEAN", ">MOST", ">LIMIT")


def usage_cells(found: Json) -> list[list[str]]:
    """The latest sample of a job's container, its means and its peaks."""

    def row(title: str, name: str, show: Callable[[float], str], limit: float | None = None) -> list[str]:
        values = [sample[name] for sample in found["samples"] if sample[name] is not None]
        cells = [show(value) for value in (values[-1], sum(values) / len(values), max(values))]
        return [title, *cells, "" if limit is None else show(limit)]

    if not found["samples"]:
        return []
    cpus, last = found["cpus"], found["samples"][-1]
    rows = [
        row("CPU", "cpu_percent", _percent, None if cpus is None else 100 * cpus),
        row("memory", "memory_bytes", _held, found["memory_limit_bytes"]),
        row("disk", "disk_bytes", _held),
        row("processes", "processes", "{:.0f}".format),
    ]
    if last["gpu_percent"] is not None:
        rows.append(row("GPU", "gpu_percent", _percent))
    if last["gpu_memory_bytes"] is not None:
        rows.append(row("GPU memory", "gpu_memory_bytes", _held))
    return rows


def _percent(value: float) -> str:
    return f"{value:.0f} %"


def _held(value: float) -> str:
    return size(int(value))


def wait_words(found: Json) -> str:
    """How long a job would wait for a node, and how that is known."""
    if found["slots"] == 0:
        return "not known: no node that is online could run it"
    if found["wait_s"] is None:
        return "not known: all that could run it are busy, and no such job has completed within a day"
    if found["wait_s"] == 0:
        return "none: a node is free"
    return (
        f"about {duration(found['wait_s'])}: {found['jobs_ahead']} ahead, {found['slots']} places, "
        f"{found['slots_free']} free; the last {found['sampled_jobs']} such jobs took "
        f"{duration(found['mean_run_s'])} on average"
    )


def network_lines(found: Json) -> Iterator[tuple[str, str]]:
    """The head of ``cyxwiz network``."""
    coordinator = found["coordinator"]
    since = f" since {moment(coordinator['since_s'])}" if coordinator["since_s"] is not None else ""
    yield (
        "coordinator",
        f"{coordinator['address']}: {'answers' if coordinator['reachable'] else 'away'}{since}",
    )
    if coordinator["problem"] is not None:
        for line in error_from_json(coordinator["problem"]).lines():
            yield "", clean_line(line, DETAIL_MAX_CHARS)
    yield "agent", f"runs for {duration(found['uptime_s'])} as {found['peer_id']}"
    for number, address in enumerate(found["addresses"]):
        yield "" if number else "listens at", address
    yield "peers", f"{len(found['peers'])} connected"
    for way, word in (("up", "sent"), ("down", "received")):
        rate = f"{size(int(found[f'{way}_bytes_per_s']))}/s"
        yield word, f"{size(found[f'{way}_bytes'])} of files since it runs, {rate} now"


PATH_COLUMNS = ("JOB", "NAME", "STATE", "NODE", "WAY", ">SENDING", ">RECEIVING")


def path_cells(found: Json) -> list[list[str]]:
    """How each job's files go."""
    return [
        [
            short(job["job_id"]),
            clean_name(job["name"], NAME_MAX_CHARS),
            job["state"],
            clean_name(job["node_peer_id"], 64),
            _way(job),
            f"{size(int(job['up_bytes_per_s']))}/s",
            f"{size(int(job['down_bytes_per_s']))}/s",
        ]
        for job in found["jobs"]
    ]


def _way(job: Json) -> str:
    """How files go to and from a job's node, and how it is connected otherwise."""
    if job["relayed"] is not None:
        return "relayed" if job["relayed"] else "direct"
    return "connected" if job["connected"] else ""


RESULT_COLUMNS = ("FILE", ">SIZE", "STATE", "SHA-256")


def result_cells(found: Json) -> list[list[str]]:
    """The outputs, and then what lies beside them."""
    outputs = [
        [file["path"], size(file["bytes"]), file["state"], file["sha256"] or f"{file['chunks']} chunks"]
        for file in found["files"]
    ]
    return outputs + [[file["path"], size(file["bytes"]), "", ""] for file in found["beside"]]


_NEWS_WORDS = {
    "finished": "finished; its results are verified and here",
    "paid_unfetched": "paid, but its results were not fetched",
    "failed": "failed; the deposit is back",
    "cancelled": "cancelled",
    "low_budget": "has used most of its time limit",
    "login_ends": "Your login ends soon. Log in again: `cyxwiz login`.",
}


def news_line(cursor: int, news: Json) -> str:
    """One piece of news."""
    words = _NEWS_WORDS[news["kind"]]
    if news["job_id"] is not None:
        words = f"{short(news['job_id'])} {clean_name(news['job_name'] or '', NAME_MAX_CHARS)}: {words}"
    return f"{cursor}  {moment(news['at_s'])}  {words}"
