"""``cyxwiz-node login``: which wallet the node is paid to."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from p2p.core.wallet_choice import WalletChoice, WalletKind
from p2p.local import cli as frame
from p2p.local.home import find_home
from p2p.local.wallet_options import wallet_options
from p2p.node.cli_common import when


@click.command()
@wallet_options
@frame.json_option
def login(choice: WalletChoice | None, as_json: bool) -> None:
    """Have the node paid to a wallet, whether the agent runs or not.

    Without options, a page opens in the browser that has your wallet. The node never sees the key of a
    wallet in a browser or keystore, and runs without it; it says when that login ends. With a keypair file
    it logs in again by itself.
    """
    # Imported here, because the network and the chain take a second to load that no other command needs.
    from p2p.node.doors import log_in

    choice = choice or WalletChoice(WalletKind.BROWSER)
    found = frame.run_async(log_in, find_home(), choice)
    if as_json:
        frame.print_json(found)
        return
    frame.out.print(Text(f"This node is paid to {found['wallet']} from now on."))
    if choice.kind is not WalletKind.KEYPAIR:
        frame.out.print(Text(f"The login lasts until {when(found['expires_at_s'])}."))
    if found["before"]["wallet"] != found["wallet"]:
        for line in _about_the_one_before(found["before"]):
            frame.out.print(Text(line))


def _about_the_one_before(before: dict[str, Any]) -> list[str]:
    lines = [f"Jobs that run are paid to {before['wallet']} still; what it earned stays its own."]
    if before["file"] is not None:
        lines.append(f"To take that out: cyxwiz-node withdraw --all --{before['kind']} {before['file']}")
    return lines
