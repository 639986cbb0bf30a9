"""What operators do with the escrow program: each action with who must sign it and what it changes.

Nothing here signs or sends. Whoever shows an action gives its request to an owner (:mod:`p2p.chain.owners`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from solders.instruction import Instruction

from p2p.chain import accounts
from p2p.chain.accounts import OnChainConfig
from p2p.chain.browser.operations import transactions_request
from p2p.chain.browser.request import SignTransactions
from p2p.chain.escrow import EscrowClient
from p2p.chain.instructions import Role, Settings
from p2p.chain.keys import to_pubkey
from p2p.chain.loader import deployed_program, set_authority
from p2p.core.durations import format_duration
from p2p.core.errors import EnvironmentFailure, Refused, UserError
from p2p.core.ids import Wallet
from p2p.core.limits import FEE_BPS_MAX, LONGEST_JOB_MAX_S, LONGEST_JOB_MIN_S, REVIEW_WINDOW_MAX_S
from p2p.core.money import Asset, format_fee

_UNTOUCHED = "Nothing was signed, and nothing was changed."
_OPEN_JOBS = "Jobs that are open keep what they were opened with; balances and withdrawals are untouched."
_OFFICES = {
    Role.ADMIN: "Settings, offices of others and all money stay as they are.",
    Role.COORDINATOR: "Jobs that are open stay with the coordinator that they were opened under.",
    Role.ARBITER: "Jobs that are open stay with the arbiter that they were opened under.",
}
UPGRADE_AUTHORITY = "upgrade authority"


@dataclass(frozen=True, slots=True)
class Action:
    """``holder`` must sign, as the ``office``. ``changes``: from what to what. ``keeps``: what it leaves."""

    office: str
    holder: Wallet
    changes: tuple[str, ...]
    keeps: str
    request: SignTransactions


@dataclass(frozen=True, slots=True)
class Wanted:
    """Settings to change; None stays as it is."""

    fee_owner: Wallet | None = None
    fee_bps: int | None = None
    review_window_s: int | None = None
    longest_job_s: int | None = None
    paused: bool | None = None

    def over(self, present: OnChainConfig) -> Settings:
        """The settings that are there, with what is wanted in its place."""
        return Settings(
            self.fee_owner or present.fee_owner,
            present.fee_bps if self.fee_bps is None else self.fee_bps,
            present.review_window_s if self.review_window_s is None else self.review_window_s,
            present.longest_job_s if self.longest_job_s is None else self.longest_job_s,
            present.paused if self.paused is None else self.paused,
        )


async def change_settings(chain: EscrowClient, wanted: Wanted) -> Action:
    """:raises UserError: out of the program's bounds; :raises Refused: nothing would change."""
    present = await chain.config()
    settings = wanted.over(present)
    check_bounds(settings)
    changes = _differences(present, settings)
    if not changes:
        raise Refused("nothing_to_change", "The program is set so already.", _UNTOUCHED)

    async def make(signer: Wallet) -> Sequence[Instruction]:
        return [chain.build.set_config(signer, wanted.over(await chain.config()))]

    if wanted.paused is not None:
        title = "Pause the escrow program" if wanted.paused else "Take up deposits and new jobs again"
        keeps = "Withdrawals, running jobs, payments, refunds and reclaims go on."
    else:
        title, keeps = "Change the escrow program's settings", _OPEN_JOBS
    request = transactions_request(chain, title, make, wallet=present.admin, done="The settings are changed")
    return Action("admin", present.admin, changes, keeps, request)


def check_bounds(settings: Settings) -> None:
    """What the program would refuse, in words.

    :raises UserError: ``out_of_bounds``.
    """
    to_pubkey(settings.fee_owner)
    bounds = (
        ("The fee", settings.fee_bps, 0, FEE_BPS_MAX, format_fee),
        ("The review window", settings.review_window_s, 1, REVIEW_WINDOW_MAX_S, format_duration),
        ("The longest job", settings.longest_job_s, LONGEST_JOB_MIN_S, LONGEST_JOB_MAX_S, format_duration),
    )
    for name, value, least, most, words in bounds:
        if not least <= value <= most:
            what = f"{name} must be from {words(least)} to {words(most)}, not {words(value)}."
            raise UserError("out_of_bounds", what, _UNTOUCHED)


