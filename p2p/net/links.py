"""Which channel to use to which peer, when there may be more than one."""

from __future__ import annotations

from p2p.core.ids import PeerId
from p2p.net.channel import Channel


class Links:
    """The live channels of a peer.

    When two peers dial each other at once there are two channels. Both sides prefer the one that the smaller
    peer id dialled, and of several from one dialler the newest, so they agree without talking; the other is
    drained.
    """

    def __init__(self, own_id: PeerId) -> None:
        self._own_id = own_id
        self._channels: dict[PeerId, list[Channel]] = {}

    def add(self, channel: Channel) -> list[Channel]:
        """Take a new channel in; those that it supersedes are returned (same dialler: it lost the older
        one)."""
        known = self._channels.setdefault(channel.peer_id, [])
        superseded = [old for old in known if old.dialler == channel.dialler]
        known.append(channel)
        return superseded

    def remove(self, channel: Channel) -> bool:
        """Forget a channel that has ended; true if it was the last to its peer."""
        known = self._channels.get(channel.peer_id, [])
        known.remove(channel)
        if known:
            return False
        del self._channels[channel.peer_id]
        return True

    def pick(self, peer_id: PeerId) -> Channel | None:
        """The channel that both sides prefer."""
        live = [channel for channel in self._channels.get(peer_id, ()) if not channel.closed.is_set()]
        if not live:
            return None
        preferred_dialler = self._own_id < peer_id
        return max(live, key=lambda channel: (channel.dialler == preferred_dialler, live.index(channel)))

    def others(self, channel: Channel) -> list[Channel]:
        """The other channels to the same peer."""
        return [other for other in self._channels.get(channel.peer_id, ()) if other is not channel]

    def peers(self) -> frozenset[PeerId]:
        return frozenset(self._channels)
