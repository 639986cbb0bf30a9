"""The coordinator as fee payer: for whom, for what, how often, and how its rents come back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import trio

from coordinator.domain.settings import Settings
from coordinator.service.audit import audit
from p2p.chain.accounts import JOB_BYTES, rent_lamports
from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer
from p2p.chain.sponsored import SponsoredCall, call_instruction
from p2p.chain.transaction import assemble, build_message, sign_message
from p2p.core.agreement import run_limit_s
from p2p.core.errors import Refused
from p2p.core.ids import JobId, new_job_id
from p2p.core.limits import (
    CLOSE_AFTER_S,
    SPONSOR_RESERVE_LAMPORTS,
    SPONSORED_LOOK_S,
    SPONSORED_UNQUEUED_S,
    TERMS_LIFETIME_S,
)
from p2p.core.messages.jobs import JobView, Terms
from p2p.core.messages.sponsor import (
    SponsoredAction,
    SponsorOffer,
    SponsorOfferRequest,
    SponsorReply,
    SponsorRequest,
)
from p2p.core.money import Asset
from p2p.core.signing import Domain, Signed, statement_hash
from p2p.core.states import JobState
from p2p.wire.codec import decode

FEE_LAMPORTS = 10_000  # two signatures; nobody pays for priority on a localnet
RENT_BACK_LAMPORTS = rent_lamports(JOB_BYTES) - rent_lamports(2)
RENT_KEPT_LAMPORTS = rent_lamports(2)


@dataclass
class Poor:
    """A buyer whose session key has never had any SOL."""

    world: Any
    buyer: Any
    session: Signer

    async def sign(self, call: SponsoredCall, terms: Signed | None = None, **changes: Any) -> Any:
        """Ask the coordinator to pay for a call, then sign it with the session key."""
        world, chain = self.world, self.world.chain
        payer, recent = world.localnet.coordinator.address, await chain.recent()
        message = build_message([call_instruction(call, chain.chain, payer)], payer, recent)
        request = SponsorRequest(call.action, call.job_id, call.actor, message, call.units, terms)
        reply = await self.buyer.call("chain.sponsor", replace(request, **changes), SponsorReply)
        both = {payer: reply.signature, self.session.address: sign_message(message, self.session)}
        return assemble(message, both, recent.last_valid_height)

    async def quoted(self) -> tuple[Signed, SponsoredCall]:
        terms = (await self.buyer.quote(self.buyer.spec(gpu_type="cpu"))).terms
        return terms, self.opening(terms)

    def opening(self, signed: Signed, **changes: Any) -> SponsoredCall:
        terms = decode(Terms, signed.payload)
        return replace(
            SponsoredCall(
                SponsoredAction.OPEN,
                self.session.address,
                self.buyer.signer.address,
                JobId(terms.job_id),
                terms.asset,
                terms.deposit_units,
                statement_hash(Domain.TERMS, signed.payload),
                run_limit_s(terms.timeout_s, self.world.on_chain.longest_job_s),
            ),
            **changes,
        )

    async def open(self) -> tuple[Signed, JobId]:
        """Open a job on chain at the coordinator's cost."""
        terms, call = await self.quoted()
        await self.world.chain.send_and_confirm(await self.sign(call, terms))
        return terms, call.job_id

    def call(self, action: SponsoredAction, job_id: JobId, units: int = 0) -> SponsoredCall:
        owner = self.buyer.signer.address
        return SponsoredCall(action, self.session.address, owner, job_id, Asset.USDC, units)

    async def offer(self) -> SponsorOffer:
        return await self.buyer.call("chain.sponsor_offer", SponsorOfferRequest(), SponsorOffer)


async def poor(world: Any, *, allowance_units: int = 5_000_000, lasts_s: int = 86_400) -> Poor:
    buyer, session = await world.buyer(), Signer.generate()
    until_s = await world.chain.chain_time_s() + lasts_s
    await world.chain.authorize(buyer.signer, session.address, Asset.USDC, allowance_units, until_s)
    return Poor(world, buyer, session)


async def lamports(world: Any, wallet: Any = None) -> int:
    return int(await world.chain.wallet_balance(wallet or world.localnet.coordinator.address, Asset.SOL))


