"""The engine's process: ``python -m p2p.engine.agent``. Started by the CLI or a window, outlives both."""

from __future__ import annotations

import hmac
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

import trio

from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.errors import CyxWizError, EnvironmentFailure, UserError
from p2p.core.limits import FORGET_DROPPED_S, PLAN_LIFETIME_S, PLAN_SWEEP_S
from p2p.core.paths import Home
from p2p.engine import planning, serving
from p2p.engine.api import Api
from p2p.engine.context import Engine
from p2p.engine.events import watch_events
from p2p.engine.link import CoordinatorLink
from p2p.engine.live import LiveJobs
from p2p.engine.news import watch_login
from p2p.engine.sources import InputSource
from p2p.engine.supervisor import Supervisors
from p2p.engine.wallets import Wallets
from p2p.local.home import find_home, load_network_config, make_private
from p2p.local.platform import ProcessLock
from p2p.local.server import LocalServer
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer
from p2p.store.engine import EngineTables
from p2p.store.journal import Journal
from p2p.store.migrations import migrations

_LOG = logging.getLogger(__name__)

_PORT = "listen_port"
_DISCARD_PORT = 9  # a datagram socket is only bound towards it; nothing is sent


async def run_agent(home: Home, clock: Clock = SYSTEM_CLOCK) -> None:
    """Serve until told to stop (``stop``, SIGTERM). The caller holds the lock.

    :raises CyxWizError: the journal, the key or the network cannot be used.
    """
    async with open_engine(home, clock) as engine, trio.open_nursery() as nursery:
        supervisors = Supervisors(engine, nursery)
        api = Api(engine, supervisors, nursery, nursery.cancel_scope.cancel, package_version())
        server = LocalServer(api.handlers(), api.streams())
        await serving.attach(engine)
        nursery.start_soon(watch_events, engine)
        nursery.start_soon(_sweep_plans, engine)
        nursery.start_soon(watch_login, engine)
        nursery.start_soon(_stop_on_signal, nursery.cancel_scope)
        await supervisors.resume()
        await nursery.start(server.serve, home.engine.socket)
        _LOG.info("the engine runs as %s at %s", engine.peer.peer_id, ", ".join(engine.peer.addresses))


@asynccontextmanager
async def open_engine(home: Home, clock: Clock) -> AsyncIterator[Engine]:
    """All parts of the engine, wired."""
    identity = PeerIdentity.load_or_create(home.engine.peer_key)
    async with Journal.open(home.engine.journal, migrations("engine")) as journal:
        tables = EngineTables(journal, clock)
        async with _open_peer(home, identity, tables, clock) as peer:
            wallets = Wallets(home, tables)
            link = CoordinatorLink(home, peer, wallets)
            source = InputSource(hmac.digest(identity.seed, b"cyxwiz grants", "sha256"))
            yield Engine(home, clock, tables, peer, wallets, link, source, LiveJobs())


@asynccontextmanager
async def _open_peer(
    home: Home, identity: PeerIdentity, tables: EngineTables, clock: Clock
) -> AsyncIterator[Peer]:
    """Listen on the port of last time, so that nodes which know this engine find it again."""
    host = _listen_host(home)
    kept = int(await tables.setting(_PORT) or 0)
    for port in dict.fromkeys((kept, 0)):
        if port and not _is_free(host, port):
            continue
        async with Peer.open(identity, (f"/ip4/{host}/tcp/{port}",), clock=clock) as peer:
            await tables.set_setting(_PORT, peer.addresses[0].split("/")[4])
            yield peer
            return


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _listen_host(home: Home) -> str:
    """The address of the interface by which the coordinator is reached; loopback when there is none yet."""
    try:
        target = load_network_config(home).coordinator_address.split("/")
    except UserError:
        return "127.0.0.1"
    if target[1:2] != ["ip4"]:
        return "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target[2], _DISCARD_PORT))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


async def _sweep_plans(engine: Engine) -> None:
    """Forget plans that nobody agreed to, and what is left of jobs that were dropped."""
    while True:
        now_s = engine.clock.now_s()
        for job in await engine.tables.waiting():
            if job.created_at_s < now_s - PLAN_LIFETIME_S:
                await planning.drop(engine, job)
        for job_id in await engine.tables.forget_dropped(now_s - FORGET_DROPPED_S):
            await trio.to_thread.run_sync(planning.remove_folder, engine.folder(job_id))
        await trio.sleep(PLAN_SWEEP_S)


async def _stop_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            _LOG.info("stopping")
            scope.cancel()
            return


def package_version() -> str:
    """The version of the installed distribution; ``0`` in a bare source tree."""
    try:
        return version("cyxwiz")
    except PackageNotFoundError:
        return "0"


def main() -> None:
    """Take the lock and run; errors go to standard error, which is the agent's log."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs URLs, which may hold an RPC key
    home = find_home()
    try:
        make_private(home.engine.folder)
        with ProcessLock(home.engine.lock):
            trio.run(run_agent, home)
    except* CyxWizError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert isinstance(error, CyxWizError)
        print(" ".join(error.lines()), file=sys.stderr)
        code = (
            0
            if isinstance(error, EnvironmentFailure) and error.code == "already_running"
            else error.exit_code
        )
        with suppress(BrokenPipeError):
            sys.stderr.flush()
        sys.exit(int(code))


if __name__ == "__main__":
    main()
