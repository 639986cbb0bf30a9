"""``requirements.txt``, as far as a marketplace lets it say anything.

Only package names with extras, version ranges, markers and hashes. Everything by which the file could
reach elsewhere is refused before any installer sees it: options (``-r``, ``-e``, ``--index-url``…), direct
references (``name @ URL``), paths and archives, continuation lines and environment variables.
"""

from __future__ import annotations

import re

from p2p.core.errors import UserError
from p2p.core.limits import REQUIREMENTS_LINES_MAX, REQUIREMENTS_MAX_BYTES

LINE_MAX_CHARS = 2000

# The grammar of PEP 508 without direct references. No two neighbouring parts share a character, so that
# matching is linear. White space is blanks and tabs alone: pip also breaks lines at \v, \f and others.
_VERSION = r"(?:===?|~=|!=|<=?|>=?)[ \t]{0,4}[A-Za-z0-9][A-Za-z0-9.!+*_-]{0,63}"
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
    r"[ \t]{0,4}(?:\[[ \t]{0,4}[A-Za-z0-9._, \t-]{0,200}\])?"
    rf"[ \t]{{0,4}}(?:{_VERSION}(?:[ \t]{{0,4}},[ \t]{{0,4}}{_VERSION}){{0,15}})?"
    r"[ \t]{0,4}(?:;[A-Za-z0-9_. \t\"'<>=!~()*+-]{1,400})?\Z"
)
_HASH = re.compile(r"[ \t]--hash=sha256:[0-9a-fA-F]{64}(?=[ \t]|\Z)")
_COMMENT = re.compile(r"(?:^|\s)#.*")


def check_requirements(text: str) -> list[str]:
    """The requirement lines of ``text``, without comments and blanks.

    :raises UserError: ``requirements_too_long``, or ``bad_requirement`` naming the line and the rule.
    """
    if len(text) > REQUIREMENTS_MAX_BYTES or len(text.encode("utf-8", "replace")) > REQUIREMENTS_MAX_BYTES:
        raise UserError(
            "requirements_too_long", f"requirements.txt is over {REQUIREMENTS_MAX_BYTES >> 10} KiB."
        )
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    kept = []
    for number, line in enumerate(lines, 1):
        line = _COMMENT.sub("", line[: LINE_MAX_CHARS + 1]).strip()
        if not line:
            continue
        if problem := _problem(line):
            raise UserError(
                "bad_requirement",
                f"requirements.txt, line {number}: {line[:80]!r} {problem}.",
                "The job was not started.",
                "Only names, versions and markers are allowed, such as `einops>=0.8`.",
            )
        kept.append(line)
    if len(kept) > REQUIREMENTS_LINES_MAX:
        raise UserError(
            "requirements_too_long",
            f"requirements.txt has {len(kept)} lines; at most {REQUIREMENTS_LINES_MAX}.",
        )
    return kept


def _problem(line: str) -> str | None:
    """What is wrong with a line, in words that follow the line; None if nothing is."""
    if len(line) > LINE_MAX_CHARS:
        return "is too long"
    bare = _HASH.sub("", line).strip()
    if bare.startswith("-") or " -" in bare:
        return "is an option, which is not allowed"
    if "://" in bare or "@" in bare:
        return "points to a place of its own, which is not allowed"
    if "$" in bare or "\\" in bare:
        return "uses a variable or a continuation, which is not allowed"
    if "/" in bare or re.search(r"\.(whl|zip|tar|tgz|gz|bz2|xz)\b", bare, re.IGNORECASE):
        return "is a file, which is not allowed"
    if not _REQUIREMENT.match(bare):
        return "is not a requirement"
    return None
