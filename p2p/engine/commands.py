"""The one list of what can be asked of the engine's agent, by CLI and window alike.

Pure descriptions: the agent has a handler for each (:mod:`p2p.engine.api`), and
:class:`p2p.engine.client.EngineClient` refuses anything that is not here before it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.core.errors import Bug
from p2p.core.limits import LOCAL_CALL_TIMEOUT_S, WALLET_CALL_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Command:
    """``needs`` and ``takes``: names of parameters that have to and may be given. ``streams``: answers with
    items instead of one value."""

    name: str
    what: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    streams: bool = False
    timeout_s: float = LOCAL_CALL_TIMEOUT_S


COMMANDS: tuple[Command, ...] = (
    Command("status", "The agent: its version, process, wallet, peer id, how many jobs it goes on with."),
    Command("stop", "End the agent; jobs go on at their nodes and are taken up again at the next start."),
    Command("account", "Who is logged in, and where the wallet's key lies."),
    Command(
        "login",
        "Log in with a keypair file; ``renew``: the session keys too, whatever they may still spend.",
        needs=("keypair",),
        takes=("renew",),
        timeout_s=WALLET_CALL_TIMEOUT_S,
    ),
    Command(
        "login_challenge",
        "The text that a wallet has to sign; ``domain``: of the page on which it does.",
        needs=("wallet",),
        takes=("domain",),
    ),
    Command(
        "login_finish",
        "Log in with a text that was signed; ``keystore``: the file that the key lies in.",
        needs=("wallet", "text", "signature"),
        takes=("keystore",),
    ),
    Command("session_keys", "This computer's session key of a wallet, by asset.", needs=("wallet",)),
    Command("sponsorship", "Whether the coordinator pays the fees of session keys that have no SOL."),
    Command("wallet_changed", "The wallet itself has signed something: jobs that waited for it go on."),
    Command(
        "plan",
        "Package a job and get signed terms. Items: progress in bytes, then the plan.",
        needs=("script", "out"),
        takes=(
            "data",
            "data_url",
            "data_sha256",
            "requirements",
            "config",
            "overrides",
            "exclude",
            "name",
            "asset",
        ),
        streams=True,
    ),
    Command(
        "measure",
        "What a job would send, and what is wrong with it by field. Items: files and bytes so far, then all.",
        takes=(
            "script",
            "data",
            "data_url",
            "data_sha256",
            "requirements",
            "config",
            "overrides",
            "exclude",
            "out",
        ),
        streams=True,
    ),
    Command("start", "Agree to a plan: its deposit goes into escrow.", needs=("job",)),
    Command("discard", "Say no to a plan.", needs=("job",)),
    Command("jobs", "The newest jobs.", takes=("limit",)),
    Command("show", "One job with its history, reasons, transactions and result.", needs=("job",)),
    Command(
        "watch", "Items: the job, whenever something about it has changed.", needs=("job",), streams=True
    ),
    Command(
        "logs",
        "Items: lines of the job's log, and where they end; from there with ``epoch`` and ``offset``.",
        needs=("job",),
        takes=("follow", "epoch", "offset"),
        streams=True,
    ),
    Command(
        "log_before",
        "The lines of a log that end at a place, ``before``, or at its end: to read it backwards.",
        needs=("job",),
        takes=("epoch", "before"),
    ),
    Command("results", "The files of a job's results: size, hash, whether they are there.", needs=("job",)),
    Command(
        "news",
        "Items: what is worth telling, each once: a job ended, its time runs out, the login ends.",
        takes=("after", "follow"),
        streams=True,
    ),
    Command(
        "metrics",
        "The values that a job printed, by line; ``epoch``, ``offset``, ``line``: where an answer ended.",
        needs=("job",),
        takes=("epoch", "offset", "line"),
    ),
    Command(
        "usage",
        "What the job's container uses over time; ``epoch``, ``after``: where an answer ended.",
        needs=("job",),
        takes=("epoch", "after"),
    ),
    Command("fetch", "Put the results into a folder, or try again now.", needs=("job",), takes=("out",)),
    Command("cancel", "Cancel a job.", needs=("job",)),
    Command("topup_terms", "What more time would cost a job that goes on.", needs=("job", "seconds")),
    Command(
        "topup",
        "Give a job more time, and its escrow the money for it: written down, then done.",
        needs=("job", "seconds"),
    ),
    Command("dispute_terms", "The claim of a job, and what disputing it means.", needs=("job",)),
    Command("dispute", "Dispute the claim of a job: written down, then done.", needs=("job", "reason")),
    Command("offers", "What is on offer now, by GPU class."),
    Command("network", "The coordinator, connected peers, the way to each job's node, and transfer rates."),
    Command(
        "estimate",
        "What a job would cost, who could run it now, and how long it would wait; nothing is packaged.",
        takes=("config", "overrides", "asset", "input_bytes"),
    ),
    Command("deposit_address", "Where to send money that is to be deposited: the wallet's own address."),
    Command("wallet_balance", "The wallet's balances, in it and in escrow, and its session keys."),
    Command(
        "wallet_deposit",
        "From the wallet into escrow; renews the session key.",
        needs=("asset", "units"),
        timeout_s=WALLET_CALL_TIMEOUT_S,
    ),
    Command(
        "wallet_withdraw",
        "From escrow into the wallet; without ``units`` all of it.",
        needs=("asset",),
        takes=("units",),
        timeout_s=WALLET_CALL_TIMEOUT_S,
    ),
    Command("wallet_sessions", "The wallet's session keys on chain, of every computer."),
    Command(
        "session_limits",
        "How much and how long this computer's keys get; changed by what is given.",
        takes=("days", "allow"),
    ),
    Command("wallet_history", "The wallet's money, from chain and ledger.", takes=("limit",)),
)

BY_NAME = {command.name: command for command in COMMANDS}


def check_call(name: str, params: dict[str, object]) -> Command:
    """The command, once its parameters fit.

    :raises Bug: there is no such command or parameter, or one is missing.
    """
    command = BY_NAME.get(name)
    if command is None:
        raise Bug(f"the agent has no command {name!r}")
    missing = set(command.needs) - set(params)
    unknown = set(params) - set(command.needs) - set(command.takes)
    if missing or unknown:
        raise Bug(f"{name}: missing {sorted(missing)}, unknown {sorted(unknown)}")
    return command
