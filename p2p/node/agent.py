"""The node's process: everything between its lock file and its last goodbye."""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import trio

from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.config import NetworkConfig
from p2p.core.errors import CyxWizError
from p2p.core.ids import Wallet
from p2p.core.limits import ADVERT_INTERVAL_S, SURVEY_INTERVAL_S
from p2p.core.messages.auth import LoginReply
from p2p.core.messages.nodes import Heartbeat, HeldJob, LeaseGrant, NodeAdvert, StopOrder
from p2p.core.paths import Home
from p2p.core.signing import Domain, Signed, signing_input
from p2p.core.topics import ADVERTS
from p2p.core.wallet_choice import WalletChoice
from p2p.local.home import load_network_config, make_private
from p2p.local.platform import ProcessLock, connections_max
from p2p.local.server import LocalServer
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.node.books import Books
from p2p.node.checks import coordinator_row
from p2p.node.chunk_store import ChunkStore
from p2p.node.coordinator_link import CoordinatorLink
from p2p.node.disputes import Disputes
from p2p.node.gate import Gate
from p2p.node.history import History
from p2p.node.jobs import Jobs
from p2p.node.local_api import LocalApi
from p2p.node.news import Kind, News
from p2p.node.payout import LoginState, Payout, load_payout, logged_in, login_words
from p2p.node.runner import CheckRow, Runner
from p2p.node.script_progress import ScriptProgress
from p2p.node.serving import Serving
from p2p.node.settings import NodeSettings, change_settings, load_settings, save_settings, settings_path
from p2p.node.staging import Staging
from p2p.node.supervisor import Services
from p2p.node.survey import Survey
from p2p.node.transfer import OutputSource
from p2p.node.url_fetch import FetchLimits
from p2p.store.journal import Journal
from p2p.store.migrations import migrations
from p2p.store.node import NodeTables
from p2p.store.readings import ReadingTables
from p2p.wire.codec import encode

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodePaths:
    """Where the node's own files lie, below its folder of the home."""

    folder: Path

    @property
    def run(self) -> Path:
        """The runner's folder: inputs, disks and mounts of running jobs."""
        return self.folder / "run"

    @property
    def chunks(self) -> Path:
        """Input chunks by hash."""
        return self.folder / "chunks"


def package_version() -> str:
    """The version of the installed distribution; ``0`` in a bare source tree."""
    try:
        return version("cyxwiz")
    except PackageNotFoundError:
        return "0"


