"""The bridges on which containers reach the internet, and nothing nearer than that.

Docker's default bridge reaches the host, the LAN and the cloud's metadata service. Ours are cut off from
all of them in two places: DOCKER-USER for what is forwarded, INPUT for what is meant for the host. The
rules are in place before the bridge exists. Needs root and iptables.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path

import docker
import trio

from p2p.core.errors import EnvironmentFailure
from p2p.core.limits import FIREWALL_TIMEOUT_S
from p2p.node.runner.daemon import Daemon, Missing
from p2p.node.runner.spec import LABEL_NODE

# Special-purpose ranges of RFC 6890 that are not the internet, and multicast.
PRIVATE_RANGES = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
MAIL_PORTS = "25,465,587"
RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


@dataclass(frozen=True, slots=True)
class Bridge:
    """Names of one bridge and of its firewall chain. Linux allows 15 and 28 characters."""

    network: str
    interface: str
    chain: str


class Egress:
    """The bridges of one node: one for jobs, one for the installer, made when first needed."""

    def __init__(self, daemon: Daemon, node: str) -> None:
        self._daemon = daemon
        self._node = node
        self._lock = trio.Lock()

    def _bridge(self, kind: str) -> Bridge:
        return Bridge(
            f"cyxwiz-{self._node}-{kind}", f"cyx{self._node}{kind[0]}", f"CYXWIZ-{self._node}-{kind}"
        )

    async def ensure(
        self, kind: str = "job", allow: list[tuple[str, int]] | None = None
    ) -> tuple[str, list[str]]:
        """Make the bridge for ``kind`` ("job" or "pip") and its rules, or find them: (network, resolvers).

        ``allow``: addresses and TCP ports that may be reached although they are private.

        :raises EnvironmentFailure: ``network_unavailable``.
        """
        bridge = self._bridge(kind)
        async with self._lock:
            resolvers = await trio.to_thread.run_sync(set_rules, bridge, allow or [])
            await self._daemon.call("create a network", lambda client: self._network(client, bridge))
        return bridge.network, resolvers

    async def remove(self) -> None:
        """Remove bridges and rules that exist. Fails if a job still uses one."""
        async with self._lock:
            for bridge in (self._bridge("job"), self._bridge("pip")):
                with contextlib.suppress(Missing):
                    removal = methodcaller("remove_network", bridge.network)
                    await self._daemon.call("remove a network", removal)
                if can_filter():
                    await trio.to_thread.run_sync(remove_rules, bridge)

    def _network(self, client: docker.APIClient, bridge: Bridge) -> None:
        if client.networks(names=[bridge.network]):
            return
        client.create_network(
            bridge.network,
            driver="bridge",
            check_duplicate=True,
            enable_ipv6=False,
            labels={LABEL_NODE: self._node},
            options={
                "com.docker.network.bridge.name": bridge.interface,
                "com.docker.network.bridge.enable_icc": "false",
            },
        )


def can_filter() -> bool:
    return os.geteuid() == 0 and shutil.which("iptables") is not None


def set_rules(bridge: Bridge, allow: list[tuple[str, int]]) -> list[str]:
    """Put the rules for ``bridge`` in place, replacing earlier ones at once. The resolvers to use.

    :raises EnvironmentFailure: ``network_unavailable``.
    """
    if not can_filter():
        raise _unavailable("setting firewall rules needs root and iptables")
    resolvers = host_resolvers()
    lines = ["-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"]
    lines += [f"-d {ip} -p {kind} --dport 53 -j RETURN" for ip in resolvers for kind in ("udp", "tcp")]
    lines += [f"-d {ip} -p tcp --dport {port} -j RETURN" for ip, port in allow]
    lines += [f"-d {blocked} -j REJECT --reject-with icmp-admin-prohibited" for blocked in blocked_ranges()]
    lines += [f"-p tcp -m multiport --dports {MAIL_PORTS} -j REJECT", "-j RETURN"]
    body = "".join(f"-A {bridge.chain} {line}\n" for line in lines)
    _run("iptables-restore", "--noflush", "-w", "5", text=f"*filter\n:{bridge.chain} - [0:0]\n{body}COMMIT\n")
    for command, rule in reversed(_hooks(bridge, resolvers)):
        if not _holds(command, rule):
            _run(command, "-w", "5", "-I", *rule)
    return resolvers


def remove_rules(bridge: Bridge) -> None:
    """Take every rule that names the bridge out again, whatever the resolvers were when it was made."""
    for command in ("iptables", "ip6tables"):
        if not shutil.which(command):
            continue
        for chain in ("DOCKER-USER", "INPUT", "FORWARD"):
            if not _succeeds(command, "-w", "5", "-n", "-L", chain):
                continue
            for rule in _run(command, "-w", "5", "-S", chain).splitlines():
                if rule.startswith("-A ") and bridge.interface in rule.split():
                    _run(command, "-w", "5", "-D", *shlex.split(rule)[1:])
    if _succeeds("iptables", "-w", "5", "-n", "-L", bridge.chain):
        _run("iptables", "-w", "5", "-F", bridge.chain)
        _run("iptables", "-w", "5", "-X", bridge.chain)


def blocked_ranges() -> list[str]:
    """The private ranges, and the networks this machine is on whatever their addresses."""
    found = set(PRIVATE_RANGES)
    for route in json.loads(_run("ip", "-j", "-4", "route") or "[]"):
        if route.get("dst", "default") != "default" and "gateway" not in route:
            found.add(str(ipaddress.ip_network(route["dst"], strict=False)))
    return sorted(found)


def host_resolvers() -> list[str]:
    """This machine's IPv4 name servers; without loopback ones, which a container cannot reach."""
    for path in RESOLVER_FILES:
        if not path.exists():
            continue
        words = [line.split() for line in path.read_text().splitlines()]
        servers = [
            word[1] for word in words if len(word) > 1 and word[0] == "nameserver" and ":" not in word[1]
        ]
        if usable := [server for server in servers if not ipaddress.ip_address(server).is_loopback]:
            return usable[:3]
    return []