def _differences(present: OnChainConfig, settings: Settings) -> tuple[str, ...]:
    rows = (
        ("Fee of new jobs", format_fee(present.fee_bps), format_fee(settings.fee_bps)),
        ("Fee goes to", present.fee_owner, settings.fee_owner),
        (
            "Review window",
            format_duration(present.review_window_s),
            format_duration(settings.review_window_s),
        ),
        ("Longest job", format_duration(present.longest_job_s), format_duration(settings.longest_job_s)),
        ("Deposits and new jobs", _open(present.paused), _open(settings.paused)),
    )
    return tuple(f"{name}: {before} → {after}" for name, before, after in rows if before != after)


def _open(paused: bool) -> str:
    return "paused" if paused else "open"


# -- offices


async def propose(chain: EscrowClient, role: Role, successor: Wallet | None) -> Action:
    """Name who may take an office over; None withdraws a proposal.

    :raises Refused: it would change nothing, or coordinator and arbiter would be one.
    """
    config = await chain.config()
    holder, proposed = office(config, role)
    name = role.name.lower()
    if successor is None and proposed is None:
        raise Refused("nothing_proposed", f"No new {name} is proposed.", _UNTOUCHED)
    if successor is not None:
        to_pubkey(successor)
        _check_successor(config, role, successor)

    async def make(signer: Wallet) -> Sequence[Instruction]:
        return [chain.build.propose_authority(signer, role, successor)]

    title = f"Propose a new {name}" if successor else f"Withdraw the proposal of a new {name}"
    request = transactions_request(chain, title, make, wallet=holder, done="The proposal is on the chain")
    change = f"Proposed as {name}: {proposed or 'nobody'} → {successor or 'nobody'}"
    keeps = f"{holder} stays the {name} until the proposed wallet accepts."
    return Action(name, holder, (change,), keeps, request)


def _check_successor(config: OnChainConfig, role: Role, successor: Wallet) -> None:
    holder, proposed = office(config, role)
    name = role.name.lower()
    if successor == holder:
        raise Refused("holds_it_already", f"{successor} is the {name} already.", _UNTOUCHED)
    if successor == proposed:
        what = f"{successor} is proposed as {name} already."
        hint = f"It takes over with `cyxwiz-coordinator escrow accept {name}`."
        raise Refused("proposed_already", what, _UNTOUCHED, hint)
    other = {Role.COORDINATOR: Role.ARBITER, Role.ARBITER: Role.COORDINATOR}.get(role)
    if other is not None and successor == office(config, other)[0]:
        what = f"{successor} is the {other.name.lower()}, and nobody may be coordinator and arbiter."
        raise Refused("judge_in_own_cause", what, _UNTOUCHED, "Name another wallet.")


async def accept(chain: EscrowClient, role: Role) -> Action:
    """:raises Refused: nobody is proposed."""
    holder, proposed = office(await chain.config(), role)
    name = role.name.lower()
    if proposed is None:
        hint = f"The present one, {holder}, proposes with `cyxwiz-coordinator escrow propose {name} WALLET`."
        raise Refused("nothing_proposed", f"No new {name} is proposed.", _UNTOUCHED, hint)

    async def make(signer: Wallet) -> Sequence[Instruction]:
        return [chain.build.accept_authority(signer, role)]

    title, done = f"Take over as {name}", f"You are the {name}"
    request = transactions_request(chain, title, make, wallet=proposed, done=done)
    return Action(f"proposed {name}", proposed, (f"{name}: {holder} → {proposed}",), _OFFICES[role], request)


def office(config: OnChainConfig, role: Role) -> tuple[Wallet, Wallet | None]:
    """Who holds it, and who is proposed."""
    match role:
        case Role.ADMIN:
            return config.admin, config.admin_next
        case Role.COORDINATOR:
            return config.coordinator, config.coordinator_next
        case Role.ARBITER:
            return config.arbiter, config.arbiter_next


async def open_jobs(chain: EscrowClient) -> Counter[Wallet]:
    """How many jobs that have not ended each coordinator still has, by the chain."""
    found = await chain.accounts_of_kind(accounts.JOB_TAG, accounts.JOB_BYTES)
    jobs = map(accounts.decode_job, found)
    return Counter(job.coordinator for job in jobs if not job.status.final)


# -- assets


async def add_asset(chain: EscrowClient, asset: Asset) -> Action:
    """:raises Refused: it is taken already."""
    present, admin = await asset_taken(chain, asset), (await chain.config()).admin
    if present:
        raise Refused("taken_already", f"The program takes {asset.symbol} already.", _UNTOUCHED)

    async def make(signer: Wallet) -> Sequence[Instruction]:
        return [chain.build.add_asset(signer, asset)]

    title, done = f"Take {asset.symbol}", f"{asset.symbol} is taken"
    request = transactions_request(chain, title, make, wallet=admin, done=done)
    change = f"{asset.symbol}: {'not taken' if present is None else 'stopped'} → deposits and new jobs"
    return Action("admin", admin, (change,), "Other assets, balances and jobs stay as they are.", request)


