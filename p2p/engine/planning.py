"""From a buyer's wish to signed terms that only wait for a yes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import trio

from p2p.chain.addresses import Addresses
from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer
from p2p.core.agreement import run_limit_s
from p2p.core.errors import CyxWizError, Refused
from p2p.core.ids import Wallet
from p2p.core.messages.jobs import Quote, QuoteRequest, Terms
from p2p.core.messages.sponsor import SponsoredAction
from p2p.engine import requests
from p2p.engine.context import Engine
from p2p.engine.hashing import Progress
from p2p.engine.joblog import disk_failure
from p2p.engine.packaging import Package, PackageRequest, check_small, package
from p2p.engine.results import check_out_folder
from p2p.engine.sponsoring import needs_sponsor
from p2p.engine.terms import check_terms
from p2p.engine.wallets import require_balance
from p2p.local.home import make_private
from p2p.net.identity import verify_peer_signature
from p2p.store.engine import InputFile, JobRow, NewJob
from p2p.store.stages import Stage
from p2p.wire.codec import encode


class Plan:
    """A quoted job, and what is shown before the buyer agrees."""

    def __init__(
        self,
        job: JobRow,
        packed: Package,
        quote: Quote,
        terms: Terms,
        balance_units: int,
        *,
        sponsored: bool,
    ) -> None:
        self.job = job
        self.package = packed
        self.quote = quote
        self.terms = terms
        self.balance_units = balance_units
        self.sponsored = sponsored


async def make_plan(
    engine: Engine, request: PackageRequest, out: Path, progress: Progress | None = None
) -> Plan:
    """Package, write down, ask for a quote, and check all of it. Nothing is paid.

    :raises CyxWizError: whatever is wrong; the job is dropped again then.
    """
    await check_small(request)
    await trio.to_thread.run_sync(check_out_folder, out)
    engine.link.network()
    account = await engine.wallets.account()
    packed = await package(request, engine.tables, engine.clock, progress)
    job = await _write_down(engine, account.wallet, packed, out)
    await requests.keep(engine.tables, job.job_id, request)
    try:
        return await _quote(engine, job, packed)
    except (CyxWizError, trio.Cancelled):
        with trio.CancelScope(shield=True):
            await drop(engine, job)
        raise


async def drop(engine: Engine, job: JobRow) -> None:
    """Forget a job for which no money has moved."""
    await engine.tables.advance(await engine.job(job.job_id), Stage.DROPPED)
    await requests.forget(engine.tables, job.job_id)
    await trio.to_thread.run_sync(remove_folder, engine.folder(job.job_id))
    engine.live.ring(job.job_id)
    engine.live.forget(job.job_id)


def remove_folder(folder: Path) -> None:
    """Delete a job's own folder, as far as it goes."""
    shutil.rmtree(folder, ignore_errors=True)


async def _write_down(engine: Engine, wallet: Wallet, packed: Package, out: Path) -> JobRow:
    job_id = Addresses.of(engine.link.chain_config()).new_job_id(wallet)
    folder = make_private(engine.folder(job_id)) / "inputs"
    await trio.to_thread.run_sync(_copy, folder, packed.copies)
    places = {**packed.sources, **{path: folder / path for path in packed.copies}}
    files = [
        InputFile(entry.path, os.fsencode(places[entry.path]), entry.size_bytes)
        for entry in packed.manifest.files
    ]
    spec, manifest = encode(packed.spec), encode(packed.manifest)
    return await engine.tables.add(NewJob(job_id, wallet, spec, manifest, str(out), files))


def _copy(folder: Path, copies: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(mode=0o700)
        for path, body in copies.items():
            with (folder / path).open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise disk_failure(folder, error) from error


async def _quote(engine: Engine, job: JobRow, packed: Package) -> Plan:
    quote = await engine.link.call("job.quote", QuoteRequest(job.job_id, packed.spec), Quote)
    terms = check_terms(
        quote.terms,
        job_id=job.job_id,
        buyer=Wallet(job.wallet),
        spec=packed.spec,
        coordinator_peer_id=engine.link.network().coordinator_peer_id,
        now_s=engine.clock.now_s(),
        verify=verify_peer_signature,
    )
    async with engine.chain() as chain:
        await _check_chain(chain, terms)
        balance = await require_balance(chain, Wallet(job.wallet), terms.asset, terms.deposit_units)
        signer = await require_signer(engine, chain, Wallet(job.wallet), terms)
        sponsored = await needs_sponsor(engine, chain, signer, Wallet(job.wallet), SponsoredAction.OPEN)
    job = await engine.tables.advance(job, Stage.QUOTED, terms=encode(quote.terms), signer=signer.address)
    return Plan(job, packed, quote, terms, balance, sponsored=sponsored)


async def require_signer(engine: Engine, chain: EscrowClient, wallet: Wallet, terms: Terms) -> Signer:
    """The session key that can open the job of these terms, and settle it however long that takes.

    :raises Refused: as :meth:`Wallets.require_session`.
    """
    run_s = run_limit_s(terms.timeout_s, (await chain.config()).longest_job_s)
    until_s = engine.clock.now_s() + run_s
    return await engine.wallets.require_session(chain, wallet, terms.asset, terms.deposit_units, until_s)


async def _check_chain(chain: EscrowClient, terms: Terms) -> None:
    """The program applies its own fee and knows one coordinator: both must be those of the terms."""
    config = await chain.config()
    if (config.coordinator, config.fee_bps) != (terms.coordinator_wallet, terms.fee_bps):
        raise Refused(
            "bad_terms",
            "The coordinator's terms name another coordinator or fee than the escrow program.",
            "Nothing was paid.",
            "Ask again; if it goes on, report it to the coordinator's operator.",
        )
