"""The first steps of a buyer, without a window: which there are, what is done, what is next. Pure.

What is kept of them between two starts is one text (:meth:`FirstRun.dump`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from p2p.core.money import Asset

Json = Mapping[str, Any]


class Step(Enum):
    """In their order. Without a network there is nobody to log in at, so it is the first."""

    NETWORK = "network"
    WALLET = "wallet"
    DEPOSIT = "deposit"
    SAMPLE = "sample"


class StepState(Enum):
    """How a step stands."""

    DONE = "done"
    SKIPPED = "skipped"
    OPEN = "open"
    LOCKED = "locked"  # another one has to be done first


_NEEDS: dict[Step, tuple[Step, ...]] = {
    Step.NETWORK: (),
    Step.WALLET: (Step.NETWORK,),
    Step.DEPOSIT: (Step.WALLET,),
    Step.SAMPLE: (Step.WALLET, Step.DEPOSIT),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is, whoever did it: the command line may have."""

    has_network: bool = False
    has_wallet: bool = False
    has_money: bool = False
    has_job: bool = False

    def is_done(self, step: Step) -> bool:
        """Whether a step is done."""
        return {
            Step.NETWORK: self.has_network,
            Step.WALLET: self.has_wallet,
            Step.DEPOSIT: self.has_money,
            Step.SAMPLE: self.has_job,
        }[step]


def facts(has_network: bool, balance: Json | None, jobs: Sequence[Json]) -> Facts:
    """From the answers of ``wallet_balance`` (None: nobody is logged in) and ``jobs``. Money that a job
    holds, or held, was deposited as well."""
    sent = [job for job in jobs if job["stage"] not in ("packaged", "quoted", "dropped")]
    in_escrow = balance is not None and any(entry["escrow_units"] for entry in balance["assets"])
    return Facts(has_network, balance is not None, in_escrow or bool(sent), bool(sent))


@dataclass(frozen=True, slots=True)
class FirstRun:
    """``left``: the person wants to see no more of it. ``at``: the step that they went to, if they did."""

    skipped: frozenset[Step] = frozenset()
    left: bool = False
    at: Step | None = None

    @classmethod
    def load(cls, text: str) -> FirstRun:
        """From what was kept; anything that is not understood is as if it were not there."""
        words = set(text.split())
        return cls(frozenset(step for step in Step if step.value in words), "left" in words)

    def dump(self) -> str:
        """What is kept."""
        return " ".join(
            [*(step.value for step in Step if step in self.skipped), *(["left"] if self.left else [])]
        )

    def state(self, step: Step, known: Facts) -> StepState:
        """How a step stands."""
        if known.is_done(step):
            return StepState.DONE
        if step in self.skipped:
            return StepState.SKIPPED
        return StepState.OPEN if self.missing(step, known) is None else StepState.LOCKED

    def missing(self, step: Step, known: Facts) -> Step | None:
        """What has to be done before ``step`` can be."""
        return next((needed for needed in _NEEDS[step] if not known.is_done(needed)), None)

    def current(self, known: Facts) -> Step | None:
        """The step to show: the one that the person went to, else the first that is neither done nor
        skipped; None: there is none left."""
        if self.at is not None:
            return self.at
        ended = (StepState.DONE, StepState.SKIPPED)
        return next((step for step in Step if self.state(step, known) not in ended), None)

    def skip(self, step: Step) -> FirstRun:
        """Go on without it."""
        return replace(self, skipped=self.skipped | {step}, at=None)

    def go_to(self, step: Step) -> FirstRun:
        """Look at a step again; one that was skipped is no more."""
        return replace(self, skipped=self.skipped - {step}, at=step)

    def go_on(self) -> FirstRun:
        """From the step that is shown, which is done, to the next."""
        return replace(self, at=None)

    def leave(self) -> FirstRun:
        """See no more of it."""
        return replace(self, left=True, at=None)

    def resume(self) -> FirstRun:
        """Begin again at what is not done."""
        return FirstRun()

    def wants_to_be_shown(self, known: Facts) -> bool:
        """Whether the window opens with it."""
        return not self.left and self.current(known) is not None


def sample_asset(chosen: Asset, balance: Json | None) -> Asset:
    """In what the sample is paid: as the person chose, unless there is none of that but some of the other."""
    held = {} if balance is None else {e["asset"]: e["escrow_units"] for e in balance["assets"]}
    if held.get(chosen.value):
        return chosen
    return next((asset for asset in Asset if held.get(asset.value)), chosen)
