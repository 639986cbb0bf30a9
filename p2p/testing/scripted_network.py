"""A scripted coordinator and a scripted node: real peers that say what a test tells them to.

Unless told otherwise they do what honest ones do, and the settlement that the coordinator offers is a real
transaction of the escrow program.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import trio

from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer
from p2p.chain.transaction import assemble, sign_message
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import CyxWizError, Refused
from p2p.core.ids import JobId, Wallet
from p2p.core.jobspec import JobSpec
from p2p.core.login import uri_of
from p2p.core.manifest import FileEntry, Manifest, make_manifest
from p2p.core.messages.auth import Ack, Challenge, ChallengeRequest, LoginReply, LoginRequest
from p2p.core.messages.disputes import DisputeRequest, DisputeStatement, ReviewView
from p2p.core.messages.estimates import Estimate, EstimateRequest
from p2p.core.messages.jobs import (
    CountersignRequest,
    EventList,
    EventsRequest,
    JobEvent,
    JobRef,
    JobView,
    Quote,
    QuoteRequest,
    RateTerm,
    ReceiptRequest,
    ResultStatement,
    RuleCount,
    SettleOffer,
    SubmitRequest,
    Terms,
)
from p2p.core.messages.transfer import LogItem, LogRequest, ManifestReply, ManifestRequest, ReceivedNotice
from p2p.core.messages.usage import UsageReply, UsageRequest, UsageSample
from p2p.core.money import USD_MICROS, Asset, cost_units, usd_to_units
from p2p.core.signing import Domain, Signed, signing_input, statement_hash
from p2p.core.states import DisputeState, JobState
from p2p.engine.sources import InputSource
from p2p.net.bulk import BulkServer
from p2p.net.peer import Call, Peer
from p2p.wire.codec import decode, encode

RATE = RateTerm("cpu", 40_000, 40_000)
"""What the scripted coordinator asks for an hour, in USDC."""
SOL_USD_MICROS = 150_000_000


@dataclass
class ScriptedNode:
    """A node that has run a job; serves its log and outputs."""

    peer: Peer
    files: Path
    log: bytes = b"Epoch 1/2 loss=0.5\nEpoch 2/2 loss=0.25\n"
    log_ended: bool = True
    cut_log_after: list[int] = field(default_factory=list)
    asked_offsets: list[int] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    outputs: dict[str, bytes] = field(
        default_factory=lambda: {"model.pt": b"weights" * 1000, "a/b.txt": b"x"}
    )
    lie: Callable[[Manifest], Manifest] = lambda manifest: manifest
    samples: list[UsageSample] = field(default_factory=list)
    samples_ended: bool = True

    def attach(self) -> None:
        """Serve on the node's peer."""
        self.source = InputSource()
        self.peer.serve("files.manifest", self._manifest)
        self.peer.serve("job.received", self._received)
        self.peer.serve("job.usage", self._usage)
        self.peer.serve_stream("logs.follow", self._follow)
        BulkServer(self.peer, self.source)

    def manifest(self) -> Manifest:
        """Of the outputs."""
        entries = [FileEntry(p, len(b), (sha256(b).digest(),) if b else ()) for p, b in self.outputs.items()]
        return make_manifest(entries)

    async def _manifest(self, call: Call) -> bytes:
        request = decode(ManifestRequest, call.payload)
        for path, body in self.outputs.items():
            (self.files / path).parent.mkdir(parents=True, exist_ok=True)
            (self.files / path).write_bytes(body)
        sources = {path: self.files / path for path in self.outputs}
        grant = self.source.grant(request.job_id, call.peer_id, self.manifest(), sources)
        return encode(ManifestReply(encode(self.lie(self.manifest())), grant))

    async def _received(self, call: Call) -> bytes:
        self.received.append(decode(ReceivedNotice, call.payload).job_id)
        return encode(Ack())

    async def _usage(self, call: Call) -> bytes:
        after = decode(UsageRequest, call.payload).after
        page, left = self.samples[after : after + 2], len(self.samples) - after
        return encode(UsageReply(tuple(page), left > 2, self.samples_ended, 2.0, 2**30))

    async def _follow(self, call: Call) -> AsyncGenerator[bytes, None]:
        offset = decode(LogRequest, call.payload).offset
        self.asked_offsets.append(offset)
        cut = self.cut_log_after.pop(0) if self.cut_log_after else len(self.log)
        while offset < min(cut, len(self.log)):
            piece = self.log[offset : offset + 7][: max(1, cut - offset)]
            ended = self.log_ended and offset + len(piece) == len(self.log)
            yield encode(LogItem(offset, piece, ended))
            offset += len(piece)

    def statement(self, view: JobView, spec: JobSpec, run_seconds: float = 9.5) -> Signed:
        """What the node swears to about the outputs and the log that it has now."""
        manifest = self.manifest()
        statement = ResultStatement(
            job_id=view.job_id,
            epoch=view.epoch,
            input_root=spec.input_root,
            image_digest="sha256:00",
            output_root=manifest.root(),
            output_bytes=manifest.size_bytes,
            output_files=len(manifest.files),
            log_sha256=sha256(self.log).digest(),
            log_bytes=len(self.log),
            exit_code=0,
            started_at_s=1.0,
            finished_at_s=1.0 + run_seconds,
            run_seconds=run_seconds,
            cpu_seconds=1.0,
            memory_peak_bytes=1,
        )
        payload = encode(statement)
        signature = self.peer.identity.sign(signing_input(Domain.RESULT, payload))
        return Signed(payload, self.peer.peer_id, signature)


