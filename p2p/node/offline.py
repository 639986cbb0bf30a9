"""What the CLI does itself while no agent runs."""

from __future__ import annotations

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import CyxWizError, EnvironmentFailure
from p2p.core.ids import PeerId
from p2p.core.limits import DIAL_TIMEOUT_S
from p2p.core.paths import Home
from p2p.local.home import load_network_config, make_private
from p2p.local.protocol import Json
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.node.agent import NodePaths
from p2p.node.checks import check_rows
from p2p.node.payout import load_payout
from p2p.node.runner import CheckRow, Runner
from p2p.node.settings import load_settings, settings_path
from p2p.node.survey import Survey
from p2p.node.views import job_json
from p2p.store.journal import Journal
from p2p.store.migrations import migrations
from p2p.store.node import NodeTables


async def check(home: Home) -> list[CheckRow]:
    """The self-test without an agent; the coordinator is only dialled.

    :raises CyxWizError: the settings or the wallet cannot be read.
    """
    folder = make_private(home.node.folder)
    paths = NodePaths(folder)
    settings = load_settings(settings_path(folder))
    payout = load_payout(folder, settings)
    runner = Runner(paths.run, SYSTEM_CLOCK)
    try:
        survey = Survey(runner, folder, lambda: settings)
        await survey.look()
    finally:
        runner.close()
    return [*check_rows(survey, settings, payout, SYSTEM_CLOCK.now_s()), await _coordinator(home)]


async def _coordinator(home: Home) -> CheckRow:
    problem: CyxWizError | None = None
    found = "not reached"
    try:
        network = load_network_config(home)
        found = network.coordinator_address
        # With a key of its own: the node's is not to be in use twice.
        async with Peer.open(PeerIdentity.ephemeral(), ()) as peer:
            await peer.connect(PeerId(network.coordinator_peer_id), (network.coordinator_address,))
    except CyxWizError as error:
        problem = error
    return CheckRow(
        name="coordinator",
        ok=problem is None,
        found=problem.what if problem else f"answers at {found}",
        needed=f"a coordinator that answers within {DIAL_TIMEOUT_S:.0f} s",
        why="jobs come from there",
        fix=problem.hint or "Check config.toml and the network." if problem else "",
    )


async def jobs(home: Home, limit: int) -> list[Json]:
    """The last jobs, from the journal.

    :raises EnvironmentFailure: the journal cannot be read.
    """
    if not home.node.journal.exists():
        return []
    async with Journal.open(home.node.journal, migrations("node")) as journal:
        records = await NodeTables(journal).newest(limit)
    now_s = SYSTEM_CLOCK.now_s()
    return [job_json(record, now_s) for record in records]


async def clean(home: Home) -> list[str]:
    """Remove everything of this node's jobs outside its journal; what was removed.

    :raises EnvironmentFailure: Docker does not answer, or something could not be removed.
    """
    runner = Runner(NodePaths(home.node.folder).run, SYSTEM_CLOCK)
    try:
        removed = await runner.sweep(set())
        await runner.remove_network()
        return removed
    except EnvironmentFailure as failure:
        raise EnvironmentFailure(
            failure.code,
            failure.what,
            "Containers, mounts or firewall rules of this node's jobs may still be there.",
            failure.hint or "Start Docker and run `cyxwiz-node clean` again.",
        ) from failure
    finally:
        runner.close()
