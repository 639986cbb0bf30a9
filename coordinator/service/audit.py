"""``ledger check``: the ledger against itself and against the chain, to the last unit. It changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import trio

from coordinator.domain import ledger as rules
from coordinator.service.account_history import evidence_of
from coordinator.service.comparison import Account, Difference, Look, account_of, compare
from coordinator.service.follower import History
from coordinator.store import ledger
from coordinator.store.database import Database, Row, Tx
from coordinator.store.ledger import Break, Head
from p2p.chain.calls import mentions_of
from p2p.chain.escrow import EscrowClient
from p2p.chain.holdings import read_all_holdings
from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.limits import (
    LEDGER_FOUND_MAX,
    LEDGER_LINKS_PER_ROUND_MAX,
    LEDGER_LOOK_AGAIN_S,
    LEDGER_LOOKS_MAX,
)
from p2p.core.money import Asset, format_amount


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be; where it is known, of which account, job and transaction."""

    text: str
    account: str = ""
    job_id: str | None = None
    signature: str = ""


@dataclass(frozen=True, slots=True)
class InFlight:
    """A transaction on its way into the ledger."""

    state: str
    signature: str
    kind: str = ""
    job_id: str | None = None


@dataclass
class Findings:
    """``problems`` is empty when everything agrees, the first thing to look at first; the rest says what was
    compared, and what is on its way."""

    problems: list[Problem] = field(default_factory=list)
    accounts: int = 0
    escrows: int = 0
    totals: dict[Asset, int] = field(default_factory=dict)
    head: Head | None = None
    slots: tuple[int, int] = (0, 0)
    in_flight: list[InFlight] = field(default_factory=list)

    def note(self, problem: Problem) -> None:
        """Once, however often it is found."""
        if problem not in self.problems:
            self.problems.append(problem)

    @property
    def agrees(self) -> bool:
        return not self.problems

    @property
    def differences(self) -> list[str]:
        """The problems in words."""
        return [problem.text for problem in self.problems]


async def audit(db: Database, chain: EscrowClient, clock: Clock = SYSTEM_CLOCK) -> Findings:
    """Compare everything once.

    :raises EnvironmentFailure: the database or the chain cannot be reached.
    :raises Refused: the ledger is far behind the chain.
    """
    findings = Findings()
    history = History(db, chain)
    findings.head = await _check_links(findings, db)
    look = await _compare_all(findings, db, history, clock)
    late = {transfer.signature for transfer in look.late}
    # Totals differ because an account does: that one is named first.
    for difference in sorted(look.differences, key=lambda found: found.account == rules.CHAIN):
        findings.note(await _problem(db, history, difference, late))
    for signature, reason in look.unexplained.items():
        text = f"transaction {signature} is final, but cannot be explained: {reason}"
        findings.note(Problem(text, signature=signature))
    findings.slots = look.slots
    findings.in_flight = await _in_flight(chain, history, look)
    return findings


async def _check_links(findings: Findings, db: Database) -> Head:
    """The whole chain of transfers, a part at a time."""
    seq = 0
    while True:
        seq, broken = await db.run(partial(ledger.verify, after_seq=seq, limit=LEDGER_LINKS_PER_ROUND_MAX))
        if broken is not None:
            findings.note(broken_link(broken))
        if not seq:
            return await db.run(ledger.head)


def broken_link(broken: Break) -> Problem:
    """What it means that a transfer is not what was posted."""
    text = f"the chain of hashes is broken: transfer {broken.seq} {broken.what}"
    if broken.row is None:
        return Problem(text)
    row = broken.row
    accounts = [name for name in row["accounts"] if name != rules.CHAIN]
    text += f"; there is {row['transfer_id']}"
    return Problem(text, accounts[0] if accounts else "", row["job_id"], row["signature"])


async def _compare_all(findings: Findings, db: Database, history: History, clock: Clock) -> Look:
    """Every account that holds something, on either side, until they agree or have differed several times.

    A difference may be one for a moment only: a node that is behind another.
    """
    more: set[Account] = {(rules.CHAIN, asset) for asset in Asset}
    for left in range(LEDGER_LOOKS_MAX - 1, -1, -1):
        sums, strays = await db.run(_read)
        look = await compare(db, history, {a for a, units in sums.items() if units} | more, clock.now_s())
        if not look.differences and look.late_accounts() <= sums.keys() | more:
            break
        more |= look.late_accounts()
        if any(difference.account == rules.CHAIN for difference in look.differences):
            more |= {account_of(holding) for holding in await read_all_holdings(history.chain)}
        if left:
            await trio.sleep(LEDGER_LOOK_AGAIN_S)
    _check_itself(findings, sums, strays)
    return look


def _read(tx: Tx) -> tuple[dict[Account, int], list[Row]]:
    tx.execute("ledger.snapshot")
    return ledger.sums(tx), tx.rows("ledger.stray_balances")


def _check_itself(findings: Findings, sums: dict[Account, int], strays: list[Row]) -> None:
    findings.accounts = len(sums)
    findings.escrows = sum(units > 0 and name.startswith("escrow:") for (name, _), units in sums.items())
    for asset in Asset:
        findings.totals[asset] = -sums.get((rules.CHAIN, asset), 0)
        total = sum(units for (_, kind), units in sums.items() if kind is asset)
        if total != 0:
            findings.note(Problem(f"the {asset.symbol} accounts sum to {total}, not to zero"))
    for (account, asset), units in sums.items():
        if units < 0 and account != rules.CHAIN:
            findings.note(Problem(f"{account} is overdrawn by {format_amount(-units, asset)}", account))
    for row in strays:
        text = f"{row['account']}: its balance row says {row['kept']}, its postings {row['posted']}"
        findings.note(Problem(text, row["account"]))


async def _problem(db: Database, history: History, difference: Difference, late: set[str]) -> Problem:
    """A difference, with the transaction that may be why."""
    account = difference.account, difference.asset
    signature = ""
    if difference.account != rules.CHAIN:
        evidence = await evidence_of(db, history, account)
        signature = evidence.signature(late)
    found = replace(difference, signature=signature)
    return Problem(found.text, found.account, found.job_id, signature)


async def _in_flight(chain: EscrowClient, history: History, look: Look) -> list[InFlight]:
    """What is final and not posted yet, and what is not final yet, whosever it is."""
    found = [
        InFlight("final, not posted yet", transfer.signature, transfer.kind.value, transfer.job_id)
        for transfer in look.late
    ]
    program = chain.chain.program_id
    newest = await mentions_of(history.chain, program, 1)
    until = newest[0].signature if newest else ""
    later = await mentions_of(chain, program, LEDGER_FOUND_MAX, until=until)
    found += [InFlight("not final yet", mention.signature) for mention in later if not mention.failed]
    return found[:LEDGER_FOUND_MAX]
