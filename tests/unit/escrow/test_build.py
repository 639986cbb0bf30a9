"""The committed program is what the source gives, and source and client agree on every number."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from p2p.chain import accounts
from p2p.chain.accounts import JobStatus
from p2p.chain.errors import PROGRAM_ERRORS
from p2p.chain.instructions import Tag
from p2p.chain.program import escrow_program
from p2p.core.limits import FEE_BPS_MAX, SESSION_MAX_S

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "programs" / "escrow"
COMPILERS = (
    Path("/usr/bin/rustc"),
    Path("/usr/lib/llvm-22/bin/llc"),
    Path("/usr/lib/rustlib/bpfel-unknown-none"),
)

needs_compilers = pytest.mark.skipif(
    not all(path.exists() for path in COMPILERS),
    reason="needs rustc-web, libstd-rust-web-dev-bpf and llvm-22",
)


def source(name: str) -> str:
    return (SOURCE / "src" / name).read_text("utf-8")


@pytest.fixture
def linker(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.syspath_prepend(str(SOURCE))
    import sbpf_elf

    return sbpf_elf


# -- the binary


def test_the_program_is_sbpf_v3_without_sections() -> None:
    program = escrow_program()
    assert program[:6] == b"\x7fELF\x02\x01"
    assert int.from_bytes(program[48:52], "little") == 3  # e_flags: the sBPF version
    assert program[60:62] == bytes(2)  # no section headers, so no relocations
    assert len(program) < 64 * 1024


@needs_compilers
def test_the_source_gives_the_committed_program() -> None:
    done = subprocess.run(
        [sys.executable, SOURCE / "build", "--check"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@needs_compilers
def test_the_folder_does_not_matter_and_a_changed_byte_does(tmp_path: Path) -> None:
    copy = tmp_path / "somewhere" / "else"
    shutil.copytree(SOURCE, copy / "programs" / "escrow", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "p2p" / "chain").mkdir(parents=True)
    build = [sys.executable, str(copy / "programs" / "escrow" / "build")]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    built = copy / "p2p" / "chain" / "cyxwiz-escrow.so"
    assert built.read_bytes() == escrow_program()
    changed = bytearray(built.read_bytes())
    changed[-1] ^= 1
    built.write_bytes(changed)
    done = subprocess.run([*build, "--check"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "is not what the source gives" in done.stderr


def test_system_calls_have_solanas_numbers(linker) -> None:  # type: ignore[no-untyped-def]
    """As published for sBPF: `abort` and `sol_log_`."""
    assert linker.murmur3(b"abort") == 0xB6FC1A11
    assert linker.murmur3(b"sol_log_") == 0x207559BD


def test_the_linker_refuses_what_is_no_bpf_object(linker) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(linker.LinkError, match="not a relocatable BPF object"):
        linker.link_object(b"\x7fELF\x02\x01" + bytes(58), "entrypoint")


@pytest.mark.parametrize("opcode", [0x06, 0xC3, 0xDB, 0xD7, 0x81])
def test_the_linker_refuses_instructions_that_sbpf_lacks(linker, opcode: int) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(linker.LinkError, match="instruction 1"):
        linker.check_instructions(bytes([0x95, 0, 0, 0, 0, 0, 0, 0, opcode, 0, 0, 0, 0, 0, 0, 0]))


# -- both sides agree


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_every_error_has_its_word() -> None:
    found = re.findall(r"^    (\w+) = (60\d\d),", source("error.rs"), re.MULTILINE)
    assert {int(number): snake(name) for name, number in found} == {
        number: error.name for number, error in PROGRAM_ERRORS.items()
    }


def test_every_instruction_has_its_number() -> None:
    arms = re.findall(r"^        (\d+) => (\w+)::(\w+)\(", source("instructions/mod.rs"), re.MULTILINE)
    documented = dict(
        re.findall(
            r"^/// (\d+) (\w+)[:.]",
            "\n".join(path.read_text("utf-8") for path in (SOURCE / "src" / "instructions").glob("*.rs")),
            re.MULTILINE,
        )
    )
    assert [int(number) for number, *_ in arms] == list(Tag)
    assert {int(number): snake(name) for number, name in documented.items()} == {
        tag.value: tag.name.lower() for tag in Tag
    }


def test_every_status_has_its_number() -> None:
    found = re.findall(r"pub const (\w+): u8 = (\d+);", source("state.rs").split("pub mod status")[1])
    assert {name: int(number) for name, number in found} == {s.name: s.value for s in JobStatus}


def test_accounts_have_the_same_size() -> None:
    found = dict(re.findall(r"size_of::<(\w+)>\(\) == (\d+)", source("state.rs")))
    assert {name: int(size) for name, size in found.items()} == {
        "Config": accounts.CONFIG_BYTES,
        "Asset": accounts.ASSET_BYTES,
        "Balance": accounts.BALANCE_BYTES,
        "Session": accounts.SESSION_BYTES,
        "Job": accounts.JOB_BYTES,
    }


def test_limits_are_the_programs() -> None:
    assert f"FEE_BPS_MAX: u16 = {FEE_BPS_MAX};" in source("instructions/config.rs")
    assert "LONGEST_S: i64 = 90 * 24 * 3600;" in source("instructions/session.rs")
    assert SESSION_MAX_S == 90 * 24 * 3600
