"""What pyproject.toml cannot say: the sample job, which lies in ``examples``, is part of the product."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithSample(build_py):
    """Puts ``examples/digits`` where :mod:`p2p.engine.sample` looks for it."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "p2p" / "engine" / "sample_files"
            copytree("examples/digits", target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithSample})
