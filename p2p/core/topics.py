"""Gossip topics. What is heard there informs; it never decides: the registry is the coordinator's."""

from __future__ import annotations

ADVERTS = "cyxwiz/adverts/v1"
"""Node adverts: an encoded :class:`~p2p.core.signing.Signed` ``NodeAdvert`` (:attr:`Domain.ADVERT`)."""