class NodeAgent:
    """A running node; make it with :meth:`open`. It is also what its coordinator's link asks."""

    def __init__(
        self,
        home: Home,
        settings: NodeSettings,
        payout: Payout,
        peer: Peer,
        network: NetworkConfig,
        clock: Clock,
    ) -> None:
        self.home = home
        self.settings = settings
        self.payout = payout
        self.peer = peer
        self.network = network
        self.clock = clock
        self.link = CoordinatorLink(peer, network, payout, self, clock)
        self.runner = Runner(NodePaths(home.node.folder).run, clock)
        self.survey = Survey(self.runner, home.node.folder, lambda: self.settings, clock)
        self.gate = Gate(self)
        self.news = News(clock)
        self.books = Books(self.link, lambda: self.payout.wallet, self.news)
        self.progress = ScriptProgress()
        self._changing = trio.Lock()
        self._warned: LoginState | None = None
        self.jobs: Jobs
        self.tables: NodeTables
        self.history: History

    @classmethod
    @asynccontextmanager
    async def open(
        cls, home: Home, nursery: trio.Nursery, clock: Clock = SYSTEM_CLOCK
    ) -> AsyncIterator[NodeAgent]:
        """Everything wired, jobs resumed, handlers served; background tasks run in ``nursery``.

        :raises CyxWizError: the configuration, a key, the journal or the network cannot be used.
        """
        network = load_network_config(home)
        settings = load_settings(settings_path(home.node.folder))
        payout = load_payout(home.node.folder, settings)
        identity = PeerIdentity.load_or_create(home.node.peer_key)
        async with (
            Journal.open(home.node.journal, migrations("node")) as journal,
            Peer.open(
                identity,
                settings.listen,
                clock=clock,
                topics=(ADVERTS,),
                connections_max=connections_max(),
                towards=(network.coordinator_address,),
            ) as peer,
        ):
            agent = cls(home, settings, payout, peer, network, clock)
            try:
                await agent._wire(identity, journal, nursery)
                yield agent
            finally:
                agent.runner.close()

    async def _wire(self, identity: PeerIdentity, journal: Journal, nursery: trio.Nursery) -> None:
        paths = NodePaths(self.home.node.folder)
        self.tables = NodeTables(journal, self.clock)
        self.tables.on_step = self.news.job_moved
        self.history = History(ReadingTables(journal), self.clock)
        chunks = ChunkStore(paths.chunks)
        await trio.to_thread.run_sync(chunks.drop_partial)
        outputs = OutputSource()
        limits = FetchLimits(private_addresses=self.settings.private_data_urls)
        services = Services(
            tables=self.tables,
            runner=self.runner,
            staging=Staging(self.peer, chunks, self.clock, limits),
            identity=identity,
            coordinator=self.link,
            outputs=outputs,
            clock=self.clock,
            folder=make_private(self.home.node.jobs),
        )
        self.jobs = Jobs(
            services, lambda: self.settings, lambda: self.survey.capacity, self.gate.refusal, nursery
        )
        await self.survey.look()
        Serving(self.jobs, self.tables, outputs, self.link.coordinator).attach(self.peer)
        Disputes(self.jobs, outputs, self.link.coordinator, self.clock).attach(self.peer)
        await self.jobs.resume()

    # -- what the link asks

    def advert(self) -> NodeAdvert:
        """What the node says of itself now."""
        capacity = self.survey.capacity
        return NodeAdvert(
            peer_id=self.peer.peer_id,
            wallet=self.payout.wallet,
            addresses=self.peer.addresses,
            hardware=capacity.hardware,
            min_price_usd_micros_per_hour=self.settings.min_price_usd_micros_per_hour,
            available=self.available,
            networks=capacity.networks,
            image_digest=self.survey.image,
            version=package_version(),
        )

    def heartbeat(self) -> Heartbeat:
        """How it stands now."""
        return Heartbeat(
            available=self.available,
            held=self.jobs.held(),
            reading=self.survey.reading,
            disk_free_bytes=self.survey.capacity.hardware.disk_free_bytes,
        )

    async def orders(
        self, sent: tuple[HeldJob, ...], leases: tuple[LeaseGrant, ...], stop: tuple[StopOrder, ...]
    ) -> None:
        """Carry out what the coordinator answered."""
        await self.jobs.orders(sent, leases, stop)

    @property
    def available(self) -> bool:
        """Whether jobs are taken: the seller wants to now, and Docker and the image are there."""
        return self.gate.verdict().takes

    # -- what its owner asks

    def coordinator_row(self) -> CheckRow:
        """The self-test's row about the coordinator."""
        status = self.link.status
        return coordinator_row(self.network.coordinator_address, status.problem, reached=status.registered)

    async def change_settings(self, values: Mapping[str, Any]) -> NodeSettings:
        """Put values into the settings, keep them, and act on them; the settings as they are then.

        :raises UserError: they are impossible.
        :raises EnvironmentFailure: they cannot be written.
        """
        async with self._changing:
            await self._keep(change_settings(self.settings, values))
        await self.survey.look()
        self.link.announce()
        self.news.changed.ring()
        return self.settings

    async def _keep(self, settings: NodeSettings) -> None:
        await trio.to_thread.run_sync(save_settings, settings_path(self.home.node.folder), settings)
        self.settings = settings

    async def log_in(self, choice: WalletChoice, wallet: Wallet, text: str, signature: bytes) -> LoginReply:
        """Be paid to a wallet that has signed a login of this node. Jobs that run are paid as they began.

        :raises CyxWizError: as :meth:`Login.answer`; the settings cannot be written.
        """

        async def accept(reply: LoginReply) -> Payout:
            async with self._changing:
                settings = logged_in(self.settings, choice, wallet, reply.expires_at_s)
                payout = load_payout(self.home.node.folder, settings)
                await self._keep(settings)
                self.payout = payout
            return payout

        reply = await self.link.hand_in(wallet, text, signature, accept)
        self.warn_of_login()
        return reply

    def warn_of_login(self) -> None:
        """Say in the log what a person has to do soon, once for each state of the login."""
        state = self.payout.login(self.clock.now_s())
        if state is self._warned:
            return
        self._warned = state
        if state in (LoginState.ENDS_SOON, LoginState.ENDED):
            words = f"{login_words(self.payout, state)} To log in: {self.payout.login_command}"
            _LOG.warning("%s", words)
            self.news.tell(Kind.LOGIN_ENDS, words)

    # -- background tasks

    async def survey_regularly(self) -> None:
        """Look at the machine again and again; a change of what is on offer is announced."""
        while True:
            self.warn_of_login()
            await trio.sleep(SURVEY_INTERVAL_S)
            before, rows = self.advert(), self.survey.rows
            await self.survey.look()
            self.news.checks_changed(rows, self.survey.rows)
            if offer_of(self.advert()) != offer_of(before):
                self.link.announce()

    async def advertise_regularly(self) -> None:
        """Tell the neighbourhood by gossip. It informs; the registry decides."""
        while True:
            await self.link.until_registered()
            payload = encode(self.advert())
            signature = self.peer.identity.sign(signing_input(Domain.ADVERT, payload))
            try:
                await self.peer.publish(ADVERTS, encode(Signed(payload, self.peer.peer_id, signature)))
            except CyxWizError as error:
                _LOG.info("advert not published: %s", error.what)
            await trio.sleep(ADVERT_INTERVAL_S)


