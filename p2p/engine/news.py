"""What is worth telling a person who is not looking: a job has ended, its time runs out, a login ends.

A job's news is written with its history, by the journal itself. Each has a number, so that whoever was told
up to one is not told again.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator

import trio

from p2p.core.errors import CyxWizError
from p2p.core.limits import ENGINE_RETRY_MAX_S, LOGIN_LOOK_S, LOGIN_SOON_S, NEWS_LISTED_MAX
from p2p.core.wallet_choice import WalletKind
from p2p.engine.context import Engine, spec_of
from p2p.engine.parameters import Params
from p2p.store.engine import NewsRow

_LOG = logging.getLogger(__name__)


async def news_items(engine: Engine, after: int | None, *, follow: bool) -> AsyncGenerator[Params, None]:
    """Items ``{"cursor", "news"}``: the first, without news, says where it begins; then comes all that is
    after ``after``, or after now; with ``follow`` until nobody listens."""
    last = await engine.tables.last_news()
    cursor = last if after is None else min(after, last)
    yield {"cursor": cursor, "news": None}
    while True:
        since = engine.live.any.count
        found = await engine.tables.news_after(cursor, NEWS_LISTED_MAX)
        for row in found:
            cursor = row.seq
            yield {"cursor": cursor, "news": await _to_json(engine, row)}
        if not found and not follow:
            return
        if found:
            continue
        await engine.live.any.wait(since, ENGINE_RETRY_MAX_S)


async def _to_json(engine: Engine, row: NewsRow) -> Params:
    job = None if row.job_id is None else await engine.tables.job(row.job_id)
    return {
        "kind": row.kind,
        "at_s": row.at_s,
        "job_id": row.job_id,
        "job_name": None if job is None else spec_of(job).name,
        "detail": row.detail,
    }


async def watch_login(engine: Engine) -> None:
    """Say in time that a login ends, where only the person can log in again. Runs until cancelled."""
    while True:
        try:
            await look_at_login(engine)
        except CyxWizError as error:
            _LOG.debug("no login to look at: %s", error.what)
        await trio.sleep(LOGIN_LOOK_S)


async def look_at_login(engine: Engine) -> None:
    """Once."""
    account = await engine.wallets.account()
    until_s = await engine.link.login_ends_at_s(account)
    if account.kind is WalletKind.KEYPAIR or until_s is None:
        return
    if until_s - engine.clock.now_s() < LOGIN_SOON_S:
        mark = f"login {account.wallet} {until_s:.0f}"
        if await engine.tables.add_news("login_ends", f"{until_s:.0f}", mark):
            engine.live.any.ring()
