"""Posting transfers, the chain of their hashes, and reading balances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.domain.ledger import Kind, Line, Transfer, link
from coordinator.store.database import Row, Tx
from p2p.core.limits import LEDGER_LINKS_PER_ROUND_MAX
from p2p.core.money import Asset


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain of transfers, and up to where the program's history was read."""

    seq: int
    hash: bytes
    read_signature: str
    read_slot: int


def lock(tx: Tx) -> Head:
    """Be the only one who posts until the end of this transaction."""
    head = tx.one_as(Head, "ledger.lock_head")
    assert head is not None
    return head


def head(tx: Tx) -> Head:
    """As it is now."""
    found = tx.one_as(Head, "ledger.head")
    assert found is not None
    return found


def post(tx: Tx, transfers: Sequence[Transfer]) -> int:
    """Write transfers with their lines at the end of the chain; how many. Those written before are left out.

    :raises Overdrawn: (out of the transaction) an account would be negative.
    :raises UniqueBroken: (out of the transaction) an escrow has another opening or verdict already.
    """
    end = lock(tx)
    ids = [transfer.transfer_id for transfer in transfers]
    known = {row["transfer_id"] for row in tx.rows("ledger.known", transfer_ids=ids)} if ids else set()
    fresh = {t.transfer_id: t for t in transfers if t.transfer_id not in known}
    if not fresh:
        return 0
    seq, last, hashes = end.seq, end.hash, []
    for transfer in fresh.values():
        seq += 1
        last = link(last, seq, transfer)
        hashes.append(last)
    _insert(tx, list(fresh.values()), hashes, end.seq + 1)
    tx.execute("ledger.move_head", seq=seq, hash=last)
    return len(fresh)


def _insert(tx: Tx, transfers: Sequence[Transfer], hashes: list[bytes], first_seq: int) -> None:
    tx.execute(
        "ledger.insert_transfers",
        seqs=list(range(first_seq, first_seq + len(transfers))),
        hashes=hashes,
        ids=[t.transfer_id for t in transfers],
        kinds=[t.kind.value for t in transfers],
        assets=[t.asset.value for t in transfers],
        owners=[t.owner for t in transfers],
        job_ids=[t.job_id for t in transfers],
        signatures=[t.signature for t in transfers],
        slots=[t.slot for t in transfers],
        at=[t.at_s for t in transfers],
        reverses=[t.reverses for t in transfers],
        versions=[t.version for t in transfers],
    )
    lines = [(t, line) for t in transfers for line in t.lines]
    tx.execute(
        "ledger.insert_postings",
        ids=[t.transfer_id for t, _ in lines],
        accounts=[line.account for _, line in lines],
        assets=[t.asset.value for t, _ in lines],
        units=[line.units for _, line in lines],
    )


def transfer_of(row: Row) -> Transfer:
    """A row of ``transfers`` with its lines as ``accounts`` and ``units``."""
    return Transfer(
        row["transfer_id"],
        Kind(row["kind"]),
        Asset(row["asset"]),
        row["owner"],
        row["job_id"],
        row["signature"],
        row["slot"],
        row["at_s"],
        tuple(Line(account, units) for account, units in zip(row["accounts"], row["units"], strict=True)),
        row["reverses"],
        row["version"],
    )


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain of transfers is not what it was. ``row``: the transfer found there, if any."""

    seq: int
    what: str
    row: Row | None = None


def links(tx: Tx, after_seq: int, limit: int = LEDGER_LINKS_PER_ROUND_MAX) -> list[Row]:
    """A part of the chain of transfers, with their lines, in its order."""
    return tx.rows("ledger.links", after_seq=after_seq, limit=limit)


def verify(tx: Tx, after_seq: int, limit: int = LEDGER_LINKS_PER_ROUND_MAX) -> tuple[int, Break | None]:
    """Look at links after ``after_seq``; the last of them (0: the end was reached), and the first broken.

    The first thing that its transaction does.
    """
    tx.execute("ledger.snapshot")  # or what is posted meanwhile would look like a missing end
    before = tx.row("ledger.link_before", seq=after_seq) if after_seq else None
    if after_seq and before is None:
        return 0, Break(after_seq, "is missing")
    last, seq = bytes(before["hash"]) if before else bytes(32), after_seq
    rows = links(tx, after_seq, limit)
    for row in rows:
        seq += 1
        if row["seq"] != seq:
            return 0, Break(seq, "is missing", row)
        try:
            same = link(last, seq, transfer_of(row)) == bytes(row["hash"])
        except ValueError:  # its lines no longer sum to zero
            same = False
        if not same:
            return 0, Break(seq, "is not as it was posted", row)
        last = bytes(row["hash"])
    if len(rows) == limit:
        return seq, None
    end = head(tx)
    if (end.seq, bytes(end.hash)) != (seq, last):
        return 0, Break(seq, f"is the last, but there were {end.seq}")
    return 0, None


def balance(tx: Tx, account: str, asset: Asset) -> int:
    """What an account holds, in base units (not ``chain``, see :func:`total`)."""
    row = tx.row("ledger.balance", account=account, asset=asset.value)
    return int(row["units"]) if row else 0


def total(tx: Tx, account: str, asset: Asset) -> int:
    """The sum of an account's postings; for ``chain``, of which no balance is kept."""
    row = tx.row("ledger.total", account=account, asset=asset.value)
    return int(row["units"]) if row else 0


def sums(tx: Tx) -> dict[tuple[str, Asset], int]:
    """Every account of every asset, summed from the postings."""
    return _units(tx.rows("ledger.sums"))


def since(tx: Tx, slot: int) -> dict[tuple[str, Asset], int]:
    """What was posted of transactions after a slot."""
    return _units(tx.rows("ledger.since_slot", slot=slot))


def accounts_after(tx: Tx, account: str, asset: str, limit: int) -> dict[tuple[str, Asset], int]:
    """A page of accounts, in their order, with what they hold."""
    return _units(tx.rows("ledger.accounts_after", account=account, asset=asset, limit=limit))


def _units(rows: list[Row]) -> dict[tuple[str, Asset], int]:
    return {(row["account"], Asset(row["asset"])): int(row["units"]) for row in rows}
