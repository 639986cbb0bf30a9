"""Assignments, released outputs, grouped errors."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from p2p.core.errors import Bug, CyxWizError, EnvironmentFailure, Refused, UserError
from p2p.core.ids import new_job_id
from p2p.core.jobspec import JobConfig, JobSpec
from p2p.core.limits import CHUNK_BYTES
from p2p.core.manifest import FileEntry, Manifest, make_manifest
from p2p.core.messages.nodes import Assignment
from p2p.core.money import Asset
from p2p.core.states import FailureCode
from p2p.node.jobs import check_assignment
from p2p.node.reports import failure_of
from p2p.node.results import describe
from p2p.node.staging import check_inputs
from p2p.node.tools import known_error, single_error
from p2p.node.transfer import OutputSource
from p2p.store.node import Phase
from p2p.wire.codec import encode

PEER = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"
WALLET = "Ave5upTavcGSsGhHJ6SbvETR3TPRadafxVSQeu1Fh7kk"


# -- what came over the wire


def assignment(files: dict[str, bytes], **changes: object) -> tuple[Assignment, Manifest]:
    entries = [
        FileEntry(
            path,
            len(data),
            tuple(sha256(data[i : i + CHUNK_BYTES]).digest() for i in range(0, len(data), CHUNK_BYTES)),
        )
        for path, data in files.items()
    ]
    manifest = make_manifest(entries)
    fields: dict[str, object] = {
        "name": "n",
        "script": "train.py",
        "config": JobConfig(),
        "input_root": manifest.root(),
        "input_bytes": manifest.size_bytes,
        "input_files": len(entries),
        "has_requirements": False,
        "asset": Asset.SOL,
    }
    spec = JobSpec(**{**fields, **changes})  # type: ignore[arg-type]
    return Assignment(new_job_id(), 1, spec, PEER, (), 45.0, "cpu", 1), manifest


def test_the_manifest_that_the_job_names_is_accepted() -> None:
    job, manifest = assignment({"train.py": b"1", "data/a": b"2" * 100})
    assert check_inputs(job, encode(manifest)) == manifest


@pytest.mark.parametrize(
    ("files", "changes"),
    [
        ({"train.py": b"1"}, {"input_root": bytes(32)}),
        ({"train.py": b"1"}, {"input_bytes": 2}),
        ({"train.py": b"1"}, {"input_files": 2}),
        ({"other.py": b"1"}, {}),
        ({"train.py": b"1"}, {"has_requirements": True}),
        ({"train.py": b"1", "requirements.txt": b"numpy"}, {}),
    ],
)
def test_another_manifest_is_refused(files: dict[str, bytes], changes: dict[str, object]) -> None:
    job, manifest = assignment(files, **changes)
    with pytest.raises(UserError) as caught:
        check_inputs(job, encode(manifest))
    assert caught.value.code == "input_mismatch"


def test_a_manifest_with_a_way_out_is_refused() -> None:
    job, _ = assignment({"train.py": b"1"})
    evil = Manifest((FileEntry("../x", 0, ()),))
    with pytest.raises(UserError):
        check_inputs(job, encode(evil))


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": "../../etc"},
        {"epoch": 0},
        {"epoch": 2**31},
        {"engine_peer_id": "no peer"},
        {"engine_addresses": ("/ip4/1.2.3.4/tcp/1",) * 17},
    ],
)
def test_an_impossible_assignment_is_refused(changes: dict[str, object]) -> None:
    job, _ = assignment({"train.py": b"1"})
    fields = {name: getattr(job, name) for name in Assignment.__slots__}
    check_assignment(job)
    with pytest.raises(UserError):
        check_assignment(Assignment(**{**fields, **changes}))  # type: ignore[arg-type]


def test_an_assignment_with_a_strange_data_url_is_refused() -> None:
    job, _ = assignment({"train.py": b"1"}, data_url="file:///etc/passwd")
    with pytest.raises(UserError):
        check_assignment(job)


# -- outputs


@pytest.fixture
def released(tmp_path: Path) -> tuple[OutputSource, str, Manifest, Path]:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "w").write_bytes(b"a" * CHUNK_BYTES + b"tail")
    (tmp_path / "empty").write_bytes(b"")
    manifest = describe(tmp_path, ("model/w", "empty"))
    source = OutputSource()
    return source, source.release("a" * 32, 1, PEER, tmp_path, manifest), manifest, tmp_path


def test_outputs_are_described_and_read_chunk_by_chunk(
    released: tuple[OutputSource, str, Manifest, Path],
) -> None:
    source, grant, manifest, _ = released
    source.authorise(PEER, grant)
    assert [(entry.path, entry.size_bytes) for entry in manifest.files] == [
        ("empty", 0),
        ("model/w", CHUNK_BYTES + 4),
    ]
    buffer = bytearray(CHUNK_BYTES)
    for ref in manifest.files[1].refs():
        size = source.read_chunk(grant, ref.hash, memoryview(buffer))
        assert size == ref.size_bytes
        assert sha256(buffer[:size]).digest() == ref.hash


def test_outputs_are_for_their_engine_only_and_only_while_released(
    released: tuple[OutputSource, str, Manifest, Path],
) -> None:
    source, grant, manifest, _ = released
    chunk = manifest.files[1].chunks[0]
    for peer, wanted in ((WALLET, grant), (PEER, "outputs:" + "b" * 32 + ":1"), (PEER, "")):
        with pytest.raises(Refused):
            source.authorise(peer, wanted)
    with pytest.raises(UserError):
        source.read_chunk(grant, bytes(32), memoryview(bytearray(CHUNK_BYTES)))
    source.withdraw("a" * 32, 1)
    with pytest.raises(Refused):
        source.authorise(PEER, grant)
    with pytest.raises(Refused):
        source.read_chunk(grant, chunk, memoryview(bytearray(CHUNK_BYTES)))


def test_an_output_that_was_cut_or_replaced_by_a_link_is_noticed(
    released: tuple[OutputSource, str, Manifest, Path],
) -> None:
    source, grant, manifest, folder = released
    file = folder / "model" / "w"
    file.write_bytes(b"a")
    with pytest.raises(EnvironmentFailure):
        source.read_chunk(grant, manifest.files[1].chunks[0], memoryview(bytearray(CHUNK_BYTES)))
    file.unlink()
    file.symlink_to("/etc/passwd")
    with pytest.raises(EnvironmentFailure):
        source.read_chunk(grant, manifest.files[1].chunks[1], memoryview(bytearray(CHUNK_BYTES)))


def test_too_long_a_list_of_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        (tmp_path / f"file-{number}").write_bytes(b"x")
    monkeypatch.setattr("p2p.node.results.MANIFEST_ENCODED_MAX_BYTES", 1000)
    with pytest.raises(UserError) as caught:
        describe(tmp_path, tuple(path.name for path in tmp_path.iterdir()))
    assert caught.value.code == "too_many_files"


def test_outputs_over_the_limit_are_refused_here_because_nobody_would_accept_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x" * 600)
    monkeypatch.setattr("p2p.node.results.OUTPUT_MAX_BYTES", 1000)
    with pytest.raises(UserError) as caught:
        describe(tmp_path, ("a", "b"))
    assert caught.value.code == "output_full"
    assert failure_of(Phase.COLLECTING, caught.value) is FailureCode.OUTPUT_FULL
    assert describe(tmp_path, ("a",)).size_bytes == 600


# -- errors out of nurseries


def test_whatever_stops_a_step_becomes_an_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    ours = EnvironmentFailure("x", "X.")
    assert known_error(ours) is ours
    assert known_error(ExceptionGroup("", [ours])) is ours
    assert not caplog.records
    for strange in (OSError("secret 4711"), ExceptionGroup("", [ours, ValueError()])):
        found = known_error(strange)
        assert isinstance(found, Bug)
        assert failure_of(Phase.COLLECTING, found) is FailureCode.NODE
    assert "secret 4711" in caplog.text
    assert "4711" not in str(found)


def test_a_lone_error_comes_out_of_its_groups_and_nothing_is_swallowed() -> None:
    error: CyxWizError = UserError("x", "X.")
    assert single_error(ExceptionGroup("", [ExceptionGroup("", [error])])) is error
    assert single_error(ExceptionGroup("", [error, ValueError()])) is None
    assert single_error(BaseExceptionGroup("", [KeyboardInterrupt()])) is None
