"""``requirements.txt`` as a job may have it: names and versions, nothing that names a place.

Engine and node apply the same rules: the engine to tell the buyer early, the node because it trusts
nobody. What is left is resolved and locked by hash on the node.
"""

from __future__ import annotations

import re

from p2p.core.errors import UserError
from p2p.core.limits import REQUIREMENTS_LINES_MAX, REQUIREMENTS_MAX_BYTES

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
_EXTRAS = rf"(?:[ \t]*\[[ \t]*{_NAME}(?:[ \t]*,[ \t]*{_NAME}){{0,15}}[ \t]*\])?"
_CLAUSE = r"(?:===|~=|==|!=|<=|>=|<|>)[ \t]*[A-Za-z0-9][A-Za-z0-9.*+!_-]{0,63}"
_VERSIONS = rf"(?:[ \t]*\(?[ \t]*{_CLAUSE}(?:[ \t]*,[ \t]*{_CLAUSE}){{0,15}}[ \t]*\)?)?"
_MARKER = r"(?:[ \t]*;[A-Za-z0-9_.<>=!~'\" ()\-]{1,300})?"
# PEP 508 without direct references.
_REQUIREMENT = re.compile(rf"{_NAME}{_EXTRAS}{_VERSIONS}{_MARKER}[ \t]*\Z")
_COMMENT = re.compile(r"(?:^|\s)#.*\Z")


def parse_requirements(raw: bytes) -> tuple[str, ...]:
    """The requirements in ``raw``, one per element, without comments and blank lines.

    :raises UserError: ``bad_requirements``, naming the line: too long, not UTF-8, an option such as
        ``-e``, ``-r`` or ``--index-url``, a direct URL or path, or not a requirement.
    """
    if len(raw) > REQUIREMENTS_MAX_BYTES:
        raise _bad(f"requirements.txt is larger than {REQUIREMENTS_MAX_BYTES} bytes.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(f"requirements.txt is not UTF-8 (byte {error.start}).") from None
    lines = re.split(r"\r\n|\r|\n", text)
    if len(lines) > REQUIREMENTS_LINES_MAX:
        raise _bad(f"requirements.txt has more than {REQUIREMENTS_LINES_MAX} lines.")
    found = []
    for number, line in enumerate(lines, start=1):
        requirement = _COMMENT.sub("", line).strip()
        if requirement:
            found.append(_check(requirement, number))
    return tuple(found)


def _check(line: str, number: int) -> str:
    where = f"requirements.txt, line {number}: {line[:80]!r}"
    if line.startswith("-"):
        raise _bad(f"{where} is an option.", "Options such as -e, -r, --index-url or --hash are not taken.")
    if "://" in line or "@" in line or re.match(r"[./~\\]|[A-Za-z]:\\", line):
        raise _bad(f"{where} names a URL or a path.", "Name a package and a version, such as einops==0.8.0.")
    if line.endswith("\\"):
        raise _bad(f"{where} goes on in the next line.", "Write every requirement on one line.")
    if "$" in line or not _REQUIREMENT.match(line):
        raise _bad(f"{where} is not a requirement.", "Name a package and a version, such as einops==0.8.0.")
    return line


def _bad(what: str, hint: str = "") -> UserError:
    return UserError("bad_requirements", what, "Nothing was sent and nothing was paid.", hint)
