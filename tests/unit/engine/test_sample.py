"""``cyxwiz sample`` and ``cyxwiz join``: what a first run needs on the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from p2p.core.errors import Refused, UserError
from p2p.engine.cli import cyxwiz
from p2p.engine.sample import copy_sample
from p2p.local.home import HOME_VARIABLE

ROOT = Path(__file__).resolve().parents[3]
NETWORK = """[coordinator]
address = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWExample"
[chain]
cluster = "localnet"
rpc_url = "http://127.0.0.1:8899"
program_id = "11111111111111111111111111111111"
usdc_mint = "11111111111111111111111111111112"
"""


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def run(*arguments: str) -> dict[str, str]:
    done = CliRunner().invoke(cyxwiz, [*arguments, "--json"], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return dict(json.loads(done.stdout))


def test_the_sample_is_the_example(tmp_path: Path) -> None:
    made = run("sample", str(tmp_path / "here"))
    example = files(ROOT / "examples" / "digits")
    del example["make_data.py"]  # scikit-learn's only; the data it makes is there
    assert files(tmp_path / "here") == example
    for name in ("script", "data", "requirements", "config"):
        assert Path(made[name]).exists()


def test_it_is_written_again_only_over_itself(tmp_path: Path) -> None:
    copy_sample(tmp_path)
    (tmp_path / "train.py").unlink()
    copy_sample(tmp_path)
    (tmp_path / "train.py").write_text("print('mine')")
    with pytest.raises(UserError, match="another file than the sample's"):
        copy_sample(tmp_path)
    assert (tmp_path / "train.py").read_text() == "print('mine')"


def test_a_build_holds_it(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", str(tmp_path / "base"),
               "build_py", "--build-lib", str(tmp_path / "lib")]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    built = tmp_path / "lib" / "p2p" / "engine"
    assert files(built / "sample_files") == files(ROOT / "examples" / "digits")
    program = f"from p2p.engine.sample import _source; assert str(_source()).startswith({str(built)!r})"
    environment = {"PYTHONPATH": str(tmp_path / "lib")}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, timeout=60, check=True)


def test_a_home_joins_one_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, file = tmp_path / "home", tmp_path / "network.toml"
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    file.write_text(NETWORK)
    found = run("join", str(file))
    assert found == {
        "home": str(home),
        "cluster": "localnet",
        "coordinator": "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWExample",
    }
    assert (home / "config.toml").read_text() == NETWORK
    assert run("join", str(file)) == found
    file.write_text(NETWORK.replace("4001", "4002"))
    with pytest.raises(Refused, match="belongs to another network already"):
        run("join", str(file))
    assert (home / "config.toml").read_text() == NETWORK


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"x" * 100_000, NETWORK.replace("localnet", "moonnet").encode()]
)
def test_what_describes_no_network_is_not_joined(
    text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    (tmp_path / "network.toml").write_bytes(text)
    with pytest.raises(UserError):
        run("join", str(tmp_path / "network.toml"))
    with pytest.raises(UserError, match="cannot be read"):
        run("join", str(tmp_path / "nowhere.toml"))
    assert not (tmp_path / "home").exists()
