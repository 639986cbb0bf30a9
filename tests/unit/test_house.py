"""Rules about the tree itself: what no tool of `make lint` looks at."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE_MAX_LINES = 400
LISTS = ("p2p/core/limits.py",)  # one list of constants, which grows with the product
FUNCTION_MAX_LINES = 70
GENERATED = "p2p/wire/gen/"
LOCKS = ("build", "main", "dev")

# Written in two halves, so that this file holds none of them itself.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "registry" + ".npmjs.org",
    "registry-1" + ".docker.io",
    "ghcr" + ".io",
    "quay" + ".io",
    "static" + ".crates.io",
]
SECRET_MARKS = [
    "-----BEGIN " + "PRIVATE KEY",
    "-----BEGIN OPENSSH " + "PRIVATE KEY",
    "-----BEGIN RSA " + "PRIVATE KEY",
]
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
# Folders of one developer's machine.
MACHINE_PATH = re.compile("|".join(["/ho" + r"me/[a-z]\w*/", "/Us" + r"ers/\w", "/ro" + "ot/"]))


@cache
def tracked() -> tuple[str, ...]:
    """Every file git knows or would add, that is there."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    names = sorted({name for name in listed.stdout.decode().split("\0") if name})
    return tuple(name for name in names if (ROOT / name).is_file())


@cache
def texts() -> dict[str, str]:
    """The tracked files that are text."""
    found = {}
    for name in tracked():
        raw = (ROOT / name).read_bytes()
        if b"\0" not in raw:
            found[name] = raw.decode("utf-8")
    return found


def python_files() -> dict[str, str]:
    return {n: t for n, t in texts().items() if n.endswith(".py") and not n.startswith(GENERATED)}


def lines_with(found: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if found.search(line)
    ]


def test_the_tree_is_seen() -> None:
    assert {"Makefile", "pyproject.toml", "p2p/core/limits.py", "tests/unit/test_house.py"} <= set(texts())


def test_no_host_name_of_a_package_registry() -> None:
    assert lines_with(re.compile("|".join(re.escape(host) for host in REGISTRY_HOSTS))) == []


def test_no_path_of_somebodys_machine() -> None:
    assert lines_with(MACHINE_PATH) == []


def test_no_secret() -> None:
    assert lines_with(re.compile("|".join(SECRET_MARKS))) == []


def test_nothing_is_left_for_later() -> None:
    assert lines_with(UNFINISHED) == []


def test_text_files_end_with_a_newline_and_have_no_carriage_return() -> None:
    wrong = [n for n, t in texts().items() if t and (not t.endswith("\n") or "\r" in t)]
    assert wrong == []


def test_no_large_file() -> None:
    assert [n for n in tracked() if (ROOT / n).stat().st_size > 1_000_000] == []


def test_modules_are_short() -> None:
    modules = {n: t.count("\n") for n, t in python_files().items() if n not in LISTS}
    long = {name: lines for name, lines in modules.items() if lines > MODULE_MAX_LINES}
    assert long == {}, f"over {MODULE_MAX_LINES} lines: which second thing do they do?"


def test_functions_fit_a_screen() -> None:
    long = []
    for name, text in python_files().items():
        for node in ast.walk(ast.parse(text, name)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > FUNCTION_MAX_LINES:
                    long.append(f"{name}:{node.lineno} {node.name}: {length} lines")
    assert long == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        name
        for name, text in python_files().items()
        if name.startswith(("p2p/", "coordinator/", "gui_kit/", "engine_gui/", "node_gui/"))
        and text.strip()
        and not ast.get_docstring(ast.parse(text, name))
    ]
    assert silent == []


def test_shell_scripts_stop_at_errors_and_can_be_started() -> None:
    scripts = {n: t for n, t in texts().items() if re.match(r"#!.*\b(ba)?sh\n", t)}
    assert "scripts/setup" in scripts
    assert [n for n, t in scripts.items() if not re.search(r"^set -[A-Za-z]*[eu]", t, re.MULTILINE)] == []
    assert [n for n in scripts if not (ROOT / n).stat().st_mode & 0o100] == []


# -- folders and their map -----------------------------------------------------------------------------------


