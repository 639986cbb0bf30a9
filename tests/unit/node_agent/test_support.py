"""What a support bundle leaves out, the agent's own log, remedies, and start at login."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import zipfile
from contextlib import aclosing
from pathlib import Path

import base58
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.paths import Home
from p2p.local.autostart import How, Program, state, turn_off, turn_on, unit_text
from p2p.node import agent_log, remedies
from p2p.node.agent_log import BoundedFileHandler, Piece, earlier, follow, read_piece, set_up_logging
from p2p.node.hardware import _nvidia_cards
from p2p.node.redaction import REMOVED, Redactor
from p2p.node.runner import CheckRow
from p2p.node.settings import NodeSettings
from p2p.node.starting import program_of
from p2p.node.support import write_bundle
from tests.integration.canary import secrets_in

PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
SAID = "The job ended because the node had no disk left and the buyer was not asked about that."


# -- redaction


@given(st.binary(min_size=64, max_size=64).filter(lambda raw: raw[0] > 0))
def test_a_key_goes_in_whatever_form(raw: bytes) -> None:
    known = Redactor([raw])
    for form in secrets_in.key("k", raw[:32], raw[32:]).forms:
        if form != raw[:32]:
            assert form.decode() not in known.clean(f"x {form.decode()} y {{'key': '{form.decode()}'}}")
    for text in (json.dumps(list(raw)), json.dumps(list(raw), indent=2), base58.b58encode(raw).decode()):
        assert text not in Redactor().clean(f"a key {text} of nobody known")  # by its shape


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        (PHRASE, f"the words: {PHRASE}."),
        (PHRASE, f"wallet import failed for {PHRASE} again"),
        ("hunter2", "postgresql://me:hunter2@host/db"),
        ("sig=abc", "https://data.example/file.bin?sig=abc&x=1"),
        ("tok3n", "Authorization: Bearer tok3n"),
        ("s3cret", "password=s3cret"),
        ("MC4CAQ", "-----BEGIN " + "PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----"),
    ],
)
def test_what_looks_like_a_secret_goes(secret: str, text: str) -> None:
    cleaned = Redactor().clean(text)
    assert secret not in cleaned
    assert REMOVED in cleaned


def test_what_helps_stays() -> None:
    kept = (
        f"{SAID} GAN8ZnabtscypyesSmpLQ7gVPDY8MBnaRFS4LH5Hr1U9 sha256:{'ab' * 32} job {'0a' * 16} "
        "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo /ip4/1.2.3.4/tcp/5"
    )
    assert Redactor().clean(kept) == kept
    assert Redactor((), {"/people/jo": "~"}).clean("/people/jo/x") == "~/x"


def test_a_bundle_holds_what_is_listed_and_is_for_its_owner(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.node.folder.mkdir(parents=True)
    keypair = bytes(range(64))
    (home.node.folder / "wallet.json").write_text(json.dumps(list(keypair)))
    home.node.log.write_text(f"key {keypair.hex()}\nvery well\n")
    file = tmp_path / "bundle.zip"
    seed = base58.b58encode(keypair[:32]).decode()
    found = write_bundle(home, file, NodeSettings(), {"status": {"key": seed}})
    assert [name for name, _ in found] == ["agent.log", "status.json", "versions.json"]
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as bundle:
        assert {entry.filename: entry.file_size for entry in bundle.infolist()} == dict(found)
        assert bundle.read("agent.log") == f"key {REMOVED}\nvery well\n".encode()
        assert json.loads(bundle.read("status.json")) == {"key": REMOVED}
    with pytest.raises(EnvironmentFailure):
        write_bundle(home, file, NodeSettings(), {})


def test_a_person_s_folder_goes_in_whatever_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "jürgen"
    monkeypatch.setattr(Path, "home", lambda: folder)
    home = Home(tmp_path / "home")
    home.node.folder.mkdir(parents=True)
    home.node.log.write_text(f"in {folder}/x\n")
    write_bundle(home, tmp_path / "bundle.zip", NodeSettings(), {"status": {"at": f"{folder}/x"}})
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        assert bundle.read("agent.log") == b"in ~/x\n"
        assert json.loads(bundle.read("status.json")) == {"at": "~/x"}


def test_a_long_line_does_not_hold_up_the_agent() -> None:
    """It took minutes for each hundred thousand characters."""
    for text in ("A" * 1_000_000, "a1" * 500_000):
        assert Redactor().clean(text) == text


# -- the agent's log


def test_a_log_that_grows_is_begun_anew_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_log, "AGENT_LOG_MAX_BYTES", 1000)
    log = tmp_path / "agent.log"
    handler = BoundedFileHandler(log)
    other = os.open(log, os.O_WRONLY | os.O_APPEND)  # standard error of a process that was started detached
    try:
        for number in range(60):
            handler.emit(logging.LogRecord("n", logging.INFO, "", 0, f"line {number:020}", (), None))
            os.write(other, b"from beside\n")
    finally:
        handler.close()
        os.close(other)
    assert log.stat().st_size <= 1100
    assert log.stat().st_mode & 0o777 == earlier(log).stat().st_mode & 0o777 == 0o600
    together = earlier(log).read_text() + log.read_text()
    assert "\0" not in together
    assert f"line {59:020}" in together


def test_logging_says_everything_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    log = tmp_path / "agent.log"
    with log.open("a") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        set_up_logging(log)
        logging.getLogger("x").info("once")
        for handler in root.handlers:
            handler.close()
    assert log.read_text().count("once") == 1


async def test_a_log_is_followed_through_a_new_beginning(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    assert read_piece(log, None) == Piece(0, ())
    log.write_bytes(b"one\n\x1b[31mtwo\x1b[0m\nhal")
    assert read_piece(log, None) == Piece(8 + 9, ("one", "two"))
    found: list[Piece] = []
    with trio.fail_after(30):
        async with aclosing(follow(log, 4, forever=True)) as pieces:
            async for piece in pieces:
                found.append(piece)
                if len(found) == 1:
                    log.write_bytes(b"new\n")
                elif piece.lines:
                    break
    assert (found[0].lines, found[-1].lines) == (("two",), ("new",))
    assert found[1].anew
    async with aclosing(follow(log, 0, forever=False)) as pieces:
        assert [piece.lines async for piece in pieces] == [("new",)]


# -- remedies


def row(name: str, *, ok: bool = False, fix: str = "") -> CheckRow:
    return CheckRow(name, ok, "found", "needed", "why", fix)


def test_every_row_has_a_stable_id_and_a_way_out() -> None:
    image = remedies.check_json(row("job image"))
    assert (image["id"], image["action"]) == ("job-image", "Build the job image.")
    assert remedies.check_json(row("gpu runtime"))["commands"][0].startswith("sudo apt-get")
    assert remedies.check_json(row("wallet", fix="cyxwiz-node login --browser"))["commands"] == [
        "cyxwiz-node login --browser"
    ]
    good = remedies.check_json(row("docker", ok=True))
    assert (good["action"], good["commands"]) == (None, [])
    assert remedies.command_of("available", None) is None
    for wrong, file in (("disk", None), ("--help", None), ("job-image", "/no/such/file")):
        with pytest.raises(UserError):
            remedies.command_of(wrong, file)


async def said_by(*command: str) -> list[str]:
    async with aclosing(remedies.output_of(list(command))) as lines:
        return [line async for line in lines]


async def test_what_a_program_says_comes_line_by_line_and_its_failure_is_told() -> None:
    script = "import sys; print('a\\rb'); print('\\x1b[31mred', file=sys.stderr); sys.exit(int(sys.argv[1]))"
    assert await said_by(sys.executable, "-uc", script, "0") == ["a", "b", "red"]
    with pytest.raises(EnvironmentFailure, match="red"):
        await said_by(sys.executable, "-uc", script, "3")
    with pytest.raises(EnvironmentFailure):
        await said_by("/no/such/program")


async def test_a_program_that_nobody_listens_to_is_ended() -> None:
    forever = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    async with aclosing(remedies.output_of([sys.executable, "-c", forever])) as lines:
        pid = int(await anext(lines))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nvidia_cards_are_seen_without_a_driver(tmp_path: Path) -> None:
    for name, vendor, kind in (
        ("a", "0x10de", "0x030000"),
        ("b", "0x10de", "0x040300"),
        ("c", "0x8086", "0x030000"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    (tmp_path / "d").mkdir()
    assert _nvidia_cards(tmp_path) == 1


# -- start at login

WORDS = ('/a b/py"thon', "-m", "x", "100%", "$HOME", "back\\slash")
ODD = Program("cyxwiz-odd", "Odd", WORDS, {"A": "b c%d"})


@pytest.mark.parametrize("by", [How.SYSTEMD, How.DESKTOP])
def test_start_at_login_is_turned_on_and_off(
    by: How, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert not state(ODD.name, by).on
    for _ in range(2):
        assert turn_on(ODD, by).on
    place = Path(state(ODD.name, by).place)
    assert place.read_text().startswith("[Unit]" if by is How.SYSTEMD else "[Desktop Entry]")
    for _ in range(2):
        assert not turn_off(ODD.name, by).on
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_desktop_finds_the_words_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    text = Path(turn_on(ODD, How.DESKTOP).place).read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("Exec=")]
    value = line.removeprefix("Exec=").replace("\\\\", "\\")  # the string of the file, then its quoting
    value = value.replace("%%", "%").replace("\\$", "$")  # which a shell takes for itself, but shlex does not
    assert shlex.split(value) == ["env", "A=b c%d", *ODD.command]


def test_a_unit_is_quoted() -> None:
    text = unit_text(ODD)
    assert 'Environment="A=b c%%d"' in text
    assert 'ExecStart="/a b/py\\"thon" "-m" "x" "100%%" "$$HOME" "back\\\\slash"' in text


def test_each_home_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    usual, other = program_of(Home(tmp_path / "cyxwiz")), program_of(Home(tmp_path / "other"))
    assert (usual.name, usual.environment) == ("cyxwiz-node", {})
    assert other.name.startswith("cyxwiz-node-")
    assert other.environment == {"CYXWIZ_HOME": str(tmp_path / "other")}
