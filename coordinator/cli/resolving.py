"""``dispute resolve JOB``: prepared here, signed by the arbiter's key wherever that lies."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from coordinator.cli.common import ID_SHOWN_CHARS, amount, database, dsn_option
from coordinator.cli.dispute_text import print_payments
from coordinator.cli.operating import UNTOUCHED, check_signer, open_chain, owner_of
from coordinator.service.dispute_views import Case, find_case, payment
from coordinator.store.database import Database
from p2p.core.errors import Refused, UserError
from p2p.core.ids import JobId, Wallet
from p2p.core.money import parse_amount
from p2p.core.wallet_choice import WalletChoice
from p2p.local import cli as frame
from p2p.local.wallet_options import wallet_options

if TYPE_CHECKING:  # the chain takes a second to load that `--help` should not take
    from p2p.chain.accounts import OnChainJob
    from p2p.chain.escrow import EscrowClient

Json = dict[str, Any]


@click.command()
@click.argument("job", metavar="JOB")
@click.option("--pay", metavar="AMOUNT", help="Pay so much of what was claimed, such as 0.25.")
@click.option("--pay-all", is_flag=True, help="Pay all that was claimed.")
@click.option("--refund-all", is_flag=True, help="Give the whole deposit back to the buyer.")
@wallet_options
@click.option("--print", "printed", is_flag=True, help="Print the message to be signed elsewhere.")
@click.option("--signature", metavar="SIGNATURE", help="Send what was printed last, with this signature.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@dsn_option
@frame.json_option
def resolve(
    job: str,
    pay: str | None,
    pay_all: bool,
    refund_all: bool,
    choice: WalletChoice | None,
    printed: bool,
    signature: str | None,
    yes: bool,
    dsn: str | None,
    as_json: bool,
) -> int:
    """Decide the dispute about JOB, as its arbiter: how much of the claim is paid.

    Signed by the wallet that is named (without one, by that in the browser); or printed for another machine
    and sent with the signature that it gives.
    """
    amounts = (pay is not None) + pay_all + refund_all
    if (printed or choice is not None) + (signature is not None) > 1 or (printed and choice is not None):
        raise click.UsageError("A wallet, --print and --signature exclude each other.")
    if amounts != (0 if signature is not None else 1):
        raise click.UsageError("Give one of --pay AMOUNT, --pay-all, --refund-all; none with --signature.")
    with database(dsn) as db:
        case = db.transact(lambda tx: find_case(tx, job))
        if signature is not None:
            found: Json | None = frame.run_async(_send_signed, db, case, signature)
        else:
            units = _units(case, pay, refund_all)
            if printed:
                return _print(frame.run_async(_make_message, db, case, units), as_json)
            found = frame.run_async(_sign_here, case, units, choice, yes)
    if found is None:
        return 1
    _print_done(case, found, as_json)
    return 0


def _units(case: Case, pay: str | None, refund_all: bool) -> int:
    if pay is not None:
        units = parse_amount(pay, case.job.money)
        if units > case.dispute.claimed_units:
            claimed = amount(case.dispute.claimed_units, case.job.asset)
            raise Refused("used_too_much", f"{claimed} were claimed; more cannot be paid.", UNTOUCHED)
        return units
    return 0 if refund_all else case.dispute.claimed_units


async def _on_chain(chain: EscrowClient, case: Case, units: int) -> OnChainJob:
    from p2p.chain.browser.judging import check_resolvable

    job = await chain.existing_job(Wallet(case.job.buyer), JobId(case.job.job_id))
    return check_resolvable(job, units)


async def _sign_here(case: Case, units: int, choice: WalletChoice | None, yes: bool) -> Json | None:
    from p2p.chain.browser import SignedTransactions
    from p2p.chain.browser.judging import resolve_request

    owner = owner_of(choice)
    async with open_chain() as chain:
        job = await _on_chain(chain, case, units)
        await check_signer(chain, owner, "arbiter", job.arbiter)
        if not (yes or owner.shows_what_it_signs):
            print_payments({"asset": case.job.asset}, [("yours", payment(case.job, units))])
        question = f"Sign this as the arbiter, {job.arbiter}?"
        if not frame.agreed(owner.shows_what_it_signs, yes, question, UNTOUCHED):
            return None
        (answer,) = await owner.answer([resolve_request(chain, job, units)])
        assert isinstance(answer, SignedTransactions)
        return {**payment(case.job, units), "signature": answer.transactions[-1].signature}


async def _make_message(db: Database, case: Case, units: int) -> Json:
    """The message, kept here until its signature comes."""
    from p2p.chain.browser.judging import resolve_message

    async with open_chain() as chain:
        job = await _on_chain(chain, case, units)
        made = await resolve_message(chain, job, units)
    keep = partial(_keep, message=made.message, last_valid=made.last_valid_height)
    await db.run(lambda tx: keep(tx, case.job.job_id))
    return {
        "job_id": case.job.job_id,
        "arbiter": job.arbiter,
        **payment(case.job, units),
        "message": base64.b64encode(made.message).decode(),
        "last_valid_height": made.last_valid_height,
    }


def _keep(tx: Any, job_id: str, *, message: bytes, last_valid: int) -> None:
    tx.execute("disputes.keep_message", job_id=job_id, message=message, last_valid=last_valid)


async def _send_signed(db: Database, case: Case, text: str) -> Json:
    """Put the printed message and its signature together, and send them.

    :raises UserError: ``nothing_printed``.
    :raises Refused: ``bad_signature``: it is not the arbiter's over that message.
    """
    from p2p.chain.browser.judging import parse_signature
    from p2p.chain.transaction import assemble

    dispute = case.dispute
    if dispute.message is None or dispute.message_last_valid is None:
        raise UserError(
            "nothing_printed",
            "No decision of this dispute was printed.",
            "Nothing was sent.",
            "`cyxwiz-coordinator dispute resolve JOB … --print` prints one.",
        )
    signatures = {Wallet(dispute.arbiter): parse_signature(text)}
    signed = assemble(dispute.message, signatures, dispute.message_last_valid)
    async with open_chain() as chain:
        await chain.send_and_confirm(signed)
        job = await chain.seen_job(Wallet(case.job.buyer), JobId(case.job.job_id))
    units = job.used_units if job is not None else 0
    return {**payment(case.job, units), "signature": signed.signature}


def _print(found: Json, as_json: bool) -> int:
    if as_json:
        frame.print_json(found)
        return 0
    short = found["job_id"][:ID_SHOWN_CHARS]
    frame.say(f"To be signed by {found['arbiter']} within about a minute; then:")
    frame.say(f"  cyxwiz-coordinator dispute resolve {short} --signature SIGNATURE")
    frame.out.print(found["message"], markup=False)
    return 0


def _print_done(case: Case, found: Json, as_json: bool) -> None:
    if as_json:
        frame.print_json({"job_id": case.job.job_id, **found})
        return
    print_payments({"asset": case.job.asset}, [("decided", found)])
    frame.out.print(f"Done: transaction {found['signature']}", markup=False)
    frame.out.print("The coordinator posts it within a minute.")
