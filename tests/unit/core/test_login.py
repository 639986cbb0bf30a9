"""Where a login may be signed, and what is signed at all."""

from __future__ import annotations

import pytest

from p2p.core.errors import UserError
from p2p.core.login import check_challenge, check_domain, uri_of
from p2p.core.messages.auth import Role

PEER = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"
WALLET = "Ave5upTavcGSsGhHJ6SbvETR3TPRadafxVSQeu1Fh7kk"
GOOD = (
    f"cyxwiz wants you to sign in with your Solana account:\n{WALLET}\n\n"
    f"Log in to CyxWiz as node from peer {PEER}. This moves no money.\n\nURI: cyxwiz://login"
)
PAGE = "127.0.0.1:41234"
ON_PAGE = GOOD.replace("cyxwiz wants", f"{PAGE} wants").replace("cyxwiz://login", f"http://{PAGE}/login")


def test_our_own_login_is_signed_and_that_of_our_page() -> None:
    check_challenge(GOOD, WALLET, PEER, Role.NODE)
    check_challenge(ON_PAGE, WALLET, PEER, Role.NODE, PAGE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.replace("cyxwiz wants", "evil wants"),
        GOOD.replace(WALLET, PEER),
        GOOD.replace(PEER, "12D3KooWother"),
        GOOD.replace(PEER, f"x{PEER}"),
        GOOD.replace("as node", "as engine"),
        GOOD.replace("cyxwiz://login", "https://evil.example/login"),
        GOOD + "\nURI: https://evil.example/login",
        "x" + GOOD,
        ON_PAGE,
    ],
)
def test_nothing_else_is_signed(text: str) -> None:
    with pytest.raises(UserError) as caught:
        check_challenge(text, WALLET, PEER, Role.NODE)
    assert caught.value.code == "strange_challenge"
    assert len(caught.value.lines()) == 3


def test_a_page_signs_a_login_of_its_own_only() -> None:
    for text in (GOOD, ON_PAGE.replace("41234", "41235"), ON_PAGE.replace(f"http://{PAGE}", "http://x")):
        with pytest.raises(UserError):
            check_challenge(text, WALLET, PEER, Role.NODE, PAGE)


@pytest.mark.parametrize(
    ("domain", "uri"),
    [
        ("", "cyxwiz://login"),
        ("cyxwiz", "cyxwiz://login"),
        ("127.0.0.1:1", "http://127.0.0.1:1/login"),
        ("localhost:65535", "http://localhost:65535/login"),
    ],
)
def test_a_login_is_ours_or_of_a_page_on_the_loopback(domain: str, uri: str) -> None:
    assert uri_of(check_domain(domain)) == uri


@pytest.mark.parametrize(
    "domain",
    [
        "evil.example",
        "cyxwiz.example",
        "CYXWIZ",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:080",
        "127.0.0.1:65536",
        "127.0.0.1:80\n",
        "127.0.0.1:٣",
        "127.0.0.1:80.evil.example",
        "127.0.0.1:80@evil.example",
        "127.0.0.1:80/x",
        "evil.example:80",
        "xlocalhost:80",
        "[::1]:80",
        "x" * 10_000,
    ],
)
def test_no_other_name_can_be_borrowed(domain: str) -> None:
    with pytest.raises(UserError) as caught:
        check_domain(domain)
    assert caught.value.code == "bad_domain"
    assert len(caught.value.lines()) == 3
    assert len(caught.value.what) < 200
