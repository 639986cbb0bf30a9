from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import UserError
from p2p.core.limits import REQUIREMENTS_LINES_MAX, REQUIREMENTS_MAX_BYTES
from p2p.core.requirements import check_requirements

DIGEST = "0" * 64


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy>=1.26,<3",
        "torch == 2.13.0",
        "transformers[torch, sentencepiece]~=5.0",
        'tomli; python_version < "3.11" and sys_platform == "linux"',
        "Pillow!=9.*",
        f"einops==0.8.2 --hash=sha256:{DIGEST} --hash=sha256:{'a' * 64}",
        "a",
        "ruamel.yaml===0.18",
    ],
)
def test_names_versions_extras_markers_and_hashes_are_allowed(line: str) -> None:
    assert check_requirements(f"# heading\n\n{line}  # why\n") == [line]


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "--index-url https://evil.example/simple",
        "--extra-index-url=https://evil.example",
        "-i https://evil.example",
        "-f /srv/links",
        "--find-links .",
        "-e .",
        "--editable git+https://x/y",
        "--no-binary :all:",
        "--pre",
        "-c c.txt",
        "--trusted-host evil.example",
        "--config-settings x=y",
        "numpy --index-url https://evil.example",
        "numpy --global-option=x",
        "numpy --no-binary numpy",
        "evil @ file:///tmp/evil-1.0.tar.gz",
        "evil@https://evil.example/evil.whl",
        "git+https://x/y.git",
        "https://evil.example/a.whl",
        "./evil",
        "../evil",
        "/abs/evil.whl",
        "evil-1.0-py3-none-any.whl",
        "evil.tar.gz",
        "C:\\evil.whl",
        "numpy \\",
        "${HOME}",
        "numpy==$VERSION",
        "name with spaces",
        "=1.0",
        "numpy==",
        "numpy;" + "x" * 500,
        "a" * 3000,
        "\x1b[31mnumpy",
        "numpy\x00",
        "пакет",
        "numpy --hash=md5:00",
        f"numpy --hash=sha256:{DIGEST[:-1]}",
        "numpy\x0b--pre",
        "numpy\u2028-r x",
        "numpy\r-r x",
        "numpy; x\x0b-r y",
        "numpy; x\x0c-r y",
        "numpy; x\x85-r y",
        "numpy\u2003>=1",
    ],
)
def test_everything_that_reaches_elsewhere_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(UserError) as caught:
        check_requirements(f"einops\n{line}\n")
    assert caught.value.code == "bad_requirement"
    assert "line 2" in caught.value.what


def test_too_much_is_refused() -> None:
    with pytest.raises(UserError, match="lines"):
        check_requirements("einops\n" * (REQUIREMENTS_LINES_MAX + 1))
    with pytest.raises(UserError, match="KiB"):
        check_requirements("#" * (REQUIREMENTS_MAX_BYTES + 1))


@given(st.text(max_size=300))
def test_what_is_accepted_could_not_be_anything_but_a_requirement(text: str) -> None:
    try:
        lines = check_requirements(text)
    except UserError:
        return
    for line in lines:
        assert line[0].isalnum()
        assert line.isascii()
        assert not any(part in line for part in ("://", "@", "/", "\\", "$", "\n", "\r", " -r", " -e"))
