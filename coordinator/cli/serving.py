"""``serve``, ``migrate``, ``postgres``."""

from __future__ import annotations

import logging
import sys

import click

from coordinator.cli.common import database, dsn_option, files
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.migrate import migrate as run_migrate
from p2p.local import cli as frame
from p2p.local.home import find_home, make_private
from p2p.local.platform import is_locked

_LISTEN_DEFAULT = "/ip4/0.0.0.0/tcp/4001"


@click.command()
@click.option(
    "--listen",
    multiple=True,
    default=(_LISTEN_DEFAULT,),
    show_default=True,
    help="Multiaddr to listen on; may be given several times. Port 0 takes a free one.",
)
@dsn_option
def serve(listen: tuple[str, ...], dsn: str | None) -> None:
    """Run the coordinator until it is stopped (Ctrl-C or SIGTERM). Brings its own PostgreSQL unless --dsn."""
    # Loaded here, because the other commands need none of the network and should answer at once.
    from coordinator.service.serve import ServeOptions
    from coordinator.service.serve import serve as run_serve

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("libp2p", "httpx", "httpcore", "async_service", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.WARNING)
    frame.run_async(run_serve, ServeOptions(find_home(), listen, dsn), _say_ready)


def _say_ready(address: str) -> None:
    click.echo(address)
    sys.stdout.flush()


@click.command()
@dsn_option
def migrate(dsn: str | None) -> None:
    """Bring the database to this version's schema. `serve` does so by itself."""
    own = None
    if dsn is None and not is_locked(find_home().coordinator.lock):
        make_private(files().folder)
        own = EmbeddedPostgres(files().postgres)
        dsn = own.start()
    try:
        with database(dsn) as db, db.raw() as connection:
            applied = run_migrate(connection)
    finally:
        if own is not None:
            own.stop()
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The database is up to date.")


@click.group()
def postgres() -> None:
    """The PostgreSQL that the coordinator brings."""


@postgres.command()
def stop() -> None:
    """Stop it if it still runs, as after `kill -9` of the coordinator. Does nothing while one runs."""
    if is_locked(find_home().coordinator.lock):
        click.echo("The coordinator runs and needs it; stop the coordinator instead.")
        return
    server = EmbeddedPostgres(files().postgres)
    was_running = server.is_running()
    server.stop()
    click.echo("stopped" if was_running else "It was not running.")
