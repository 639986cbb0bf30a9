"""The whole life of a deposit under every set of the runtime's features: today's mainnet, and what comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from solders.litesvm import FeatureSet, LiteSVM

from p2p.chain.sandbox import Sandbox

UNITS_MAX = {"open": 6000, "settle": 3000, "finalize": 3000, "withdraw": 8000, "deposit": 8000}


def everything(features: FeatureSet) -> LiteSVM:
    return (
        LiteSVM.default()
        .with_feature_set(features)
        .with_builtins()
        .with_lamports(10**18)
        .with_sysvars()
        .with_default_programs()
        .with_sigverify(True)
        .with_blockhash_check(True)
    )


RUNTIMES: dict[str, Callable[[], LiteSVM]] = {
    "default": LiteSVM,
    "mainnet": lambda: everything(LiteSVM.mainnet_feature_set()),
    "all features": lambda: everything(FeatureSet.all_enabled()),
}


@pytest.mark.parametrize("name", RUNTIMES)
def test_it_runs_everywhere_and_within_its_units(stage: Any, name: str) -> None:
    on = type(stage)(stage.asset, Sandbox(runtime=RUNTIMES[name]()))
    on.deposit()
    on.authorize()
    job_id = on.box.job_id()
    units = {"deposit": on.deposit().units}
    units["open"] = on.box.must(on.ix_open(job_id, on.session), on.session).units
    on.box.must(on.ix_assign(job_id), on.coordinator)
    settle = on.ix_settle(job_id, 5, on.session)
    units["settle"] = on.box.must(settle, on.coordinator, on.session).units
    on.box.must(on.ix_resolve(on.disputed(), 5), on.arbiter)
    on.box.must(on.ix_refund(on.assigned()), on.coordinator)
    cancelled, claimed = on.opened(), on.claimed()
    on.box.must(on.ix_cancel(cancelled), on.buyer)
    on.box.must(on.build.close(on.buyer.address, cancelled, on.buyer.address), on.stranger)
    on.box.must(on.build.revoke(on.buyer.address, on.session.address), on.buyer)
    on.box.set_time(on.box.now_s + 10**6)
    units["finalize"] = on.box.must(on.ix_finalize(claimed), on.stranger).units
    out = on.build.withdraw(on.buyer.address, on.asset, on.balance(on.buyer))
    units["withdraw"] = on.box.must(out, on.buyer).units
    assert {step: used for step, used in units.items() if used > UNITS_MAX[step]} == {}
