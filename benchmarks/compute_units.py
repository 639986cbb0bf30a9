"""Compute units of every escrow instruction, in the real runtime, beside the design's limits.

Each is measured for many people and jobs; the worst counts. What makes one dearer than another is the bump of
its address: the program tries them from 255 downwards; half of all need one step, a quarter two, and
so on. Among the measured are a person and a job so far down that one in 32,768 is further. Job ids are drawn
as the client draws them; "any id" shows what another client could do to itself. Reference: the averages that
the audited program solana-program/escrow publishes for its two instructions.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field

from solders.instruction import Instruction

from p2p.chain.addresses import JOB_BUMP_MIN
from p2p.chain.instructions import Role, Settings
from p2p.chain.keys import Signer
from p2p.chain.sandbox import FEE_BPS, LONGEST_JOB_S, REVIEW_WINDOW_S, SOL, Sandbox
from p2p.core.ids import JobId
from p2p.core.money import Asset

ROUNDS = 40
LOWEST_BUMP = 241
LIMITS = {
    "Settle": 3000,
    "Settle (session)": 3000,
    "Finalize": 3000,
    "Open": 6000,
    "Open (session)": 6000,
    "Deposit (first)": 8000,
    "Deposit": 8000,
    "Withdraw": 8000,
}
IN_USDC_ONLY = ("Deposit (first)", "Deposit", "Withdraw")
"""The design limits these in USDC, where they call one program more."""
PUBLISHED = {"Deposit (first)": 26_670, "Deposit": 26_670, "Withdraw": 23_462}
HASH = bytes(32)
CONSUMED = re.compile(r"Program (\w+) consumed (\d+) of")


@dataclass
class Round:
    """One buyer, node and session in one asset, and everything that can happen to them."""

    box: Sandbox
    asset: Asset
    units: dict[str, list[int]]
    buyer: Signer
    node: Signer = field(init=False)
    session: Signer = field(init=False)

    def __post_init__(self) -> None:
        self.node, self.session = self.box.person(), self.box.person()
        self.owner = self.buyer.address

    def measure(self, name: str, step: Instruction, *signers: Signer) -> None:
        ran = self.box.must(step, *signers)
        program = str(self.box.addresses.program)
        found = [int(used) for line in ran.logs for who, used in CONSUMED.findall(line) if who == program]
        self.units.setdefault(name, []).append(found[0])

    def open(self, actor: Signer) -> JobId:
        job_id = self.box.addresses.new_job_id(self.owner)
        self.open_as("Open" if actor is self.buyer else "Open (session)", actor, job_id)
        return job_id

    def open_as(self, name: str, actor: Signer, job_id: JobId) -> None:
        step = self.box.build.open(
            actor.address, self.owner, job_id, self.asset, deposit_units=1000, terms_hash=HASH, run_s=600
        )
        self.measure(name, step, actor)

    def open_worst(self) -> None:
        """The lowest bump that the client takes, and the lowest that is looked at here."""
        for name, actor, bump in (
            ("Open", self.buyer, JOB_BUMP_MIN),
            ("Open (session)", self.session, JOB_BUMP_MIN),
            ("Open (any id)", self.buyer, LOWEST_BUMP),
        ):
            job_id = self.box.job_id()
            while self.box.addresses.job_and_bump(self.owner, job_id)[1] != bump:
                job_id = self.box.job_id()
            self.open_as(name, actor, job_id)

    def assign(self, job_id: JobId, name: str) -> JobId:
        box, coordinator = self.box, self.box.coordinator
        step = box.build.assign(
            coordinator.address, self.owner, job_id, self.asset, self.node.address, box.fee_owner.address
        )
        self.measure(name, step, coordinator)
        return job_id

    def assigned(self) -> JobId:
        return self.assign(self.open(self.buyer), "Assign")

    def claimed(self) -> JobId:
        job_id, coordinator = self.assigned(), self.box.coordinator
        step = self.box.build.claim(coordinator.address, self.owner, job_id, 777, HASH)
        self.measure("Claim", step, coordinator)
        return job_id

    def wallet(self) -> None:
        build, now_s = self.box.build, self.box.now_s
        self.measure("Deposit (first)", build.deposit(self.owner, self.asset, SOL), self.buyer)
        self.measure("Deposit", build.deposit(self.owner, self.asset, SOL), self.buyer)
        self.measure("Withdraw", build.withdraw(self.owner, self.asset, 5), self.buyer)
        for name in ("Authorize (first)", "Authorize"):
            step = build.authorize(self.owner, self.session.address, self.asset, SOL, now_s + 10**6)
            self.measure(name, step, self.buyer)

    def settle(self, actor: Signer, name: str) -> None:
        box, job_id = self.box, self.assigned()
        step = box.build.settle(
            box.coordinator.address,
            actor.address,
            self.owner,
            job_id,
            self.asset,
            node=self.node.address,
            fee_owner=box.fee_owner.address,
            used_units=777,
            result_hash=HASH,
        )
        self.measure(name, step, box.coordinator, actor)

    def ends(self) -> None:
        box, build, owner, asset = self.box, self.box.build, self.owner, self.asset
        self.assign(self.open(self.session), "Assign (new node)")
        self.settle(self.buyer, "Settle")
        self.settle(self.session, "Settle (session)")
        cancelled = self.open(self.buyer)
        self.measure("TopUp", build.top_up(owner, owner, cancelled, asset, 5), self.buyer)
        self.measure("Cancel", build.cancel(owner, owner, cancelled, asset), self.buyer)
        self.measure("Close", build.close(owner, cancelled, owner), self.buyer)
        step = build.refund(box.coordinator.address, owner, self.assigned(), asset)
        self.measure("Refund", step, box.coordinator)
        node, fee_owner = self.node.address, box.fee_owner.address
        disputed = self.claimed()
        self.measure("Dispute", build.dispute(owner, owner, disputed), self.buyer)
        step = build.resolve(
            box.arbiter.address, owner, disputed, asset, node=node, fee_owner=fee_owner, used_units=5
        )
        self.measure("Resolve", step, box.arbiter)
        silent, lost = self.claimed(), self.assigned()
        box.set_time(box.now_s + REVIEW_WINDOW_S)
        self.measure("Finalize", build.finalize(owner, silent, asset, node, fee_owner), self.buyer)
        self.measure("Reclaim", build.reclaim(owner, lost, asset), self.buyer)
        self.measure("Revoke", build.revoke(owner, self.session.address), self.buyer)


def operator(units: dict[Asset, dict[str, list[int]]]) -> None:
    """What happens once, or seldom."""
    for seed in range(ROUNDS // 4):
        box = Sandbox(configured=False, seed=seed + 2)
        once = Round(box, Asset.SOL, units[Asset.SOL], box.person())
        admin, settings = box.admin, Settings(box.fee_owner.address, FEE_BPS, REVIEW_WINDOW_S, LONGEST_JOB_S)
        once.measure("InitConfig", box.init_config(), admin)
        for asset in Asset:
            each = Round(box, asset, units[asset], once.buyer)
            each.measure("AddAsset", box.build.add_asset(admin.address, asset), admin)
            each.measure("DisableAsset", box.build.disable_asset(admin.address, asset), admin)
        once.measure("SetConfig", box.build.set_config(admin.address, settings), admin)
        next_admin = box.person()
        propose = box.build.propose_authority(admin.address, Role.ADMIN, next_admin.address)
        once.measure("ProposeAuthority", propose, admin)
        accept = box.build.accept_authority(next_admin.address, Role.ADMIN)
        once.measure("AcceptAuthority", accept, next_admin)


def lowest_bump(box: Sandbox, asset: Asset) -> Signer:
    """A person whose balance in this asset is as dear to make as the benchmark looks at."""
    person = box.signer()
    while box.addresses.balance_and_bump(person.address, asset)[1] != LOWEST_BUMP:
        person = box.signer()
    box.give_sol(person.address, 1000 * SOL)
    box.give_usdc(person.address, 10**15)
    return person


def measure_all() -> dict[Asset, dict[str, list[int]]]:
    units: dict[Asset, dict[str, list[int]]] = {asset: {} for asset in Asset}
    operator(units)
    box = Sandbox()
    for asset in Asset:
        for number in range(ROUNDS):
            buyer = box.person() if number else lowest_bump(box, asset)
            one = Round(box, asset, units[asset], buyer)
            one.wallet()
            if not number:
                one.open_worst()
            one.ends()
    return units


def cell(values: list[int] | None) -> str:
    return f"{sorted(values)[len(values) // 2]:>7,} {max(values):>7,}" if values else " " * 15


def main() -> int:
    units = measure_all()
    print(
        f"compute units: median and worst of {ROUNDS} people and jobs, one with bump {LOWEST_BUMP} among them"
    )
    print(f"{'instruction':<20} {'SOL':>15} {'USDC':>15} {'limit':>8}  published elsewhere")
    missed = 0
    for name in {**units[Asset.SOL], **units[Asset.USDC]}:
        limit = LIMITS.get(name)
        limited = [Asset.USDC] if name in IN_USDC_ONLY else list(Asset)
        worst = max(max(units[asset].get(name, [0])) for asset in limited)
        late = limit is not None and worst > limit
        missed += late
        published = f"{PUBLISHED[name]:,} ({PUBLISHED[name] / worst:.1f} times)" if name in PUBLISHED else ""
        row = f"{name:<20} {cell(units[Asset.SOL].get(name))} {cell(units[Asset.USDC].get(name))}"
        print(f"{row} {limit or '':>8}  {published}{'  MISSED' if late else ''}".rstrip())
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
