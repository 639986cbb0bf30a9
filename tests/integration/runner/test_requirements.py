"""Requirements, good and hostile, through real pip in real containers, from an index made by the test."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from p2p.core.errors import EnvironmentFailure, UserError
from p2p.node.runner.hostpip import HostPip, make_host_pip

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = pytest.mark.docker


def wheel(name: str, version: str, files: dict[str, str], requires: str = "") -> bytes:
    """A pure wheel with ``files``."""
    info = f"{name}-{version}.dist-info"
    everything = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in everything.items():
            archive.writestr(path, text)
    return buffer.getvalue()


def sdist(name: str, version: str) -> bytes:
    """A source distribution whose setup.py would print a mark."""
    buffer = io.BytesIO()
    text = (
        b"print('SDIST CODE RAN')\nfrom setuptools import setup\nsetup(name='"
        + name.encode()
        + b"', version='1')\n"
    )
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(f"{name}-{version}/setup.py")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that is the node's only index."""
    folder = tmp_path / "links"
    folder.mkdir()
    good = wheel("cyxgood", "1.2", {"cyxgood.py": "VALUE = 42\n"}, "Requires-Dist: cyxbase>=2\n")
    (folder / "cyxgood-1.2-py3-none-any.whl").write_bytes(good)
    (folder / "cyxbase-2.0-py3-none-any.whl").write_bytes(wheel("cyxbase", "2.0", {"cyxbase.py": "B = 1\n"}))
    (folder / "cyxsource-1.0.tar.gz").write_bytes(sdist("cyxsource", "1.0"))
    for path in (tmp_path, folder):
        path.chmod(0o755)

    def configured() -> HostPip:
        return make_host_pip({"no-index": "true", "find-links": str(folder)}, {})

    monkeypatch.setattr("p2p.node.runner.install.read_host_pip", configured)
    return folder


async def test_wheels_are_locked_by_hash_installed_and_imported(bench: Bench, links: Path) -> None:
    spec = bench.spec(
        "import cyxgood, cyxbase, numpy\nprint(cyxgood.VALUE, cyxgood.__file__)\nopen('/deps/x', 'w')"
    )
    (bench.runner.input_dir(spec) / "requirements.txt").write_text("cyxgood>=1  # good\nnumpy\n")
    await bench.runner.prepare(spec)
    said: list[str] = []
    lock = await bench.runner.install_requirements(spec, said.append)
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in links.iterdir()}
    assert lock == (
        f"cyxbase==2.0 --hash=sha256:{digests['cyxbase-2.0-py3-none-any.whl']}\n"
        f"cyxgood==1.2 --hash=sha256:{digests['cyxgood-1.2-py3-none-any.whl']}\n"
    )
    again = await bench.runner.install_requirements(spec, said.append)
    assert again == lock
    assert len([line for line in said if line.startswith("Resolving")]) == 1
    assert not any(str(links) in line for line in said)
    assert not (bench.runner.folders(spec).root / "pip").exists()
    report = await bench.run(spec)
    assert "42 /deps/cyxgood.py" in bench.text
    assert "Read-only file system" in bench.text
    assert report.exit_code == 1


async def test_what_the_image_has_needs_no_installation(bench: Bench, links: Path) -> None:
    spec = bench.spec("print(1)")
    (bench.runner.input_dir(spec) / "requirements.txt").write_text("torch\nnumpy>=1\n\n")
    assert await bench.runner.install_requirements(spec, lambda line: None) == ""
    assert (await bench.run(spec)).ok


async def test_a_source_distribution_is_never_built(bench: Bench, links: Path) -> None:
    spec = bench.spec("print(1)")
    (bench.runner.input_dir(spec) / "requirements.txt").write_text("cyxsource\n")
    said: list[str] = []
    with pytest.raises(UserError) as caught:
        await bench.runner.install_requirements(spec, said.append)
    assert caught.value.code == "requirements_unresolvable"
    assert "cyxsource" in caught.value.what
    assert not any("SDIST CODE RAN" in line for line in said)


@pytest.mark.parametrize(
    "line", ["evil @ file:///etc/passwd", "-r /etc/passwd", "--index-url http://192.0.2.9/simple"]
)
async def test_lines_that_reach_elsewhere_never_get_to_pip(bench: Bench, line: str) -> None:
    spec = bench.spec("print(1)")
    (bench.runner.input_dir(spec) / "requirements.txt").write_text(line + "\n")
    said: list[str] = []
    with pytest.raises(UserError, match="not allowed"):
        await bench.runner.install_requirements(spec, said.append)
    assert said == []


async def test_an_index_that_cannot_be_reached_is_the_nodes_trouble_not_the_buyers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = {"index-url": "http://192.168.250.250:1/simple", "trusted-host": "192.168.250.250"}
    monkeypatch.setattr("p2p.node.runner.install.read_host_pip", lambda: make_host_pip(index, {}))
    monkeypatch.setattr("p2p.node.runner.install._PATIENCE", ["--retries", "1", "--timeout", "2"])
    monkeypatch.setattr("p2p.node.runner.hostpip._reach", lambda found, url: None)
    spec = bench.spec("print(1)")
    (bench.runner.input_dir(spec) / "requirements.txt").write_text("cyxgood\n")
    with pytest.raises(EnvironmentFailure) as caught:
        await bench.runner.install_requirements(spec, lambda line: None)
    assert caught.value.code == "package_index_unreachable"
