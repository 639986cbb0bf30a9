"""What a job's requirements.txt may and may not hold."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.core.errors import UserError
from p2p.core.limits import REQUIREMENTS_LINES_MAX, REQUIREMENTS_MAX_BYTES
from p2p.core.requirements import parse_requirements


def test_ordinary_requirements_are_taken() -> None:
    raw = b"\xef\xbb\xbf# mine\r\neinops==0.8.0\r\n\r\ntqdm >= 4, <5  # bars\n"
    raw += b"foo[bar,baz]~=1.0; python_version < '3.13'\nscipy"
    assert parse_requirements(raw) == (
        "einops==0.8.0",
        "tqdm >= 4, <5",
        "foo[bar,baz]~=1.0; python_version < '3.13'",
        "scipy",
    )


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "-r other.txt",
        "-c constraints.txt",
        "--index-url https://x.example/simple",
        "--extra-index-url=https://x.example/simple",
        "-i https://x.example/simple",
        "-f /tmp/wheels",
        "--pre",
        "--no-binary :all:",
        "foo==1 --hash=sha256:00",
        "foo @ https://x.example/foo.whl",
        "foo@file:///etc/passwd",
        "https://x.example/foo.whl",
        "git+https://x.example/foo.git",
        "git+ssh://git@x.example/foo.git#egg=foo",
        "./local",
        "../up",
        "/abs/foo.whl",
        "~/foo",
        "C:\\foo.whl",
        "foo.whl/",
        "foo==${VERSION}",
        "foo==1 \\",
        "foo bar",
        "foo==1 `id`",
        "foo; python_version < $(id)",
        "\x1b]0;title\x07foo",
        "fo\x00o",
        "foo\x0b--pre",
        "foo\u2028==1",
    ],
)
def test_anything_that_names_a_place_or_an_option_is_refused(line: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_requirements(b"einops\n" + line.encode())
    assert caught.value.code == "bad_requirements"
    assert "line 2" in caught.value.what
    assert "\x1b" not in caught.value.what


@pytest.mark.parametrize(
    "raw", [b"x" * (REQUIREMENTS_MAX_BYTES + 1), b"\n" * REQUIREMENTS_LINES_MAX, b"\xff\xfe", b"x" * 200]
)
def test_limits(raw: bytes) -> None:
    with pytest.raises(UserError):
        parse_requirements(raw)


@given(st.text(alphabet=string.printable, max_size=60))
def test_whatever_is_taken_cannot_be_an_option_or_a_url_for_pip(text: str) -> None:
    try:
        found = parse_requirements(text.encode())
    except UserError:
        return
    for requirement in found:
        assert requirement[0].isalnum()
        assert not set(requirement) & set("@/\\$`&|\n\r\x0b\x0c")
