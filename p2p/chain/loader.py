"""Solana's upgradeable loader (loader-v3): its instructions, and what its accounts say.

https://docs.rs/solana-loader-v3-interface has the numbers and layouts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account

from p2p.chain.accounts import rent_lamports
from p2p.chain.addresses import CLOCK_SYSVAR, LOADER, RENT_SYSVAR, SYSTEM_PROGRAM
from p2p.chain.errors import chain_unexpected
from p2p.chain.instructions import readonly, signer, writable
from p2p.chain.keys import to_wallet
from p2p.chain.reads import ChainReads
from p2p.core.ids import Wallet

INITIALIZE_BUFFER, WRITE, DEPLOY, UPGRADE, SET_AUTHORITY, CLOSE = range(6)
PROGRAM_BYTES, BUFFER_HEAD_BYTES, PROGRAM_DATA_HEAD_BYTES = 36, 37, 45
WRITE_BYTES = 900  # fits into a transaction beside two signatures
ROOM_FACTOR = 2  # how much larger an upgrade may be than what it replaces

_BUFFER_KIND, _PROGRAM_DATA_KIND = 1, 3
_BUFFER_HEAD = struct.Struct("<IB32s")
_PROGRAM_DATA_HEAD = struct.Struct("<IQB32s")


def initialize_buffer(buffer: Pubkey, authority: Pubkey) -> Instruction:
    data = struct.pack("<I", INITIALIZE_BUFFER)
    return Instruction(LOADER, data, [writable(buffer), readonly(authority)])


def write(buffer: Pubkey, authority: Pubkey, offset: int, part: bytes) -> Instruction:
    data = struct.pack("<IIQ", WRITE, offset, len(part)) + part
    return Instruction(LOADER, data, [writable(buffer), signer(authority)])


def deploy(payer: Pubkey, data_account: Pubkey, program: Pubkey, buffer: Pubkey, room: int) -> Instruction:
    """The payer becomes the upgrade authority."""
    accounts = [
        signer(payer, writable=True),
        writable(data_account),
        writable(program),
        writable(buffer),
        readonly(RENT_SYSVAR),
        readonly(CLOCK_SYSVAR),
        readonly(SYSTEM_PROGRAM),
        signer(payer),
    ]
    return Instruction(LOADER, struct.pack("<IQ", DEPLOY, room), accounts)


def upgrade(authority: Pubkey, data_account: Pubkey, program: Pubkey, buffer: Pubkey) -> Instruction:
    """What the buffer's rent is more than the program needs goes to the authority."""
    accounts = [
        writable(data_account),
        writable(program),
        writable(buffer),
        writable(authority),
        readonly(RENT_SYSVAR),
        readonly(CLOCK_SYSVAR),
        signer(authority),
    ]
    return Instruction(LOADER, struct.pack("<I", UPGRADE), accounts)


def set_authority(account: Pubkey, authority: Pubkey, successor: Pubkey | None) -> Instruction:
    """Of a buffer or of a program's data. None: nobody can change a program any more."""
    accounts = [writable(account), signer(authority)]
    if successor is not None:
        accounts.append(readonly(successor))
    return Instruction(LOADER, struct.pack("<I", SET_AUTHORITY), accounts)


def close_buffer(buffer: Pubkey, recipient: Pubkey, authority: Pubkey) -> Instruction:
    data = struct.pack("<I", CLOSE)
    return Instruction(LOADER, data, [writable(buffer), writable(recipient), signer(authority)])


def create(payer: Pubkey, address: Pubkey, size_bytes: int) -> Instruction:
    """An empty account of the loader, for a buffer or a program."""
    return create_account(
        CreateAccountParams(
            from_pubkey=payer,
            to_pubkey=address,
            lamports=rent_lamports(size_bytes),
            space=size_bytes,
            owner=LOADER,
        )
    )


@dataclass(frozen=True, slots=True)
class DeployedProgram:
    """``authority``: who may replace it; ``room``: the binary, and zeros behind it."""

    authority: Wallet | None
    room: bytes

    def is_exactly(self, binary: bytes) -> bool:
        """Whether it is ``binary``, byte for byte."""
        return self.room == binary + bytes(max(0, len(self.room) - len(binary)))


async def deployed_program(chain: ChainReads) -> DeployedProgram | None:
    """What is on chain under the configured program id; nothing if nothing was deployed."""
    data = await chain.account_data(chain.addresses.program_data, str(LOADER))
    if data is None:
        return None
    if len(data) < PROGRAM_DATA_HEAD_BYTES:
        raise chain_unexpected("a program's data that cannot be read")
    kind, _, has_authority, authority = _PROGRAM_DATA_HEAD.unpack_from(data)
    if kind != _PROGRAM_DATA_KIND:
        raise chain_unexpected("no program's data")
    holder = to_wallet(Pubkey.from_bytes(authority)) if has_authority else None
    return DeployedProgram(holder, data[PROGRAM_DATA_HEAD_BYTES:])


async def buffer_content(chain: ChainReads, buffer: Pubkey) -> bytes | None:
    """What was written to a buffer so far; nothing if there is no such buffer."""
    data = await chain.account_data(buffer, str(LOADER))
    if data is None or len(data) < BUFFER_HEAD_BYTES or _BUFFER_HEAD.unpack_from(data)[0] != _BUFFER_KIND:
        return None
    return data[BUFFER_HEAD_BYTES:]
