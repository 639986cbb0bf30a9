"""A key that is open for a while."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import trio
from solders.keypair import Keypair

from p2p.chain.keys import Signer, to_wallet
from p2p.chain.secret import wipe
from p2p.core.clock import Clock
from p2p.core.errors import Refused


class Unlocked(Signer):
    """Signs until :meth:`lock`, or until nobody has signed for ``idle_s`` seconds.

    A context manager that locks at its end. Locking overwrites the key held here; what a library
    copied while it signed is beyond Python's reach.
    """

    def __init__(self, key: bytearray, clock: Clock, idle_s: float) -> None:
        """Takes ``key`` (32 bytes) over: it is wiped when this is locked."""
        self._key = key
        self._clock = clock
        self._idle_s = idle_s
        self._used_s = clock.monotonic_s()
        self.address = to_wallet(Keypair.from_seed(bytes(key)).pubkey())

    def sign(self, message: bytes) -> bytes:
        """As :meth:`~p2p.chain.keys.Signer.sign`; starts the idle time anew.

        :raises Refused: ``wallet_locked``.
        """
        if self.seconds_left() <= 0:
            raise Refused(
                "wallet_locked",
                f"The wallet {self.address} is locked.",
                "Nothing was signed.",
                "Unlock it with its password, then try again.",
            )
        self._used_s = self._clock.monotonic_s()
        return bytes(Keypair.from_seed(bytes(self._key)).sign_message(message))

    def seconds_left(self) -> float:
        """Until it locks by itself; 0 once it is locked. Locks when the time has come."""
        left = self._used_s + self._idle_s - self._clock.monotonic_s() if self._key else 0.0
        if left <= 0:
            self.lock()
        return max(0.0, left)

    def lock(self) -> None:
        """Forget the key."""
        wipe(self._key)

    async def lock_when_idle(self) -> None:
        """Run beside the work: returns when it is locked, so that no key stays in an idle process."""
        while (left := self.seconds_left()) > 0:
            await trio.sleep(left)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock()

    def __repr__(self) -> str:
        return f"Unlocked({self.address}, {'open' if self._key else 'locked'})"
