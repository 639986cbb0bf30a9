"""Generate `p2p/wire/gen` from `proto/`, or check that what is committed is what the schemas give.

    python scripts/gen_proto.py            write p2p/wire/gen anew
    python scripts/gen_proto.py --check    change nothing; exit 1 and name every file that differs

The generated modules import one another as `cyxwiz.v1.…`, because protoc names Python packages after the
path of the schema. Here they live in `p2p.wire.gen`, so those imports are rewritten; nothing else of protoc's
output is touched.
"""

from __future__ import annotations

import argparse
import importlib.resources
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "proto"
GENERATED = ROOT / "p2p" / "wire" / "gen"
PACKAGE = "p2p.wire.gen"
TOP = "cyxwiz"

PACKAGE_DOCSTRING = '"""Written by `make proto` from `proto/`; never edited by hand."""\n'

_IMPORT = re.compile(rf"^from {TOP}(?=[. ])", re.MULTILINE)


def rewrite_imports(text: str) -> str:
    """Point the imports of a generated module or stub at the package in which it lives."""
    return _IMPORT.sub(f"from {PACKAGE}.{TOP}", text)


def run_protoc(schemas: list[Path], target: Path) -> None:
    """Call protoc with the Python and the stub generator; its own words go to stderr on failure (exit 1)."""
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    stub_plugin = Path(sys.executable).parent / "protoc-gen-mypy"
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--plugin=protoc-gen-mypy={stub_plugin}",
        f"-I{SCHEMAS}",
        f"-I{well_known}",
        f"--python_out={target}",
        f"--mypy_out=quiet:{target}",
        *(str(path.relative_to(SCHEMAS)) for path in schemas),
    ]
    done = subprocess.run(command, cwd=SCHEMAS, check=False)
    if done.returncode != 0:
        raise SystemExit(f"protoc refused the schemas in {SCHEMAS} (exit {done.returncode}), see above")


def generate(target: Path) -> None:
    """Fill the empty folder `target` with the package `p2p.wire.gen`."""
    schemas = sorted(SCHEMAS.rglob("*.proto"))
    if not schemas:
        raise SystemExit(f"no .proto file under {SCHEMAS}")
    run_protoc(schemas, target)
    for path in sorted(target.rglob("*.py*")):
        path.write_text(rewrite_imports(path.read_text(encoding="utf-8")), encoding="utf-8")
    for folder in [target, *(path for path in sorted(target.rglob("*")) if path.is_dir())]:
        (folder / "__init__.py").write_text(PACKAGE_DOCSTRING, encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    """Every generated file by its path below `folder`."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def differences(wanted: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """One line per file that is missing, left over, or not what the schemas give."""
    lines = [f"missing:    {name}" for name in sorted(wanted.keys() - found.keys())]
    lines += [f"left over:  {name}" for name in sorted(found.keys() - wanted.keys())]
    both = sorted(wanted.keys() & found.keys())
    return lines + [f"differs:    {name}" for name in both if wanted[name] != found[name]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cyxwiz-proto-") as scratch:
        fresh = Path(scratch) / "gen"
        fresh.mkdir()
        generate(fresh)
        if arguments.check:
            lines = differences(contents(fresh), contents(GENERATED) if GENERATED.is_dir() else {})
            if lines:
                head = f"{GENERATED.relative_to(ROOT)} is not what proto/ gives; run `make proto`:"
                print("\n".join([head, *lines]), file=sys.stderr)
                return 1
            print(f"{GENERATED.relative_to(ROOT)} is what proto/ gives")
            return 0
        if GENERATED.exists():
            shutil.rmtree(GENERATED)
        shutil.copytree(fresh, GENERATED)
    print(f"wrote {len(contents(GENERATED))} files in {GENERATED.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
