"""The escrow program's binary, as it was built by ``programs/escrow/build``."""

from __future__ import annotations

import hashlib
from importlib import resources

from p2p.core.errors import Bug

_FILE = "cyxwiz-escrow.so"  # with a hyphen, or Python would take it for a module


def escrow_program() -> bytes:
    """The sBPF v3 file to deploy, checked against the SHA-256 committed beside it.

    :raises Bug: the installed file is not the one that was built.
    """
    folder = resources.files("p2p.chain")
    program = (folder / _FILE).read_bytes()
    expected = (folder / f"{_FILE}.sha256").read_text().split()[0]
    if hashlib.sha256(program).hexdigest() != expected:
        raise Bug(f"{_FILE} differs from its SHA-256")
    return program