def _hooks(bridge: Bridge, resolvers: list[str]) -> list[tuple[str, list[str]]]:
    """The rules outside our chain, in the order in which they must stand."""
    start = ["INPUT", "-i", bridge.interface]
    rules = [("iptables", ["DOCKER-USER", "-i", bridge.interface, "-j", bridge.chain])]
    rules += [("iptables", [*start, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"])]
    for ip in resolvers:  # where the host itself is the resolver
        rules += [("iptables", [*start, "-d", ip, "-p", "udp", "--dport", "53", "-j", "ACCEPT"])]
    rules += [("iptables", [*start, "-j", "REJECT"])]
    if Path("/proc/net/if_inet6").exists() and shutil.which("ip6tables"):
        # Even without IPv6 on the bridge there are link-local addresses.
        rules += [
            ("ip6tables", [*start, "-j", "DROP"]),
            ("ip6tables", ["FORWARD", "-i", bridge.interface, "-j", "DROP"]),
        ]
    return rules


def _holds(command: str, rule: list[str]) -> bool:
    return _succeeds(command, "-w", "5", "-C", *rule)


def _succeeds(*command: str) -> bool:
    done = subprocess.run(command, capture_output=True, timeout=FIREWALL_TIMEOUT_S, check=False)
    return done.returncode == 0


def _run(*command: str, text: str | None = None) -> str:
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=FIREWALL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unavailable(f"{command[0]} could not run: {error}") from None
    if done.returncode:
        raise _unavailable(f"{command[0]} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def _unavailable(why: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        "network_unavailable",
        f"The network for jobs cannot be made: {why}.",
        "Jobs that want the internet, or have requirements to install, cannot run on this node.",
        "Run the node as root on a machine with iptables and Docker's own firewall rules.",
        retryable=False,
    )
