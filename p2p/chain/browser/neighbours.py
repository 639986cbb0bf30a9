"""Who is at the other end of a loopback connection, where the kernel tells.

The page's address, with its token, is an argument of the browser's process, and others on the same machine
may read the arguments of processes. So connections of other users are not served.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

_TABLE = Path("/proc/net/tcp")
_LOCAL, _STATE, _UID = 1, 3, 7
_ESTABLISHED = "01"
_ROOT = 0


def is_strangers(peer: tuple[str, int]) -> bool:
    """Whether the socket at ``peer``, an IPv4 address and port of this machine, is another user's.

    False where it cannot be known: on other systems than Linux, or for a socket of another network
    namespace (a virtual machine's host, say), which no user of this system opened. Root may do everything
    anyhow.
    """
    if sys.platform != "linux":
        return False
    owner = _owner(peer)
    return owner is not None and owner not in (os.getuid(), _ROOT)


def _owner(peer: tuple[str, int]) -> int | None:
    """Table format: Linux, Documentation/networking/proc_net_tcp.rst."""
    (address,) = struct.unpack("=I", socket.inet_aton(peer[0]))
    wanted = f"{address:08X}:{peer[1]:04X}"
    try:
        lines = _TABLE.read_text().splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        columns = line.split()
        if columns[_LOCAL] == wanted and columns[_STATE] == _ESTABLISHED:
            return int(columns[_UID])
    return None