def offer_of(advert: NodeAdvert) -> tuple[object, ...]:
    """What of an advert is worth announcing again: not the free disk, which heartbeats tell."""
    hardware = advert.hardware
    return (advert.available, advert.image_digest, advert.networks, hardware.gpus, hardware.memory_bytes)


async def run_agent(home: Home, *, stop_jobs: bool = False) -> None:
    """Run the node on ``home`` until SIGTERM or SIGINT.

    Jobs go on without the agent and are found again at its next start, unless ``stop_jobs``.

    :raises EnvironmentFailure: ``already_running``, or something that the node needs is not there.
    :raises UserError: the configuration is wrong.
    """
    make_private(home.node.folder)
    with ProcessLock(home.node.lock):
        async with trio.open_nursery() as nursery, NodeAgent.open(home, nursery) as agent:
            api = LocalApi(agent)
            await nursery.start(LocalServer(api.handlers(), api.streams()).serve, home.node.socket)
            nursery.start_soon(agent.link.run)
            nursery.start_soon(agent.survey_regularly)
            nursery.start_soon(agent.gate.watch)
            nursery.start_soon(agent.books.keep, agent.clock.now_s)
            nursery.start_soon(agent.advertise_regularly)
            nursery.start_soon(agent.jobs.tidy_regularly)
            _LOG.info("node %s runs, wallet %s", agent.peer.peer_id, agent.payout.wallet)
            await _until_told_to_stop(api)
            _LOG.info("stopping")
            agent.jobs.leaving = True
            if stop_jobs or api.stop_jobs:
                await agent.jobs.stop_all("The node's owner stopped it.")
            await agent.link.leave("stopped by its owner")
            nursery.cancel_scope.cancel()


async def _until_told_to_stop(api: LocalApi) -> None:
    async with trio.open_nursery() as nursery:

        async def wait_for_signal() -> None:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    nursery.cancel_scope.cancel()
                    return

        nursery.start_soon(wait_for_signal)
        await api.asked_to_stop.wait()
        nursery.cancel_scope.cancel()
