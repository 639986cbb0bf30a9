"""The node's self-test: the runner's rows, and those about hardware, wallet and coordinator."""

from __future__ import annotations

from p2p.core.errors import CyxWizError
from p2p.core.limits import GIB
from p2p.node.hardware import Hardware
from p2p.node.payout import LoginState, Payout, login_words
from p2p.node.runner import CheckRow
from p2p.node.settings import NodeSettings
from p2p.node.survey import Survey


def check_rows(survey: Survey, settings: NodeSettings, payout: Payout, now_s: float) -> tuple[CheckRow, ...]:
    """Everything that can be said without the network."""
    return (
        _driver(survey.hardware),
        _hardware(survey, settings),
        *survey.rows,
        _wallet(payout, now_s),
        _switch(settings),
    )


def coordinator_row(address: str, problem: CyxWizError | None, *, reached: bool) -> CheckRow:
    """Whether the coordinator was reached, and what stood in the way."""
    found = f"registered at {address}" if reached else (problem.what if problem else "not reached yet")
    return CheckRow(
        name="coordinator",
        ok=reached,
        found=found,
        needed="a coordinator that answers and knows this node",
        why="jobs come from there",
        fix=""
        if reached
        else (problem.hint if problem and problem.hint else "Check config.toml and the network."),
    )


def _driver(found: Hardware) -> CheckRow:
    cards, driver = found.cards, found.driver_version
    words = (
        f"NVIDIA driver {driver}" if driver else "no driver for the NVIDIA card" if cards else "no NVIDIA GPU"
    )
    ok = bool(driver) or not cards
    return CheckRow(
        name="driver",
        ok=ok and not found.problems,
        found=" ".join((words, *found.problems)),
        needed="NVIDIA's driver, if there is a GPU of theirs",
        why="without it the node is of class cpu",
        fix="" if ok else "Install NVIDIA's driver for this card and start the machine anew.",
        required=False,
    )


def _hardware(survey: Survey, settings: NodeSettings) -> CheckRow:
    capacity = survey.capacity
    gpus = ", ".join(
        f"{gpu.name} ({gpu.gpu_class}, {gpu.vram_bytes / GIB:.0f} GiB)" for gpu in capacity.hardware.gpus
    )
    share = f"{capacity.job_cpus:g} CPUs and {capacity.job_memory_bytes / GIB:.1f} GiB for each job"
    missing = bool(settings.gpus) and not capacity.hardware.gpus
    return CheckRow(
        name="hardware",
        ok=not missing,
        found=f"{gpus or 'no NVIDIA GPU: class cpu'}; {share}",
        needed="the GPUs on offer, or none for class cpu",
        why="it decides which jobs come and at what rate",
        fix="None of the GPUs in the settings is there: `cyxwiz-node set --gpus all`." if missing else "",
    )


def _wallet(payout: Payout, now_s: float) -> CheckRow:
    state = payout.login(now_s)
    if state is None:
        own = " (made for this node; back up wallet.json)" if payout.own else f" ({payout.choice.file})"
        return CheckRow("wallet", True, f"{payout.wallet}{own}", "a Solana wallet", "earnings go there")
    return CheckRow(
        name="wallet",
        ok=state is LoginState.GOOD,
        found=login_words(payout, state),
        needed="a login that lasts",
        why="earnings go to this wallet, and only a person can log it in again",
        fix="" if state is LoginState.GOOD else payout.login_command,
        required=state is LoginState.ENDED,
    )


def _switch(settings: NodeSettings) -> CheckRow:
    return CheckRow(
        name="available",
        ok=settings.available,
        found="on" if settings.available else "off",
        needed="on",
        why="no job comes while it is off",
        fix="" if settings.available else "cyxwiz-node on",
        required=False,
    )
