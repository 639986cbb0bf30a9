"""Evidence in a dispute: what the node proves and what each side may say, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from p2p.chain.accounts import JobStatus
from p2p.chain.errors import ProgramRefused
from p2p.core.ids import JobId
from p2p.core.limits import CLAIM_AFTER_S, DISPUTE_AGAIN_S, DISPUTE_CHUNKS_MAX, DISPUTE_TEXT_MAX_CHARS
from p2p.core.messages.auth import Ack
from p2p.core.messages.disputes import ProofReply, ProofRequest
from p2p.core.messages.nodes import HeldJob
from p2p.core.states import JobState
from p2p.testing.claiming import WINDOW_S, assigned, check_paid, move, work
from p2p.testing.disputing import Cli, claimed_with, dispute_on_chain, disputed, say, shown
from p2p.testing.marketplace import MovableClock
from p2p.wire.codec import decode, encode


@pytest.fixture(scope="module")
def localnet(tmp_path_factory: pytest.TempPathFactory, new_localnet: Any) -> Iterator[Any]:
    """A chain of this file alone, for its clock is moved."""
    with new_localnet(tmp_path_factory.mktemp("evidence")) as opened:
        yield opened


@pytest.fixture
async def still(make_world: Any, chain_clock: MovableClock) -> AsyncIterator[Any]:
    async with make_world(run=False, clock=chain_clock) as world:
        yield world


# -- evidence


async def test_a_node_whose_chunk_differs_is_shown_as_such(still: Any, cli: Cli, tmp_path: Path) -> None:
    _, _, job_id, kept = await disputed(still, tmp_path / "out", {"model.pt": b"weights" * 1000})
    (kept.outputs / "model.pt").write_bytes(b"zeroes!" * 1000)
    await still.coordinator.examiner.sweep()
    (row,) = (await shown(cli, job_id))["evidence"]
    assert (row["result"], row["path"], row["chunk_index"]) == ("differs", "model.pt", 0)
    code, out, _ = await cli("disputes")
    assert code == 0
    assert "1 differs" in out


async def test_a_node_that_proves_other_files_is_shown_as_such(still: Any, cli: Cli, tmp_path: Path) -> None:
    _, node, job_id, _ = await disputed(still, tmp_path / "out", {"model.pt": b"weights"})
    other = await claimed_with(still, tmp_path / "other", {"model.pt": b"nothing"})
    peers = still.wire.peers
    peers[node.identity.peer_id] |= {"files.prove": peers[other[1].identity.peer_id]["files.prove"]}
    await still.coordinator.examiner.sweep()
    (row,) = (await shown(cli, job_id))["evidence"]
    assert row["result"] == "refused"  # it has no such job

    async def prove_other(payload: bytes) -> bytes:
        manifest = other[3].manifest()
        request = decode(ProofRequest, payload)
        entry = replace(manifest.files[request.file_index], path="\x1b]0;title\x07model.pt")
        return encode(ProofReply(entry, manifest.prove(request.file_index), "proof"))

    peers[node.identity.peer_id] |= {"files.prove": prove_other}
    assert (await cli("dispute", "check", job_id))[0] == 0
    await still.coordinator.examiner.sweep()
    rows = (await shown(cli, job_id))["evidence"]
    assert {row["result"] for row in rows[1:]} == {"differs"}
    assert "\x1b" not in "".join(row["path"] + row["detail"] for row in rows)


async def test_a_node_that_is_away_is_asked_again(still: Any, cli: Cli, tmp_path: Path) -> None:
    _, node, job_id, kept = await disputed(still, tmp_path / "out")
    handlers = still.wire.peers[node.identity.peer_id]
    node.vanish()
    await still.coordinator.examiner.sweep()
    found = await shown(cli, job_id)
    assert found["evidence_summary"] == {"unreachable": 1}
    assert await still.coordinator.examiner.sweep() == 0
    still.wire.peers[node.identity.peer_id] = handlers
    await move(still, DISPUTE_AGAIN_S + 1)
    assert await still.coordinator.examiner.sweep() == 1
    found = await shown(cli, job_id)
    assert found["evidence_summary"]["verified"] >= 1
    assert kept.notice is not None
    count = len(found["evidence"])
    code, _, _ = await cli("dispute", "check", job_id)
    assert code == 0
    assert await still.coordinator.examiner.sweep() == 1
    assert len((await shown(cli, job_id))["evidence"]) <= count + DISPUTE_CHUNKS_MAX


async def test_a_cancelled_job_has_nothing_to_prove(still: Any, cli: Cli) -> None:
    buyer, node, job_id, _ = await assigned(still)
    await move(still, 100)
    await node.beat(HeldJob(job_id, 1, JobState.RUNNING, 100.0))
    await still.coordinator.registry.flush()
    await buyer.cancel(job_id)
    await work(still, job_id)
    await move(still, CLAIM_AFTER_S)
    await still.coordinator.claims.sweep()
    await work(still, job_id)
    await dispute_on_chain(still, buyer, job_id)
    await say(buyer, job_id, "It never ran.")
    await still.coordinator.examiner.sweep()
    found = await shown(cli, job_id)
    assert found["evidence_summary"] == {"not_applicable": 1}
    assert found["statement"] is None
    assert (await cli("dispute", "show", job_id))[0] == 0


# -- who may say what, and when


async def test_a_thief_cannot_dispute_anothers_job(still: Any, refused: Any, tmp_path: Path) -> None:
    buyer, _, job_id, _ = await claimed_with(still, tmp_path / "out")
    thief = await still.buyer()
    owner = buyer.signer.address
    with pytest.raises(ProgramRefused):
        await still.chain.send_and_confirm(
            await still.chain.prepare_dispute(thief.signer, owner, JobId(job_id))
        )
    with refused("unknown_job"):
        await say(thief, job_id, "Give it to me.")
    with refused("dispute_not_seen"):
        await say(buyer, job_id, "Without the chain it is nothing.")
    await dispute_on_chain(still, buyer, job_id)
    with refused("unknown_job"):
        await say(thief, job_id, "Give it to me.")
    assert (await buyer.show(job_id)).review.dispute is None


async def test_a_chain_that_is_behind_is_no_reason_to_lose_the_buyers_words(
    still: Any, refused: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    buyer, _, job_id, _ = await claimed_with(still, tmp_path / "out")
    owner = buyer.signer.address
    found = await still.chain.existing_job(owner, JobId(job_id))
    await dispute_on_chain(still, buyer, job_id)
    for behind in (replace(found, status=JobStatus.ASSIGNED), None):

        async def seen(*_: object, behind: Any = behind) -> Any:
            return behind

        with monkeypatch.context() as patch, refused("dispute_not_seen"):
            patch.setattr("p2p.chain.escrow.EscrowClient.seen_job", seen)
            await say(buyer, job_id, "It is empty.")
    await say(buyer, job_id, "It is empty.")
    assert (await buyer.show(job_id)).review.reason == "It is empty."


async def test_after_the_window_there_is_no_dispute(still: Any, refused: Any, tmp_path: Path) -> None:
    buyer, node, job_id, _ = await claimed_with(still, tmp_path / "out")
    used = still.job(job_id).used_units
    await move(still, WINDOW_S + 1)
    with pytest.raises(ProgramRefused) as late:
        await dispute_on_chain(still, buyer, job_id)
    assert "too_late" in str(late.value) or late.value.number == 6019
    await work(still, job_id)
    with refused("not_disputed"):
        await say(buyer, job_id, "Too late.")
    await check_paid(still, buyer, node, job_id, used)


async def test_what_is_said_first_stands(still: Any, refused: Any, cli: Cli, tmp_path: Path) -> None:
    longest = "\u6f22" * DISPUTE_TEXT_MAX_CHARS
    buyer, node, job_id, _ = await disputed(still, tmp_path / "out", reason=longest)
    assert (await say(buyer, job_id, "second")).review.reason == longest
    stranger = still.node()
    await stranger.join()
    with refused("not_disputed"):
        await say(stranger, job_id, "It was mine.", method="dispute.answer", reply=Ack)
    for _ in range(2):
        await say(node, job_id, "It ran.", method="dispute.answer", reply=Ack)
    with refused("answered"):
        await say(node, job_id, "It ran well.", method="dispute.answer", reply=Ack)
    for text in (" ", "x" * (DISPUTE_TEXT_MAX_CHARS + 1)):
        with refused("bad_text"):
            await say(buyer, job_id, text)
    found = await shown(cli, job_id)
    assert (found["buyer_says"]["text"], found["node_says"]["text"]) == (longest, "It ran.")
    assert (await buyer.show(job_id)).review.answer == "It ran."


async def test_the_reconciler_finds_a_dispute_that_nobody_told(still: Any, cli: Cli, tmp_path: Path) -> None:
    buyer, _, job_id, kept = await claimed_with(still, tmp_path / "out")
    await dispute_on_chain(still, buyer, job_id)
    await still.coordinator.sweeps.reconcile()
    await still.coordinator.sweeps.reconcile()
    assert await still.coordinator.disputes.tell_nodes() >= 1
    assert kept.notice is not None
    assert kept.notice.reason == ""
    assert (await shown(cli, job_id))["buyer_says"] is None
    await say(buyer, job_id, "Now I say it.")
    await still.coordinator.disputes.tell_nodes()
    assert kept.notice.reason == "Now I say it."
