"""The domains that a login text may bear: ours, and that of a wallet page on the loopback."""

from __future__ import annotations

from typing import Any

import pytest

from p2p.core.login import check_challenge
from p2p.core.messages.auth import Challenge, ChallengeRequest, LoginReply, LoginRequest, Role
from p2p.core.messages.jobs import JobList, ListJobsRequest

PAGES = ("127.0.0.1:41234", "localhost:8080")


async def challenge(buyer: Any, domain: str) -> Challenge:
    request = ChallengeRequest(buyer.signer.address, Role.ENGINE, domain)
    found: Challenge = await buyer.call("auth.challenge", request, Challenge)
    return found


@pytest.mark.parametrize("domain", ["cyxwiz", *PAGES])
async def test_the_text_bears_the_domain_that_was_asked_for(still_world: Any, domain: str) -> None:
    buyer = still_world.stranger()
    text = (await challenge(buyer, domain)).text
    check_challenge(text, buyer.signer.address, buyer.identity.peer_id, Role.ENGINE, domain)
    assert text.count(domain) >= 2
    await buyer.answer(text)
    assert await buyer.call("job.list", ListJobsRequest(10), JobList) == JobList(())


async def test_without_a_domain_it_is_ours(still_world: Any) -> None:
    buyer = still_world.stranger()
    text = (await challenge(buyer, "")).text
    assert text.startswith("cyxwiz wants you")
    assert "\nURI: cyxwiz://login\n" in text


@pytest.mark.parametrize("domain", ["evil.example", "127.0.0.1", "127.0.0.1:80.evil.example", "127.0.0.1:0"])
async def test_another_domain_is_refused(still_world: Any, refused: Any, domain: str) -> None:
    buyer = still_world.stranger()
    with refused("bad_domain"):
        await challenge(buyer, domain)
    with refused("login_refused"):  # nothing was asked for
        await buyer.answer("text")


@pytest.mark.parametrize("other", ["cyxwiz", "127.0.0.1:41235", "localhost:41234", "evil.example"])
async def test_the_same_text_for_another_page_is_refused(still_world: Any, refused: Any, other: str) -> None:
    buyer = still_world.stranger()
    text = (await challenge(buyer, PAGES[0])).text
    bent = text.replace(PAGES[0], other)
    request = LoginRequest(buyer.signer.address, Role.ENGINE, bent, buyer.signer.sign(bent.encode()))
    with refused("login_refused"):
        await buyer.call("auth.login", request, LoginReply)


async def test_the_domain_of_the_last_challenge_counts(still_world: Any, refused: Any) -> None:
    buyer = still_world.stranger()
    first = (await challenge(buyer, PAGES[0])).text
    await challenge(buyer, PAGES[1])
    with refused("login_refused"):
        await buyer.answer(first)
