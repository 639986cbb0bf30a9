"""``cyxwiz-coordinator``: the operator's command line. It talks straight to the coordinator's database."""

from __future__ import annotations

import click

from coordinator.cli.disputes import dispute, disputes
from coordinator.cli.escrow import escrow
from coordinator.cli.money import accounts, ledger
from coordinator.cli.rates import rates
from coordinator.cli.reads import job, jobs, nodes, status
from coordinator.cli.serving import migrate, postgres, serve
from coordinator.cli.settle import settle
from p2p.local import cli as frame


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cyxwiz")
def group() -> None:
    """Run and look after a CyxWiz coordinator: registry, queue and ledger."""


_QUEUE = (serve, migrate, postgres, status, nodes, jobs, job)
_MONEY = (rates, accounts, ledger, settle, escrow, disputes, dispute)

for command in (*_QUEUE, *_MONEY):
    group.add_command(command)


def main() -> None:
    """Entry point of ``cyxwiz-coordinator``."""
    frame.main(group, "cyxwiz-coordinator")
