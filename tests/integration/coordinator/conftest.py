"""A real PostgreSQL and a real chain for the session; per test a database and a coordinator of its own."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
import trio
from psycopg.conninfo import make_conninfo
from rich.console import Console
from solders.pubkey import Pubkey

from coordinator.cli import main
from coordinator.domain.settings import Settings
from coordinator.service.app import Coordinator
from coordinator.service.context import Context
from coordinator.service.effects import Effect, no_effect
from coordinator.service.files import CoordinatorFiles
from coordinator.service.follower import Follower
from coordinator.service.keyring import Keyring
from coordinator.store.database import Database
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.migrate import migrate
from coordinator.store.records import ActionRow, JobRow
from p2p.chain.accounts import OnChainConfig
from p2p.chain.config import ChainConfig
from p2p.chain.deploy import bootstrap
from p2p.chain.escrow import EscrowClient
from p2p.chain.faucet import faucet
from p2p.chain.keys import Signer, load_keypair
from p2p.chain.localnet import LocalnetServer
from p2p.chain.localnet_chain import LocalChain
from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import CyxWizError
from p2p.core.ids import Wallet
from p2p.core.money import Asset
from p2p.local.home import HOME_VARIABLE
from p2p.net.identity import PeerIdentity
from p2p.testing.marketplace import DEADLINE_S, Buyer, MovableClock, Node, Wire

T = TypeVar("T")

FUNDED_UNITS = 5_000_000


# -- PostgreSQL


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DSN of a server with a migrated database ``template``."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("pg") / "postgres")
    dsn = server.start()
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            # Nothing here has to survive a power cut, and a database per test is many small writes.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CREATE DATABASE migrated")
        with psycopg.connect(make_conninfo(dsn, dbname="migrated")) as connection:
            migrate(connection)
        yield dsn
    finally:
        server.stop()


_databases = iter(range(1, 1_000_000))


@pytest.fixture
def empty_dsn(postgres: str) -> Iterator[str]:
    """A database without a schema."""
    yield from _database(postgres, "template1")


@pytest.fixture
def dsn(postgres: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database; beside a chain, one whose ledger knows what other tests have done there."""
    if "localnet" in request.fixturenames:
        yield from _database(postgres, _followed(postgres, request.getfixturevalue("localnet")))
    else:
        yield from _database(postgres, "migrated")


_templates: dict[Path, str] = {}


def _followed(server: str, localnet: Localnet) -> str:
    """The name of a database whose ledger has read all of a chain's history."""
    if localnet.folder not in _templates:
        name = _templates[localnet.folder] = f"followed{len(_templates)}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    trio.run(_follow, make_conninfo(server, dbname=_templates[localnet.folder]), localnet)
    return _templates[localnet.folder]


async def _follow(dsn: str, localnet: Localnet) -> None:
    with Database(dsn) as db:
        async with EscrowClient(localnet.config, SYSTEM_CLOCK) as chain:
            await Follower(db, chain, SYSTEM_CLOCK).follow()


def _database(server: str, template: str) -> Iterator[str]:
    name = f"test{next(_databases)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield make_conninfo(server, dbname=name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def db(dsn: str) -> Iterator[Database]:
    with Database(dsn) as opened:
        yield opened


# -- the chain


@dataclass(frozen=True)
class Localnet:
    """A chain with the escrow program, and the operator's keys."""

    config: ChainConfig
    folder: Path
    server: LocalnetServer
    chain: LocalChain

    def put_account(self, address: str, data: bytes, owner: str) -> None:
        """Another program's account, as if that program had written it."""
        with self.server.lock:
            self.chain.put_account(Pubkey.from_string(address), data, Pubkey.from_string(owner))

    @property
    def coordinator(self) -> Signer:
        return load_keypair(self.folder / "coordinator.json")

    async def funded(self, asset: Asset, units: int) -> Signer:
        """A person with SOL for fees and ``units`` in the escrow."""
        person = Signer.generate()
        url = self.config.rpc_urls[0]
        await faucet(url, person.address, Asset.SOL, 10**9 + (units if asset is Asset.SOL else 0))
        if asset is Asset.USDC:
            await faucet(url, person.address, asset, units)
        async with EscrowClient(self.config, SYSTEM_CLOCK) as chain:
            await chain.deposit(person, asset, units)
        return person