class ScriptedCoordinator:
    """Answers an engine; ``fail[method]`` makes a method raise."""

    def __init__(self, peer: Peer, chain: EscrowClient, signer: Signer, node: ScriptedNode) -> None:
        self.peer, self.chain, self.signer, self.node = peer, chain, signer, node
        self.node_wallet = Signer.generate().address
        self.fail: dict[str, CyxWizError] = {}
        self.calls: list[str] = []
        self.views: dict[str, JobView] = {}
        self.specs: dict[str, JobSpec] = {}
        self.terms: dict[str, Terms] = {}
        self.events: list[JobEvent] = []
        self.wallet = ""
        self._settling: tuple[Wallet, int, int] | None = None
        self.challenge_text = ""
        self.overcharge = 0
        self.disputes: list[DisputeRequest] = []
        self._news = trio.Event()
        handlers = {
            "auth.challenge": self._challenge,
            "auth.login": self._login,
            "offers.estimate": self._estimate,
            "job.quote": self._quote,
            "job.submit": self._submit,
            "job.show": self._show,
            "job.events": self._events,
            "job.cancel": self._cancel,
            "job.receipt": self._receipt,
            "job.countersign": self._countersign,
            "job.dispute": self._dispute,
        }
        for method, handler in handlers.items():
            self.serve(method, handler)

    def serve(self, method: str, handler: Callable[[Call], Awaitable[object]]) -> None:
        """Answer a method, once somebody is logged in."""
        self.peer.serve(method, self._guarded(method, handler))

    def _guarded(
        self, method: str, handler: Callable[[Call], Awaitable[object]]
    ) -> Callable[[Call], Awaitable[bytes]]:
        async def guarded(call: Call) -> bytes:
            self.calls.append(method)
            if method in self.fail:
                raise self.fail[method]
            if not method.startswith("auth.") and not self.wallet:
                raise Refused("not_logged_in", "Not logged in.")
            return encode(await handler(call))

        return guarded

    def move(self, job_id: str, state: JobState, code: str = "", **changes: Any) -> JobView:
        """A job's next state, as the engine will hear of it."""
        old = self.views[job_id]
        view = replace(old, state=state, revision=old.revision + 1, **changes)
        self.views[job_id] = view
        seq = len(self.events) + 1
        event = JobEvent(seq, job_id, SYSTEM_CLOCK.now_s(), old.state, state, view.attempt, code, "")
        self.events.append(event)
        self._news.set()
        self._news = trio.Event()
        return view

    async def run(self, job_id: str, epoch: int = 1) -> JobView:
        """Assign the job on chain and let it run on the node."""
        view = self.views[job_id]
        transaction = await self.chain.prepare_assign(
            self.signer, Wallet(view.buyer), JobId(job_id), self.node_wallet
        )
        await self.chain.send_and_confirm(transaction)
        return self.move(
            job_id,
            JobState.RUNNING,
            epoch=epoch,
            attempt=epoch,
            gpu_class="cpu",
            rate_units_per_hour=RATE.units_per_hour,
            node_peer_id=self.node.peer.peer_id,
            node_addresses=self.node.peer.addresses,
            node_wallet=self.node_wallet,
        )

    def deliver(self, job_id: str, ran_s: int = 10, **bent: Any) -> JobView:
        """The node has delivered; ``bent`` changes its statement before it is passed on."""
        statement = replace(self.node.statement(self.views[job_id], self.specs[job_id], ran_s - 0.5), **bent)
        return self.move(job_id, JobState.DELIVERING, statement=statement, used_seconds=ran_s)

    async def refund(self, job_id: str) -> JobView:
        """Give the whole deposit back on chain."""
        view = self.views[job_id]
        transaction = await self.chain.prepare_refund(self.signer, Wallet(view.buyer), JobId(job_id))
        await self.chain.send_and_confirm(transaction)
        return self.move(job_id, JobState.REFUNDED)

    async def claim(self, job_id: str) -> int:
        """Claim ten seconds of a delivered job; their cost."""
        view = self.views[job_id]
        assert view.statement is not None
        owner, used = Wallet(view.buyer), cost_units(RATE.units_per_hour, 10)
        result = statement_hash(Domain.RESULT, view.statement.payload)
        claim = await self.chain.prepare_claim(self.signer, owner, JobId(job_id), used, result)
        await self.chain.send_and_confirm(claim)
        return used

    async def resolve(self, job_id: str, arbiter: Signer, units: int) -> JobView:
        """The arbiter pays so much of a disputed claim."""
        view = self.views[job_id]
        assert view.review is not None
        resolve = await self.chain.prepare_resolve(arbiter, Wallet(view.buyer), JobId(job_id), units)
        await self.chain.send_and_confirm(resolve)
        review = replace(view.review, dispute=DisputeState.RESOLVED, decided_units=units)
        now_s = SYSTEM_CLOCK.now_s()
        return self.move(job_id, JobState.SETTLED, used_units=units, review=review, updated_at_s=now_s)

    async def finalize(self, job_id: str, **changes: Any) -> JobView:
        """Claim ten seconds of a delivered job, paid after the review window; moves the chain's clock."""
        used = await self.claim(job_id)
        owner = Wallet(self.views[job_id].buyer)
        window_s = (await self.chain.existing_job(owner, JobId(job_id))).review_window_s
        await self.chain.ask("cyxwizAdvanceClock", window_s + 1)
        await self.chain.send_and_confirm(
            await self.chain.prepare_finalize(self.signer, owner, JobId(job_id))
        )
        changes.setdefault("updated_at_s", SYSTEM_CLOCK.now_s())
        return self.move(job_id, JobState.SETTLED, used_units=used, **changes)

    # -- handlers

    async def _challenge(self, call: Call) -> Challenge:
        request = decode(ChallengeRequest, call.payload)
        text = "\n".join(
            (
                f"{request.domain} wants you to sign in with your Solana account:",
                request.wallet,
                "",
                f"Log in to CyxWiz as engine from peer {call.peer_id}. This moves no money.",
                "",
                f"URI: {uri_of(request.domain)}",
            )
        )
        return Challenge(self.challenge_text or text, "nonce", 2**40)

    async def _login(self, call: Call) -> LoginReply:
        self.wallet = decode(LoginRequest, call.payload).wallet
        chain = self.chain.chain
        return LoginReply(2**40, chain.cluster, chain.program_id, chain.usdc_mint, self.signer.address)

    async def _quote(self, call: Call) -> Quote:
        request = decode(QuoteRequest, call.payload)
        timeout_s, asset = request.spec.config.timeout_s, request.spec.asset
        price = SOL_USD_MICROS if asset is Asset.SOL else USD_MICROS
        units_per_hour = usd_to_units(RATE.usd_micros_per_hour, asset, price)
        terms = Terms(
            job_id=request.job_id,
            buyer=self.wallet,
            asset=asset,
            rates=(replace(RATE, units_per_hour=units_per_hour),),
            timeout_s=timeout_s,
            deposit_units=cost_units(units_per_hour, timeout_s),
            fee_bps=(await self.chain.config()).fee_bps,
            spec_hash=statement_hash(Domain.SPEC, encode(request.spec)),
            coordinator_wallet=self.signer.address,
            expires_at_s=int(SYSTEM_CLOCK.now_s()) + 900,
            asset_price_usd_micros=price,
        )
        payload = encode(terms)
        signature = self.peer.identity.sign(signing_input(Domain.TERMS, payload))
        return Quote(Signed(payload, self.peer.peer_id, signature), 1, 1, (), 0)

    async def _estimate(self, call: Call) -> Estimate:
        request = decode(EstimateRequest, call.payload)
        most = cost_units(RATE.units_per_hour, request.config.timeout_s)
        busy = RuleCount("busy", 2, "are busy with other jobs")
        return Estimate((RATE,), most, 1000, USD_MICROS, 2, 0, (busy,), 1, 2, 0, 60.0, 60.0, 3)

    async def _submit(self, call: Call) -> JobView:
        request = decode(SubmitRequest, call.payload)
        terms = decode(Terms, request.terms.payload)
        now_s = SYSTEM_CLOCK.now_s()
        if terms.job_id not in self.views:
            self.specs[terms.job_id], self.terms[terms.job_id] = request.spec, terms
            self.views[terms.job_id] = JobView(
                job_id=terms.job_id,
                name=request.spec.name,
                buyer=terms.buyer,
                state=JobState.QUEUED,
                revision=1,
                epoch=0,
                attempt=1,
                created_at_s=now_s,
                updated_at_s=now_s,
                asset=terms.asset,
                deposit_units=terms.deposit_units,
                fee_bps=terms.fee_bps,
                timeout_s=terms.timeout_s,
                gpu_type="any",
            )
        return self.views[terms.job_id]

    async def _show(self, call: Call) -> JobView:
        return self.views[decode(JobRef, call.payload).job_id]

    async def _events(self, call: Call) -> EventList:
        request = decode(EventsRequest, call.payload)
        with trio.move_on_after(request.wait_s):
            while len(self.events) <= request.after_seq:
                await self._news.wait()
        return EventList(tuple(self.events[request.after_seq :]))

    async def _cancel(self, call: Call) -> SettleOffer:
        job_id = decode(JobRef, call.payload).job_id
        view = self.move(job_id, JobState.CANCELLED)
        return SettleOffer(b"", 0, b"", view)

    async def _receipt(self, call: Call) -> SettleOffer:
        request = decode(ReceiptRequest, call.payload)
        view = self.views[request.job_id]
        if view.state is JobState.DELIVERING:
            view = self.move(request.job_id, JobState.COMPLETED, receipt=request.receipt)
        assert view.statement is not None
        used = cost_units(RATE.units_per_hour, view.used_seconds) + self.overcharge
        result = statement_hash(Domain.RESULT, view.statement.payload)
        terms = await self.chain.settle_terms(
            Wallet(view.buyer), JobId(view.job_id), Wallet(request.signer), used, result
        )
        message = await self.chain.build_settle(terms)
        self._settling = (terms.actor, message.last_valid_height, used)
        return SettleOffer(message.message, used, result, view)

    async def _countersign(self, call: Call) -> JobView:
        request = decode(CountersignRequest, call.payload)
        assert self._settling is not None
        actor, height, used = self._settling
        signatures = {
            actor: request.signature,
            self.signer.address: sign_message(request.message, self.signer),
        }
        await self.chain.send_and_confirm(assemble(request.message, signatures, height))
        return self.move(request.job_id, JobState.SETTLED, used_units=used)

    async def _dispute(self, call: Call) -> JobView:
        request = decode(DisputeRequest, call.payload)
        self.disputes.append(request)
        view = self.views[request.job_id]
        said = decode(DisputeStatement, request.statement.payload)
        review = ReviewView(view.used_units, 0.0, DisputeState.OPEN, said.text)
        self.views[request.job_id] = replace(view, revision=view.revision + 1, review=review)
        return self.views[request.job_id]