async def test_a_job_is_opened_and_its_rent_comes_back(still_world: Any) -> None:
    world, someone = still_world, await poor(still_world)
    assert (await someone.offer()).offered
    before = await lamports(world)
    terms, job_id = await someone.open()
    assert before - await lamports(world) == FEE_LAMPORTS + rent_lamports(JOB_BYTES)
    assert await lamports(world, someone.session.address) == 0
    job = await world.chain.existing_job(someone.buyer.signer.address, job_id)
    assert job.rent_payer == world.localnet.coordinator.address
    spec = someone.buyer.spec(gpu_type="cpu")
    await someone.buyer.call("job.submit", someone.buyer.submission(spec, terms, ""), JobView)
    await someone.buyer.cancel(job_id)
    world.clock.ahead_s += 60
    await world.coordinator.settler.work_on(world.actions(job_id)[0].action_id)
    assert world.job(job_id).status is JobState.REFUNDED
    world.clock.ahead_s += CLOSE_AFTER_S
    assert await world.coordinator.settler.close_accounts() == 1
    refund_and_close = 5000 + 5000
    assert before - await lamports(world) == FEE_LAMPORTS + refund_and_close + RENT_KEPT_LAMPORTS
    world.clock.ahead_s += SPONSORED_LOOK_S
    await settle_rows(world, job_id, "done")
    assert await world.balance(someone.buyer.signer.address) == 5_000_000


async def settle_rows(world: Any, job_id: str, state: str) -> None:
    """Look until the row is where it belongs: the local chain is final only a moment later."""

    async def look() -> list[dict[str, Any]]:
        await world.coordinator.rents.sweep()
        world.clock.ahead_s += SPONSORED_LOOK_S
        return [dict(row) for row in rows(world, job_id)]

    await world.until(look, lambda found: {row["state"] for row in found} == {state})


def rows(world: Any, job_id: str) -> list[Any]:
    with world.db.raw() as connection:
        found = connection.execute("SELECT state FROM sponsored WHERE job_id = %s", (job_id,)).fetchall()
    return [{"state": state} for (state,) in found]


async def test_an_open_job_that_is_never_queued_goes_back_by_itself(still_world: Any) -> None:
    world, someone = still_world, await poor(still_world)
    _, job_id = await someone.open()
    await settle_rows(world, job_id, "open")
    owner = someone.buyer.signer.address
    assert (await world.chain.existing_job(owner, job_id)).status.name == "OPEN"
    world.clock.ahead_s += SPONSORED_UNQUEUED_S
    before = await lamports(world)
    await settle_rows(world, job_id, "done")
    assert await world.balance(owner) == 5_000_000
    assert await lamports(world) - before == RENT_BACK_LAMPORTS - 2 * 5000
    await world.coordinator.follower.follow()
    assert (await audit(world.db, world.chain)).differences == []  # of a job that the queue never had


async def test_top_up_dispute_and_cancel(still_world: Any) -> None:
    world, someone = still_world, await poor(still_world)
    owner = someone.buyer.signer.address
    terms, job_id = await someone.open()
    assert await refusal(someone, someone.call(SponsoredAction.TOP_UP, job_id, 7)) == "unknown_job"
    cancelled = (await someone.open())[1]
    await world.chain.send_and_confirm(await someone.sign(someone.call(SponsoredAction.CANCEL, cancelled)))
    spec = someone.buyer.spec(gpu_type="cpu")
    await someone.buyer.call("job.submit", someone.buyer.submission(spec, terms, ""), JobView)
    await world.chain.send_and_confirm(await someone.sign(someone.call(SponsoredAction.TOP_UP, job_id, 7)))
    assert (await world.chain.existing_job(owner, job_id)).deposit_units == 40_007
    assert await refusal(someone, someone.call(SponsoredAction.DISPUTE, job_id)) == "not_sponsored"
    for units in (0, -1):
        more = someone.call(SponsoredAction.TOP_UP, job_id, 1)
        assert await refusal(someone, more, units=units) == "bad_amount"
    coordinator, node = world.localnet.coordinator, Signer.generate().address
    assign = await world.chain.prepare_assign(coordinator, owner, job_id, node)
    await world.chain.send_and_confirm(assign)
    cancel = someone.call(SponsoredAction.CANCEL, job_id)
    assert await refusal(someone, cancel) == "not_sponsored"  # a node is assigned
    claim = await world.chain.prepare_claim(coordinator, owner, job_id, 5, b"\x01" * 32)
    await world.chain.send_and_confirm(claim)
    await world.chain.send_and_confirm(await someone.sign(someone.call(SponsoredAction.DISPUTE, job_id)))
    assert (await world.chain.existing_job(owner, job_id)).status.name == "DISPUTED"
    assert await lamports(world, someone.session.address) == 0


