"""A dispute as the arbiter reads it."""

from __future__ import annotations

from typing import Any

from coordinator.cli.common import amount, when
from p2p.core.limits import DISPUTE_TEXT_MAX_CHARS
from p2p.core.text import clean_name
from p2p.local import cli as frame

Json = dict[str, Any]

_FACT_MAX_CHARS = 400
_PAYMENTS = {"pay_all": "--pay-all", "refund_all": "--refund-all"}


def print_dispute(found: Json) -> None:
    """Everything, in the order in which one asks."""
    _facts(_head(found))
    _section("What they say")
    _facts(
        [
            ("buyer", _words(found["buyer_says"], "nothing to the coordinator; the chain has the dispute")),
            ("node", _words(found["node_says"], "nothing")),
        ]
    )
    _section("What was measured and signed")
    _facts(_measured(found))
    _section("What the chain says")
    _facts(_chain(found))
    rows = [_evidence_row(row) for row in found["evidence"]]
    frame.out.print("\nEvidence: outputs that the node proved against the root that it signed", style="bold")
    frame.print_table(("when", "result", ">file", "path", ">chunk", "what"), rows, "none yet")
    if found["state"] == "open":
        print_payments(found, [(_PAYMENTS[name], parts) for name, parts in found["decisions"].items()])
    _section("Timeline")
    events = [(when(event["at_s"]), event["state"], event["code"]) for event in found["events"]]
    frame.print_table(("when", "state", "why"), events, "none")


def print_payments(found: Json, named: list[tuple[str, Json]]) -> None:
    """What decisions would pay, to the unit."""
    frame.out.print("\nWhat a decision pays", style="bold")
    units = ("used_units", "node_units", "fee_units", "buyer_units")
    rows = [(name, *(amount(parts[unit], found["asset"]) for unit in units)) for name, parts in named]
    frame.print_table(("decision", ">of the claim", ">node", ">platform", ">back to the buyer"), rows, "")


def _head(found: Json) -> list[tuple[str, str]]:
    rows = [
        ("job", f"{found['job_id']}  {found['name']}"),
        ("dispute", f"{found['state']}, since {when(found['opened_at_s'])}"),
        ("claimed", amount(found["claimed_units"], found["asset"])),
        ("deposit", amount(found["terms"]["deposit_units"], found["asset"])),
        ("buyer", found["buyer"]),
        ("node", f"{found['node_wallet']} (peer {found['node_peer_id']})"),
        ("arbiter", found["arbiter"]),
    ]
    if found["state"] == "open":
        late = "; after that anybody may give the whole deposit back to the buyer"
        rows.append(("decide until", when(found["resolve_by_s"]) + late))
    else:
        paid = amount(found["decided_units"] or 0, found["asset"])
        rows.append(("ended", f"{when(found['ended_at_s'])}: {paid} paid"))
    return rows


def _measured(found: Json) -> list[tuple[str, str]]:
    terms, statement = found["terms"], found["statement"]
    rate = amount(terms["rate_units_per_hour"] or 0, found["asset"])
    rows = [
        ("terms", f"{rate} an hour on {terms['gpu_class']}, at most {terms['timeout_s']} s"),
        ("metered", f"{found['metered_seconds']} s, as coordinator and node both saw them"),
    ]
    if statement is None:
        rows.append(("node's word", "none: the job was cancelled while it ran"))
    else:
        rows += [
            (
                "node's word",
                f"exit code {statement['exit_code']} after {statement['run_seconds']:.1f} s; "
                f"{statement['output_files']} files, {statement['output_bytes']} bytes",
            ),
            ("signed root", statement["output_root"]),
        ]
    rows.append(("receipt", "signed by the buyer's engine" if found["receipt"] else "none"))
    return rows


def _chain(found: Json) -> list[tuple[str, str]]:
    chain = found["chain"]
    if chain is None:
        return [("job", "not known")]
    matches = "is" if chain["result_matches"] else "is NOT"
    rows = [
        ("status", chain["status"]),
        ("units", amount(chain["used_units"], found["asset"])),
    ]
    if found["statement"] is not None:
        rows.append(("result", f"the claim {matches} about the node's statement above"))
    if "deadline_at_s" in chain:
        rows.append(("deadline", when(chain["deadline_at_s"])))
    return rows


def _evidence_row(row: Json) -> tuple[str, ...]:
    def number(value: int | None) -> str:
        return "" if value is None else str(value)

    what = row["detail"] or ("" if row["size_bytes"] is None else f"{row['size_bytes']} bytes")
    return (when(row["at_s"]), row["result"], number(row["file_index"]), row["path"],
            number(row["chunk_index"]), what)  # fmt: skip


def _words(said: Json | None, nothing: str) -> str:
    return nothing if said is None else f"{when(said['at_s'])}: {said['text']}"


def _section(title: str) -> None:
    frame.out.print(f"\n{title}", style="bold")


def _facts(rows: list[tuple[str, str]]) -> None:
    for name, value in rows:
        limit = DISPUTE_TEXT_MAX_CHARS + _FACT_MAX_CHARS
        frame.out.print(f"{name:<14}{clean_name(str(value), limit)}", markup=False)
