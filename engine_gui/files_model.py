"""The files of a job's results as rows. No widgets in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gui_kit.states import RESULT_FILES, Look, look
from gui_kit.words import bytes_text, tr

Json = dict[str, Any]

_NO_RESULTS = ("refunded", "dropped", "cancelled", "failed")


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file. ``hash_text``: its SHA-256, or of a file of several chunks its leaf in the tree of hashes."""

    key: str
    look: Look
    size_bytes: int
    hash_text: str
    hash_kind: str


def file_rows(found: Json) -> list[FileRow]:
    """Outputs first, then what lies beside them."""
    outputs = [
        FileRow(
            file["path"],
            look(RESULT_FILES, file["state"]),
            file["bytes"],
            file["sha256"] or file["leaf"],
            tr("SHA-256") if file["sha256"] else tr("Leaf of {count} chunks", count=file["chunks"]),
        )
        for file in found["files"]
    ]
    beside = [
        FileRow(file["path"], look(RESULT_FILES, "beside"), file["bytes"], "", "") for file in found["beside"]
    ]
    return [*outputs, *beside]


def summary(found: Json) -> str:
    """How many files, how large, under which root."""
    size = sum(file["bytes"] for file in found["files"])
    return tr(
        "{count} outputs, {size}. Each chunk was checked against the root that the node signed.",
        count=f"{len(found['files']):,}",
        size=bytes_text(size),
    )


def nothing_words(job: Json) -> str:
    """Why there are no files."""
    if job["state"] in _NO_RESULTS:
        return tr("This job has no results: what is not paid is not handed out. Its log is there.")
    return tr("Results appear here once they are fetched and every chunk is verified.")
