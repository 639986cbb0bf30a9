"""The sample job that comes with the product: handwritten digits, a minute on a CPU.

In a source tree it is ``examples/digits``, which a build puts into this package as ``sample_files``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from p2p.core.errors import EnvironmentFailure, UserError

_FILES = (
    "train.py", "requirements.txt", "config.json", "README.md", "data/images.npy", "data/labels.npy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """A copy of the sample."""

    folder: Path

    def to_json(self) -> dict[str, str]:
        """What a job of it is sent with."""
        return {
            "folder": str(self.folder),
            "script": str(self.folder / "train.py"),
            "data": str(self.folder / "data"),
            "requirements": str(self.folder / "requirements.txt"),
            "config": str(self.folder / "config.json"),
        }


def copy_sample(folder: Path) -> Sample:
    """Copy it into ``folder``; what is there already and is the same stays.

    :raises UserError: ``sample_in_the_way``: another file is where one of the sample's belongs.
    :raises EnvironmentFailure: the disk or its permissions don't allow it.
    """
    source = _source()
    wanted = {folder / name: (source / name).read_bytes() for name in _FILES}
    try:
        for path, content in wanted.items():
            if path.exists() and (not path.is_file() or path.read_bytes() != content):
                raise UserError(
                    "sample_in_the_way",
                    f"{path} is another file than the sample's.",
                    "Nothing was written over.",
                    "Name another folder.",
                )
        for path, content in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise EnvironmentFailure(
            "sample_not_written",
            f"The sample cannot be written to {folder}: {error.strerror or error}.",
            hint="Name another folder, or free the disk.",
            retryable=False,
        ) from error
    return Sample(folder)


def _source() -> Path:
    here = Path(__file__).resolve()
    built = here.parent / "sample_files"
    return built if built.is_dir() else here.parents[2] / "examples" / "digits"
