"""What a thief tries on chain, with keys of their own and the coordinator's: nothing of it may work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from p2p.chain.instructions import signer, writable
from p2p.chain.keys import Signer, to_pubkey
from p2p.chain.sandbox import Sandbox
from p2p.core.ids import JobId, Wallet
from p2p.core.money import Asset


@dataclass(frozen=True)
class Booty:
    """A job of somebody else's."""

    owner: Wallet
    job_id: JobId
    asset: Asset
    node: Wallet


def signed_by(thief: Signer, step: Any) -> Any:
    """A step of a victim's, with the thief's signature in the place of theirs."""
    key = to_pubkey(thief.address)
    metas = [signer(key, writable=meta.is_writable) if meta.is_signer else meta for meta in step.accounts]
    return type(step)(step.program_id, bytes(step.data), metas)


def with_account(step: Any, slot: int, key: Any) -> Any:
    """The step with another account in one slot."""
    metas = list(step.accounts)
    metas[slot] = writable(key)
    return type(step)(step.program_id, bytes(step.data), metas)


def on_a_person(box: Sandbox, thief: Signer, victim: Wallet, key: Wallet, asset: Asset) -> list[Any]:
    """Attempts on a balance, and on a session ``key``."""
    withdraw = box.build.withdraw(victim, asset, 1)
    revoke = box.build.revoke(victim, key)
    return [signed_by(thief, withdraw), signed_by(box.coordinator, withdraw), signed_by(thief, revoke)]


def on_a_job(box: Sandbox, thief: Signer, purse: Wallet, job: Booty, used: int) -> list[Any]:
    """Attempts on a deposit; whatever comes of it is to go to ``purse``."""
    build, coordinator = box.build, box.coordinator.address
    owner, job_id, asset = job.owner, job.job_id, job.asset
    fee_owner, theirs = box.fee_owner.address, box.addresses.balance(purse, asset)
    judge = build.resolve(
        coordinator, owner, job_id, asset, node=job.node, fee_owner=fee_owner, used_units=used
    )
    attempts = [
        judge,
        signed_by(thief, build.cancel(owner, owner, job_id, asset)),
        signed_by(thief, build.top_up(owner, owner, job_id, asset, 1)),
        signed_by(thief, build.dispute(owner, owner, job_id)),
        with_account(build.refund(coordinator, owner, job_id, asset), 2, theirs),
    ]
    if job.node != purse:
        finalize = build.finalize(owner, job_id, asset, job.node, fee_owner)
        attempts += [with_account(finalize, slot, theirs) for slot in (1, 2, 3)]
    return attempts
