"""Accounts as the client reads them: nothing but what it knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.chain import accounts
from p2p.core.errors import EnvironmentFailure

DECODERS = {
    accounts.decode_config: (accounts.CONFIG_TAG, accounts.CONFIG_BYTES),
    accounts.decode_asset: (accounts.ASSET_TAG, accounts.ASSET_BYTES),
    accounts.decode_balance: (accounts.BALANCE_TAG, accounts.BALANCE_BYTES),
    accounts.decode_session: (accounts.SESSION_TAG, accounts.SESSION_BYTES),
    accounts.decode_job: (accounts.JOB_TAG, accounts.JOB_BYTES),
}


@pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: decode.__name__)
def test_another_tag_version_or_length_is_refused(decode) -> None:  # type: ignore[no-untyped-def]
    tag, size = DECODERS[decode]
    head, rest = bytes([tag, 1, 0, 1]), bytes(size - 4)
    decode(head + rest)
    for wrong in (
        b"",
        head,
        head + rest + b"\0",
        head + rest[:-1],
        bytes([tag, 2, 0, 1]) + rest,
        bytes([tag % 5 + 1, 1, 0, 1]) + rest,
    ):
        with pytest.raises(EnvironmentFailure) as error:
            decode(wrong)
        assert error.value.code == "chain_unexpected"


@given(st.binary(max_size=400))
def test_nonsense_never_raises_anything_else(data: bytes) -> None:
    for decode in DECODERS:
        with pytest.raises(EnvironmentFailure):
            decode(b"\xff" + data)


@pytest.mark.parametrize("status", [0, 11, 255])
def test_an_unknown_status_is_refused(status: int) -> None:
    data = bytes([accounts.JOB_TAG, 1, 0, status]) + bytes(accounts.JOB_BYTES - 4)
    with pytest.raises(EnvironmentFailure) as error:
        accounts.decode_job(data)
    assert error.value.code == "chain_unexpected"


def test_final_states() -> None:
    assert [status.name for status in accounts.JobStatus if not status.final] == [
        "OPEN",
        "ASSIGNED",
        "CLAIMED",
        "DISPUTED",
    ]


def test_rent_is_the_clusters() -> None:
    """Published for a token account of 165 bytes: 2,039,280 lamports."""
    assert accounts.rent_lamports(165) == 2_039_280
