"""What a scripted coordinator does for a buyer who wants more time for a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from p2p.core.clock import SYSTEM_CLOCK
from p2p.core.errors import EnvironmentFailure
from p2p.core.ids import JobId, Wallet
from p2p.core.messages.extensions import ExtendedRequest, ExtendOffer, ExtendRequest
from p2p.core.messages.jobs import JobView, Terms
from p2p.core.money import cost_units
from p2p.core.signing import Domain, Signed, signing_input
from p2p.net.peer import Call
from p2p.testing.scripted_network import ScriptedCoordinator
from p2p.wire.codec import decode, encode


class ScriptedExtensions:
    """``bend`` changes the terms before they are signed."""

    def __init__(self, coordinator: ScriptedCoordinator) -> None:
        self._coordinator = coordinator
        self.bend: Callable[[Terms], Terms] = lambda terms: terms
        self.granted: list[Terms] = []
        coordinator.serve("job.extend", self._extend)
        coordinator.serve("job.extended", self._extended)

    async def _extend(self, call: Call) -> ExtendOffer:
        request = decode(ExtendRequest, call.payload)
        agreed = self._coordinator.terms[request.job_id]
        timeout_s = agreed.timeout_s + request.seconds
        rate = max(rate.units_per_hour for rate in agreed.rates)
        longer = replace(
            agreed,
            timeout_s=timeout_s,
            deposit_units=cost_units(rate, timeout_s),
            expires_at_s=int(SYSTEM_CLOCK.now_s()) + 900,
        )
        payload, identity = encode(self.bend(longer)), self._coordinator.peer.identity
        signature = identity.sign(signing_input(Domain.TERMS, payload))
        return ExtendOffer(Signed(payload, identity.peer_id, signature))

    async def _extended(self, call: Call) -> JobView:
        request = decode(ExtendedRequest, call.payload)
        terms, own = decode(Terms, request.terms.payload), self._coordinator
        old = own.views[request.job_id]
        if terms in self.granted:
            return old
        found = await own.chain.existing_job(Wallet(old.buyer), JobId(request.job_id))
        if found.deposit_units < terms.deposit_units:
            raise EnvironmentFailure("deposit_not_seen", "The deposit is not there yet.")
        self.granted.append(terms)
        own.terms[request.job_id] = terms
        changes = {"timeout_s": terms.timeout_s, "deposit_units": terms.deposit_units}
        return own.move(request.job_id, old.state, code="topped_up", **changes)