async def refusal(someone: Poor, call: SponsoredCall, terms: Signed | None = None, **changes: Any) -> str:
    before = len(rows(someone.world, call.job_id))
    with pytest.raises(Exception) as caught:
        await someone.sign(call, terms, **changes)
    assert len(rows(someone.world, call.job_id)) == before
    return str(getattr(caught.value, "code", caught.value))


async def test_an_engine_that_asks_for_something_else(still_world: Any) -> None:
    world = still_world
    someone, other = await poor(world), await poor(world)
    terms, call = await someone.quoted()
    for changes in (
        {"units": call.units + 1},
        {"terms_hash": bytes(32)},
        {"run_s": 1},
        {"job_id": new_job_id()},
    ):
        bent = replace(call, **changes)
        assert await refusal(someone, bent, terms, job_id=call.job_id) == "sponsored_differs"
    # terms that are not ours, another buyer's, another job's, missing, too old
    forged = someone.buyer.sign(Domain.TERMS, terms.payload)
    assert await refusal(someone, call, forged) == "bad_terms"
    assert await refusal(someone, call, replace(forged, signer=terms.signer)) == "bad_terms"
    assert await refusal(other, call, terms) == "bad_terms"
    assert await refusal(someone, call, None) == "bad_message"
    theirs, _ = await someone.quoted()
    assert await refusal(someone, call, theirs) == "not_sponsored"
    # another owner's job, with the own session key and with theirs
    stolen = other.opening(terms, owner=someone.buyer.signer.address, actor=someone.session.address)
    assert await refusal(other, stolen, terms) == "bad_terms"
    # a key that no wallet authorised, another wallet's, and the coordinator's own as a session key
    for key in (Signer.generate().address, other.session.address, someone.buyer.signer.address):
        assert await refusal(someone, replace(call, actor=key), terms) == "not_sponsored"
    own = world.localnet.coordinator.address
    until_s = await world.chain.chain_time_s() + 86_400
    await world.chain.authorize(someone.buyer.signer, own, Asset.USDC, 5_000_000, until_s)
    assert await refusal(someone, replace(call, actor=own), terms) == "sponsored_differs"
    # other jobs' escrows
    _, job_id = await other.open()
    assert await refusal(someone, someone.call(SponsoredAction.CANCEL, job_id)) == "no_such_escrow"
    foreign = replace(someone.call(SponsoredAction.CANCEL, job_id), owner=other.buyer.signer.address)
    assert await refusal(someone, foreign) == "no_such_escrow"
    # an escrow whose rent somebody else paid
    mine = (await someone.buyer.quote(someone.buyer.spec())).terms
    await someone.buyer.open_escrow(mine)
    paid = JobId(decode(Terms, mine.payload).job_id)
    assert await refusal(someone, someone.call(SponsoredAction.CANCEL, paid)) == "not_sponsored"
    assert await refusal(someone, someone.opening(mine), mine) == "not_sponsored"  # it is open already
    world.clock.ahead_s += TERMS_LIFETIME_S + 1
    assert await refusal(someone, call, terms) == "not_sponsored"


async def test_what_the_chain_would_refuse_is_not_paid_for(still_world: Any) -> None:
    small = await poor(still_world, allowance_units=39_999)
    terms, call = await small.quoted()
    assert await refusal(small, call, terms) == "not_sponsored"
    late = await poor(still_world, lasts_s=5)
    terms, call = await late.quoted()
    ends_at_s = await still_world.chain.chain_time_s() + 5
    await still_world.until(still_world.chain.chain_time_s, lambda now_s: now_s > ends_at_s)
    assert await refusal(late, call, terms) == "not_sponsored"
    spent = await poor(still_world)
    terms, call = await spent.quoted()
    await still_world.chain.withdraw(spent.buyer.signer, Asset.USDC, 4_960_001)
    assert await refusal(spent, call, terms) == "not_sponsored"


