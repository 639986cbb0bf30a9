"""Wallets whose key the engine cannot read: it takes their signatures, and cannot log them in by itself."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from p2p.chain.keys import load_keypair
from p2p.core.errors import Refused, UserError
from p2p.core.messages.jobs import JobRef, JobView

PAGE = "127.0.0.1:41234"


async def log_in(world: Any, handlers: Any, domain: str = "", **more: Any) -> Any:
    text = (await handlers["login_challenge"]({"wallet": world.buyer, "domain": domain}))["text"]
    signature = base64.b64encode(load_keypair(world.keypair).sign(text.encode())).decode()
    return await handlers["login_finish"](
        {"wallet": world.buyer, "text": text, "signature": signature, **more}
    )


@pytest.mark.parametrize(
    ("domain", "more", "kind", "command"),
    [
        (PAGE, {}, "browser", "`cyxwiz login`"),
        ("", {"keystore": "/k/own.keystore"}, "keystore", "`cyxwiz login --keystore /k/own.keystore`"),
    ],
)
async def test_a_login_that_ended_is_the_person_s_to_renew(
    world: Any, domain: str, more: dict[str, str], kind: str, command: str
) -> None:
    async with world.engine() as running:
        handlers = running.api.handlers()
        assert (await log_in(world, handlers, domain, **more))["expires_at_s"] > 0
        account = await handlers["account"]({})
        assert account == {"wallet": world.buyer, "kind": kind, "file": more.get("keystore")}
        job_id = await world.submit(running)  # the session keys do it; the wallet is not asked
        world.coordinator.wallet = ""
        with pytest.raises(Refused) as caught:
            await running.engine.link.call("job.show", JobRef(job_id), JobView)
        assert caught.value.code == "not_logged_in"
        assert len(caught.value.lines()) == 3
        assert f"The login of the wallet {world.buyer} has ended." in caught.value.what
        assert command in caught.value.hint
        for name in ("wallet_deposit", "wallet_withdraw"):
            with pytest.raises(Refused) as caught:
                await handlers[name]({"asset": "usdc", "units": 1})
            assert caught.value.code == "wallet_elsewhere"
        await log_in(world, handlers, domain, **more)
        assert (await running.engine.link.call("job.show", JobRef(job_id), JobView)).job_id == job_id


async def test_the_kind_of_the_last_login_counts(world: Any) -> None:
    async with world.engine() as running:
        handlers = running.api.handlers()
        assert (await handlers["account"]({}))["kind"] == "keypair"
        await log_in(world, handlers, "", keystore="/k/own.keystore")
        await log_in(world, handlers, PAGE)
        assert await handlers["account"]({}) == {"wallet": world.buyer, "kind": "browser", "file": None}
        await handlers["login"]({"keypair": str(world.keypair)})
        account = await handlers["account"]({})
    assert account == {"wallet": world.buyer, "kind": "keypair", "file": str(world.keypair)}


async def test_what_cannot_be_asked_is_refused(world: Any, tmp_path: Path) -> None:
    async with world.engine() as running:
        handlers = running.api.handlers()
        before = world.coordinator.calls.count("auth.challenge")
        for params, code in (
            ({"wallet": world.buyer, "domain": "evil.example"}, "bad_domain"),
            ({"wallet": "../../x"}, "bad_wallet"),
        ):
            with pytest.raises(UserError) as caught:
                await handlers["login_challenge"](params)
            assert caught.value.code == code
        assert world.coordinator.calls.count("auth.challenge") == before
        with pytest.raises(UserError):
            await handlers["session_keys"]({"wallet": "../../x"})
        with pytest.raises(UserError) as caught:
            await handlers["login_finish"]({"wallet": world.buyer, "text": "", "signature": "?"})
        assert caught.value.code == "bad_message"


async def test_a_coordinator_that_asks_for_another_page_s_login_is_not_believed(world: Any) -> None:
    async with world.engine() as running:
        handlers = running.api.handlers()
        text = (await handlers["login_challenge"]({"wallet": world.buyer, "domain": PAGE}))["text"]
        assert text.startswith(f"{PAGE} wants you")
        for bent in (
            text.replace(PAGE, "127.0.0.1:1"),
            text.replace(f"http://{PAGE}", "http://evil.example"),
        ):
            world.coordinator.challenge_text = bent
            with pytest.raises(UserError) as caught:
                await handlers["login_challenge"]({"wallet": world.buyer, "domain": PAGE})
            assert caught.value.code == "strange_challenge"


async def test_the_history_bears_the_names_of_the_jobs(world: Any) -> None:
    async with world.engine() as running:
        job_id = await world.submit(running, name="digits")
        found = await running.api.handlers()["wallet_history"]({})
    opened = next(entry for entry in found if entry["kind"] == "open")
    assert (opened["job_id"], opened["job_name"], opened["explorer"]) == (job_id, "digits", None)
    assert next(entry for entry in found if entry["kind"] == "deposit")["job_name"] is None