def mapped_folders() -> list[str]:
    """The folders of the table in ARCHITECTURE.md."""
    rows = re.findall(r"^\| `([\w./-]+)/` \|", (ROOT / "ARCHITECTURE.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) > 5, "the table of folders was not found in ARCHITECTURE.md"
    return rows


def test_folders_on_the_map_exist_and_hold_something() -> None:
    assert [f for f in mapped_folders() if not any(n.startswith(f + "/") for n in tracked())] == []


def test_every_folder_is_on_the_map() -> None:
    """Top-level folders, and the packages in `p2p`; `docs`, `scripts` and the like speak for themselves."""
    plain = {".ci", "docs", "requirements", "scripts"}
    folders = {n.split("/")[0] for n in tracked() if "/" in n} - plain - {"p2p"}
    folders |= {"/".join(n.split("/")[:2]) for n in tracked() if n.startswith("p2p/") and n.count("/") > 1}
    unmapped = [f for f in folders if not any(m == f or m.startswith(f + "/") for m in mapped_folders())]
    assert unmapped == []


def test_links_in_documents_lead_somewhere() -> None:
    broken = []
    for name, text in texts().items():
        if name.endswith(".md"):
            for link in re.findall(r"\]\(([^)#\s]+)", text):
                if (
                    "://" not in link
                    and not link.startswith("mailto:")
                    and not ((ROOT / name).parent / link).exists()
                ):
                    broken.append(f"{name}: {link}")
    assert broken == []


# -- import rules --------------------------------------------------------------------------------------------


@cache
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_every_package_has_its_place_in_the_layers() -> None:
    contracts = project()["tool"]["importlinter"]["contracts"]  # type: ignore[index]
    layers = {name.strip("() ") for row in contracts[0]["layers"] for name in row.split("|")}
    packages = {f"p2p.{n.split('/')[1]}" for n in tracked() if re.match(r"p2p/\w+/.*\.py$", n)} | {
        "coordinator"
    }
    assert packages <= layers


def test_neither_schemas_nor_tests_are_importable() -> None:
    assert [n for n in tracked() if re.match(r"(proto|tests|scripts|programs)/(.*/)?__init__\.py$", n)] == []


# -- dependencies --------------------------------------------------------------------------------------------


def entries(lock: str) -> dict[str, str]:
    """name -> version of each entry of a lock; every entry must be pinned and hashed."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")
    found = {}
    for block in re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)):
        if block.strip():
            pinned = re.match(
                r"([a-z0-9-]+)==([\w.+!]+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+)\Z", block
            )
            assert pinned, f"requirements/{lock}.txt: not one pinned version with hashes: {block[:80]!r}"
            found[pinned[1]] = pinned[2]
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_are_pinned_hashed_and_name_no_source(lock: str) -> None:
    assert len(entries(lock)) > 2
    text = (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")
    assert not re.search(
        r"^\s*(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b|://", text, re.MULTILINE
    )


def test_locks_agree_with_one_another() -> None:
    build, main, dev = (entries(lock) for lock in LOCKS)
    assert {n: v for n, v in main.items() if dev.get(n) != v} == {}
    assert {n: v for n, v in build.items() if dev.get(n, v) != v or main.get(n, v) != v} == {}


def test_locks_hold_what_the_project_file_asks_for() -> None:
    described = project()["project"]
    extras = described["optional-dependencies"]  # type: ignore[index]
    wanted = {"main": described["dependencies"] + extras["gui"], "dev": extras["dev"]}  # type: ignore[index]
    for lock, lines in wanted.items():
        asked = dict(re.match(r"([\w-]+)(?:\[\w+\])?==([\w.]+)\Z", line).groups() for line in lines)  # type: ignore[union-attr,misc]
        locked = entries(lock)
        assert {n: v for n, v in asked.items() if locked.get(n.lower().replace("_", "-")) != v} == {}


def test_builds_use_the_locked_setuptools() -> None:
    requires = project()["build-system"]["requires"]  # type: ignore[index]
    assert requires == [f"setuptools=={entries('build')['setuptools']}"]


# -- the two commands ----------------------------------------------------------------------------------------


def test_every_make_target_is_explained() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony
    assert {"demo", "test", "lint", "bench", "help"} <= targets == set(phony[1].split())
    shown = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", "help"], capture_output=True, text=True, timeout=60
    )
    assert {line.split()[1] for line in shown.stdout.splitlines()} == targets


def test_ci_runs_lint_and_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("make")] == ["make lint", "make test"]
    assert "set -e" in lines
