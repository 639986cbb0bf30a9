"""Challenges and logins."""

from __future__ import annotations

from coordinator.store.database import Tx
from coordinator.store.records import ChallengeRow, LoginRow
from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import CHALLENGES_OUTSTANDING_MAX
from p2p.core.messages.auth import Role


def put_challenge(tx: Tx, challenge: ChallengeRow, now_s: float) -> None:
    """Remember a challenge in place of the peer's earlier one.

    :raises EnvironmentFailure: too many are outstanding.
    """
    tx.execute("logins.drop_stale_challenges", now_s=now_s)
    row = tx.row("logins.count_challenges")
    if row is not None and row["challenges"] >= CHALLENGES_OUTSTANDING_MAX:
        raise EnvironmentFailure(
            "too_many_logins", "Too many are logging in right now.", hint="Try again soon."
        )
    tx.execute(
        "logins.put_challenge",
        nonce=challenge.nonce,
        peer_id=challenge.peer_id,
        wallet=challenge.wallet,
        role=challenge.role,
        cluster=challenge.cluster,
        issued_at_s=challenge.issued_at_s,
        expires_at_s=challenge.expires_at_s,
        domain=challenge.domain,
    )


def take_challenge(tx: Tx, peer_id: str, role: Role) -> ChallengeRow | None:
    """The peer's challenge, which is gone with this: a nonce is good once."""
    return tx.one_as(ChallengeRow, "logins.take_challenge", peer_id=peer_id, role=role.value)


def put_login(tx: Tx, login: LoginRow, now_s: float) -> None:
    tx.execute(
        "logins.put_login",
        peer_id=login.peer_id,
        role=login.role,
        wallet=login.wallet,
        now_s=now_s,
        expires_at_s=login.expires_at_s,
    )


def find_login(tx: Tx, peer_id: str, role: Role) -> LoginRow | None:
    return tx.one_as(LoginRow, "logins.find", peer_id=peer_id, role=role.value)
