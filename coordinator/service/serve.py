"""``cyxwiz-coordinator serve``: from an empty folder to a coordinator that answers, and a clean end."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from coordinator.domain.settings import Settings, parse_settings
from coordinator.service.adverts import AdvertListener
from coordinator.service.app import Coordinator
from coordinator.service.chunks import pull_and_drop
from coordinator.service.context import Context
from coordinator.service.effects import Effect, no_effect
from coordinator.service.files import CoordinatorFiles
from coordinator.service.keyring import Keyring
from coordinator.store.database import Database
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.migrate import migrate
from p2p.chain.accounts import OnChainConfig
from p2p.chain.config import ChainConfig
from p2p.chain.escrow import EscrowClient
from p2p.chain.keys import Signer, to_pubkey
from p2p.core.clock import SYSTEM_CLOCK, Clock
from p2p.core.errors import EnvironmentFailure, UserError
from p2p.core.limits import CHAIN_WAIT_S
from p2p.core.paths import Home
from p2p.core.topics import ADVERTS
from p2p.local.home import make_private
from p2p.local.platform import ProcessLock, connections_max
from p2p.net.identity import PeerIdentity
from p2p.net.peer import Peer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The command line. Without ``dsn`` a PostgreSQL of our own is started."""

    home: Home
    listen: tuple[str, ...]
    dsn: str | None = None


async def serve(
    options: ServeOptions,
    ready: Callable[[str], None],
    clock: Clock = SYSTEM_CLOCK,
    effect: Effect = no_effect,
) -> None:
    """Run until SIGTERM or SIGINT. ``ready`` is given the address once calls are answered.

    :raises EnvironmentFailure: another coordinator runs on this home; no database, no chain, no port.
    :raises UserError: the configuration or a key is missing or wrong.
    """
    files = CoordinatorFiles(make_private(options.home.coordinator.folder))
    with ProcessLock(options.home.coordinator.lock):
        files.address.unlink(missing_ok=True)
        chain_config = ChainConfig.load(options.home.config)
        settings = _load_settings(options.home.config)
        keyring = Keyring.load(files)
        identity = PeerIdentity.load_or_create(options.home.coordinator.peer_key)
        async with trio.open_nursery() as nursery:
            await nursery.start(_stop_on_signal, nursery.cancel_scope)
            async with _database(options, files) as db, EscrowClient(chain_config, clock) as chain:
                on_chain, signer = await _read_config(chain, keyring, files)
                async with Peer.open(
                    identity,
                    options.listen,
                    clock=clock,
                    topics=(ADVERTS,),
                    connections_max=connections_max(),
                ) as peer:
                    context = Context(
                        db,
                        clock,
                        identity,
                        signer,
                        chain,
                        on_chain,
                        peer,
                        effect,
                        settings=settings,
                        pull=partial(pull_and_drop, peer),
                        keyring=keyring,
                    )
                    await _run(context, peer, files, ready)


async def _run(context: Context, peer: Peer, files: CoordinatorFiles, ready: Callable[[str], None]) -> None:
    coordinator = Coordinator(context)
    peer.on_disconnect(coordinator.registry.forget)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(coordinator.run)
            nursery.start_soon(AdvertListener(context).run, peer)
            address = peer.addresses[0] if peer.addresses else str(peer.peer_id)
            write_private(files.address, address + "\n")
            ready(address)
            await trio.sleep_forever()
    finally:
        files.address.unlink(missing_ok=True)


async def _stop_on_signal(
    scope: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            logger.info("stopping on signal %d", number)
            scope.cancel()
            return


def _load_settings(path: Path) -> Settings:
    settings = parse_settings(path.read_text(encoding="utf-8"))
    if settings.pyth_account is not None:
        to_pubkey(settings.pyth_account)
    return settings


@asynccontextmanager
async def _database(options: ServeOptions, files: CoordinatorFiles) -> AsyncIterator[Database]:
    """The database, migrated and open; our own server is stopped at the end."""
    own = EmbeddedPostgres(files.postgres) if options.dsn is None else None
    try:
        dsn = options.dsn if own is None else await trio.to_thread.run_sync(own.start)
        write_private(files.dsn, f"{dsn}\n")
        db = Database(dsn or "")
        await trio.to_thread.run_sync(db.open)
        try:
            for name in await trio.to_thread.run_sync(_migrate, db):
                logger.info("database step %s applied", name)
            yield db
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(db.close)
    finally:
        if own is not None:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(own.stop)


def _migrate(db: Database) -> list[str]:
    with db.raw() as connection:
        return migrate(connection)


async def _read_config(
    chain: EscrowClient, keyring: Keyring, files: CoordinatorFiles
) -> tuple[OnChainConfig, Signer]:
    """The program's configuration, and its coordinator's key; waits for a chain that is just starting."""
    deadline_s = trio.current_time() + CHAIN_WAIT_S
    while True:
        try:
            config = await chain.config()
            break
        except EnvironmentFailure as error:
            if not error.retryable or trio.current_time() >= deadline_s:
                raise
            logger.warning("waiting for the chain: %s", error.what)
            await trio.sleep(1.0)
    signer = keyring.find(config.coordinator)
    if signer is None:
        raise UserError(
            "wrong_coordinator_key",
            f"The escrow program's coordinator is {config.coordinator}, and the keypairs here are "
            f"{', '.join(each.address for each in keyring)}.",
            "It could take no new job, so nothing was started.",
            f"Put the coordinator's keypair into {files.keys}, or hand the office over to one of these.",
        )
    return config, signer


def write_private(path: Path, text: str) -> None:
    """Write a file for this user alone, at once or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(fresh, path)