@contextmanager
def open_chain(folder: Path) -> Iterator[Localnet]:
    """A chain with its RPC in ``folder``."""
    chain = LocalChain(folder, SYSTEM_CLOCK)
    server = LocalnetServer(chain, 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Localnet(trio.run(bootstrap, server.url, folder), folder, server, chain)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
        chain.close()


@pytest.fixture(scope="session")
def localnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    with open_chain(tmp_path_factory.mktemp("localnet")) as opened:
        yield opened


@pytest.fixture(scope="session")
def new_localnet() -> Callable[[Path], Any]:
    """``with new_localnet(folder) as localnet``, for a test file that moves the chain's clock."""
    return open_chain


@pytest.fixture
async def chain_clock(localnet: Localnet) -> MovableClock:
    """As far ahead as the chain is by now."""
    clock = MovableClock()
    async with EscrowClient(localnet.config) as chain:
        clock.ahead_s = max(0.0, await chain.chain_time_s() - clock.now_s())
    return clock


# -- the coordinator


@dataclass
class World:
    """One coordinator and what is around it."""

    db: Database
    chain: EscrowClient
    localnet: Localnet
    on_chain: OnChainConfig
    clock: MovableClock
    wire: Wire
    coordinator: Coordinator
    identity: PeerIdentity

    def node(self, **traits: Any) -> Node:
        return Node(self, **traits)

    def stranger(self) -> Buyer:
        """A buyer without money or login."""
        return Buyer(self)

    async def buyer(self, asset: Asset = Asset.USDC, units: int = FUNDED_UNITS) -> Buyer:
        buyer = Buyer(self, signer=await self.localnet.funded(asset, units))
        await buyer.login()
        return buyer

    async def until(self, look: Callable[[], Awaitable[T]], holds: Callable[[T], object]) -> T:
        with trio.fail_after(DEADLINE_S):
            while not holds(found := await look()):
                await trio.sleep(0.02)
        return found

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        return self.db.transact(lambda tx: tx.rows(name, **parameters))

    def job(self, job_id: str) -> JobRow:
        found = self.db.transact(lambda tx: tx.one_as(JobRow, "jobs.by_id", job_id=job_id))
        assert found is not None
        return found

    def actions(self, job_id: str) -> list[ActionRow]:
        """Without the closing of the account, which comes after everything that matters."""
        found = self.db.transact(lambda tx: tx.all_as(ActionRow, "outbox.of_job", job_id=job_id))
        return [action for action in found if action.kind != "close"]

    async def balance(self, wallet: Wallet, asset: Asset = Asset.USDC) -> int:
        return await self.chain.balance(wallet, asset)


WorldMaker = Callable[..., Any]


@pytest.fixture
def make_world(db: Database, localnet: Localnet) -> WorldMaker:
    """``async with make_world(effect=…, run=False)``: a coordinator that serves; ``run``: its loops too.

    ``folder``: where its keys lie, if it is to find them itself.
    """
    identity = PeerIdentity.ephemeral()

    @asynccontextmanager
    async def make(
        effect: Effect = no_effect,
        *,
        run: bool = True,
        clock: MovableClock | None = None,
        settings: Settings = Settings(),
        folder: Path | None = None,
    ) -> AsyncIterator[World]:
        clock = clock or MovableClock()
        async with EscrowClient(localnet.config, clock) as chain, trio.open_nursery() as nursery:
            on_chain = await chain.config()
            wire = Wire()
            keyring = Keyring(files=CoordinatorFiles(folder) if folder else None)
            keyring.look_again()
            context = Context(
                db,
                clock,
                identity,
                keyring.find(on_chain.coordinator) or localnet.coordinator,
                chain,
                on_chain,
                wire,
                effect,
                settings=settings,
                keyring=keyring,
            )
            coordinator = Coordinator(context)
            world = World(db, chain, localnet, on_chain, clock, wire, coordinator, identity)
            if run:
                await nursery.start(coordinator.run)
            else:
                for method, handler in coordinator.methods():
                    wire.serve(method, handler)
            yield world
            nursery.cancel_scope.cancel()

    return make


@pytest.fixture
async def world(make_world: WorldMaker) -> AsyncIterator[World]:
    """A coordinator with its loops running."""
    async with make_world() as made:
        yield made


@pytest.fixture
async def still_world(make_world: WorldMaker) -> AsyncIterator[World]:
    """A coordinator that serves calls but whose loops stand still: the test drives them."""
    async with make_world(run=False) as made:
        yield made


@pytest.fixture
def refused() -> Callable[[str], Any]:
    """``with refused("code")``: an error of ours with that code, and three parts that say something."""

    class Expect:
        def __init__(self, code: str) -> None:
            self.code = code

        def __enter__(self) -> Expect:
            return self

        def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
            assert isinstance(error, CyxWizError), f"expected {self.code}, got {error!r}"
            assert error.code == self.code, f"expected {self.code}, got {error.code}: {error.what}"
            assert error.what
            return True

    return Expect


@pytest.fixture
def cli(tmp_path: Path, localnet: Any, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``await cli("disputes", …)``: exit code, standard output, standard error."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(localnet.config.to_toml())
    monkeypatch.setenv(HOME_VARIABLE, str(home))

    def run(arguments: tuple[str, ...]) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["cyxwiz-coordinator", *arguments, "--dsn", dsn])
        monkeypatch.setattr("p2p.local.cli.out", Console(file=out, width=200))
        monkeypatch.setattr("p2p.local.cli.err", Console(file=err, width=200))
        with redirect_stdout(out), pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out.getvalue(), err.getvalue()

    async def asked(*arguments: str) -> tuple[int, str, str]:
        return await trio.to_thread.run_sync(run, arguments)

    return asked