async def disable_asset(chain: EscrowClient, asset: Asset) -> Action:
    """:raises Refused: it is not taken."""
    present, admin = await asset_taken(chain, asset), (await chain.config()).admin
    if not present:
        raise Refused("not_taken", f"The program does not take {asset.symbol}.", _UNTOUCHED)

    async def make(signer: Wallet) -> Sequence[Instruction]:
        return [chain.build.disable_asset(signer, asset)]

    title, done = f"Stop {asset.symbol}", f"{asset.symbol} is stopped"
    request = transactions_request(chain, title, make, wallet=admin, done=done)
    keeps = "Withdrawals, running jobs, payments and refunds in it go on."
    return Action("admin", admin, (f"{asset.symbol}: deposits and new jobs → stopped",), keeps, request)


async def asset_taken(chain: EscrowClient, asset: Asset) -> bool | None:
    """None: it was never added."""
    try:
        return (await chain.asset(asset)).enabled
    except EnvironmentFailure as error:
        if error.code != "chain_not_set_up":
            raise
        return None


# -- the upgrade authority's


async def configure(
    chain: EscrowClient, admin: Wallet | None, coordinator: Wallet, arbiter: Wallet, settings: Settings
) -> Action:
    """The first configuration; without ``admin`` the upgrade authority is it.

    :raises Refused: the program is configured, or is not deployed.
    """
    if await chain.program_account(chain.addresses.config) is not None:
        hint = "`cyxwiz-coordinator escrow show` shows by whom."
        raise Refused("configured_already", "The program is configured already.", _UNTOUCHED, hint)
    holder = await upgrade_authority(chain)
    check_bounds(settings)
    for wallet in (admin or holder, coordinator, arbiter):
        to_pubkey(wallet)
    if coordinator == arbiter:
        raise UserError("judge_in_own_cause", "Coordinator and arbiter must be two wallets.", _UNTOUCHED)

    async def make(signer: Wallet) -> Sequence[Instruction]:
        return [chain.build.init_config(signer, admin or holder, coordinator, arbiter, settings)]

    title, done = "Configure the escrow program", "The program is configured"
    request = transactions_request(chain, title, make, wallet=holder, done=done)
    changes = (
        f"Admin: {admin or holder}",
        f"Coordinator: {coordinator}",
        f"Arbiter: {arbiter}",
        f"Fee: {format_fee(settings.fee_bps)} to {settings.fee_owner}",
        f"Review window: {format_duration(settings.review_window_s)}",
        f"Longest job: {format_duration(settings.longest_job_s)}",
    )
    keeps = "No asset is taken yet: the admin adds them with `escrow add-asset`."
    return Action(UPGRADE_AUTHORITY, holder, changes, keeps, request)


async def hand_over_upgrades(chain: EscrowClient, successor: Wallet | None) -> Action:
    """The right to replace the program to another key, or to nobody. It takes effect at once.

    :raises Refused: the program has none, or it is the same.
    """
    holder = await upgrade_authority(chain)
    key = None if successor is None else to_pubkey(successor)
    if successor == holder:
        raise Refused("holds_it_already", f"{successor} is the upgrade authority already.", _UNTOUCHED)

    async def make(signer: Wallet) -> Sequence[Instruction]:
        return [set_authority(chain.addresses.program_data, to_pubkey(signer), key)]

    title = "Hand over the upgrade authority" if successor else "Give up the upgrade authority for ever"
    request = transactions_request(chain, title, make, wallet=holder, done="It is handed over")
    change = f"Upgrade authority: {holder} → {successor or 'nobody, for ever'}"
    keeps = (
        "This cannot be taken back: the new key need not agree. Code, settings and money stay as they are."
    )
    return Action(UPGRADE_AUTHORITY, holder, (change,), keeps, request)


async def upgrade_authority(chain: EscrowClient) -> Wallet:
    """:raises Refused: ``not_deployed`` or ``program_final``."""
    program = await deployed_program(chain)
    if program is None:
        what = f"There is no program {chain.chain.program_id} on {chain.chain.cluster}."
        raise Refused("not_deployed", what, _UNTOUCHED, "Deploy it: `cyxwiz-coordinator escrow deploy`.")
    if program.authority is None:
        raise Refused("program_final", "The program has no upgrade authority any more.", _UNTOUCHED)
    return program.authority