async def test_the_same_question_has_the_same_answer_and_counts_once(
    still_world: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("coordinator.service.sponsor.SPONSORED_PER_HOUR_MAX", 2)
    world, someone = still_world, await poor(still_world)
    terms, call = await someone.quoted()
    payer, recent = world.localnet.coordinator.address, await world.chain.recent()
    message = build_message([call_instruction(call, world.chain.chain, payer)], payer, recent)
    request = SponsorRequest(call.action, call.job_id, call.actor, message, call.units, terms)
    answers = {(await someone.buyer.call("chain.sponsor", request, SponsorReply)).signature for _ in range(5)}
    assert len(answers) == 1
    assert len(rows(world, call.job_id)) == 1


async def test_each_wallet_has_its_limit_also_at_once(still_world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("coordinator.service.sponsor.SPONSORED_PER_HOUR_MAX", 3)
    someone, other = await poor(still_world), await poor(still_world)
    signed, refusals = [], []

    async def ask() -> None:
        terms, call = await someone.quoted()
        try:
            signed.append(await someone.sign(call, terms))
        except Refused as error:
            refusals.append(error.code)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(ask)
    assert (len(signed), refusals) == (3, ["not_sponsored"] * 5)
    offer = await someone.offer()
    assert not offer.offered
    assert "3 transactions" in offer.reason
    assert (await other.offer()).offered
    still_world.clock.ahead_s += 3601
    assert (await someone.offer()).offered


async def test_rents_at_once_are_limited(still_world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("coordinator.service.sponsor.SPONSORED_RENTS_MAX", 1)
    someone = await poor(still_world)
    _, job_id = await someone.open()
    terms, call = await someone.quoted()
    assert await refusal(someone, call, terms) == "not_sponsored"
    assert "rent of 1 jobs" in (await someone.offer()).reason
    await still_world.chain.send_and_confirm(await someone.sign(someone.call(SponsoredAction.CANCEL, job_id)))
    await settle_rows(still_world, job_id, "done")
    await someone.sign(call, terms)


async def test_the_coordinator_keeps_what_it_needs_itself(still_world: Any, monkeypatch: Any) -> None:
    someone = await poor(still_world)
    has = await lamports(still_world)
    assert has > SPONSOR_RESERVE_LAMPORTS
    monkeypatch.setattr("coordinator.service.sponsor.SPONSOR_RESERVE_LAMPORTS", has - 4_000_000)
    terms, call = await someone.quoted()
    await someone.sign(call, terms)  # not sent: its rent is still to be paid
    terms, call = await someone.quoted()
    assert await refusal(someone, call, terms) == "not_sponsored"
    assert (await someone.offer()).reason == "it has too little SOL itself"


async def test_it_can_be_switched_off(make_world: Any) -> None:
    async with make_world(run=False, settings=Settings(fee_payer=False)) as world:
        someone = await poor(world)
        assert await someone.offer() == SponsorOffer(False, "it does not pay for anybody")
        terms, call = await someone.quoted()
        assert await refusal(someone, call, terms) == "not_sponsored"


async def test_what_never_landed_is_given_up(still_world: Any) -> None:
    world, someone = still_world, await poor(still_world)
    terms, call = await someone.quoted()
    await someone.sign(call, terms)
    with world.db.raw() as connection:
        connection.execute("UPDATE sponsored SET last_valid_height = 0")
    world.clock.ahead_s += SPONSORED_LOOK_S
    assert await world.coordinator.rents.sweep() >= 1
    assert rows(world, call.job_id) == [{"state": "done"}]


async def test_a_rent_is_followed_though_no_node_keeps_the_history(
    still_world: Any, monkeypatch: Any
) -> None:
    """The accounts themselves tell: a coordinator that was away for a week finds what it paid for."""
    world, someone = still_world, await poor(still_world)
    _, job_id = await someone.open()
    terms, call = await someone.quoted()
    await someone.sign(call, terms)  # and never sends it
    own, own_call = await someone.quoted()
    await someone.sign(own_call, own)
    await someone.buyer.open_escrow(own)  # with SOL of his own, in the end
    with world.db.raw() as connection:
        connection.execute("UPDATE sponsored SET last_valid_height = 0")
    ask = EscrowClient._ask_at

    async def forgetful(chain: Any, url: str, method: str, *params: object) -> object:
        reply: Any = await ask(chain, url, method, *params)
        if method == "getSignatureStatuses":
            return {**reply, "value": [None]}
        return 10**9 if method == "getFirstAvailableBlock" else reply

    monkeypatch.setattr(EscrowClient, "_ask_at", forgetful)
    await settle_rows(world, job_id, "open")
    await settle_rows(world, call.job_id, "done")
    await settle_rows(world, own_call.job_id, "done")
