"""Deploying a program through Solana's upgradeable loader (loader-v3)."""

from __future__ import annotations

import struct

import trio
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account

from p2p.chain.accounts import rent_lamports
from p2p.chain.addresses import CLOCK_SYSVAR, LOADER, RENT_SYSVAR, SYSTEM_PROGRAM
from p2p.chain.instructions import readonly, signer, writable
from p2p.chain.keys import Signer, to_pubkey
from p2p.chain.sending import ChainSending
from p2p.core.limits import CONFIRM_POLL_S, CONFIRM_TIMEOUT_S

_INITIALIZE_BUFFER, _WRITE, _DEPLOY, _UPGRADE = 0, 1, 2, 3
PROGRAM_BYTES, BUFFER_HEAD_BYTES, PROGRAM_DATA_HEAD_BYTES = 36, 37, 45
WRITE_BYTES = 900  # fits into a transaction beside two signatures
ROOM_FACTOR = 2  # how much larger an upgrade may be than what it replaces


def initialize_buffer(buffer: Pubkey, authority: Pubkey) -> Instruction:
    data = struct.pack("<I", _INITIALIZE_BUFFER)
    return Instruction(LOADER, data, [writable(buffer), readonly(authority)])


def write(buffer: Pubkey, authority: Pubkey, offset: int, part: bytes) -> Instruction:
    data = struct.pack("<IIQ", _WRITE, offset, len(part)) + part
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
    return Instruction(LOADER, struct.pack("<IQ", _DEPLOY, room), accounts)


def upgrade(authority: Pubkey, data_account: Pubkey, program: Pubkey, buffer: Pubkey) -> Instruction:
    accounts = [
        writable(data_account),
        writable(program),
        writable(buffer),
        writable(authority),
        readonly(RENT_SYSVAR),
        readonly(CLOCK_SYSVAR),
        signer(authority),
    ]
    return Instruction(LOADER, struct.pack("<I", _UPGRADE), accounts)


async def deployed_program(chain: ChainSending) -> bytes | None:
    """The binary on chain, zeros behind it included; nothing if there is none."""
    data = await chain.account_data(chain.addresses.program_data, str(LOADER))
    return None if data is None else data[PROGRAM_DATA_HEAD_BYTES:]


async def deploy_program(chain: ChainSending, payer: Signer, program: Keypair, binary: bytes) -> None:
    """Deploy ``binary`` at ``program``'s address, or upgrade what is there, unless it is the same.

    ``payer`` pays, and is the upgrade authority.

    :raises ProgramRefused: the loader refuses it.
    :raises EnvironmentFailure: the chain cannot be reached.
    """
    present = await deployed_program(chain)
    if present is not None and present == binary + bytes(len(present) - len(binary)):
        return
    authority, address = to_pubkey(payer.address), program.pubkey()
    data_account = chain.addresses.program_data
    buffer = await _write_buffer(chain, payer, binary)
    if present is not None:
        step = [upgrade(authority, data_account, address, buffer)]
        await chain.send_and_confirm(await chain.prepare(step, payer))
    else:
        step = [
            create(authority, address, PROGRAM_BYTES),
            deploy(authority, data_account, address, buffer, len(binary) * ROOM_FACTOR),
        ]
        await chain.send_and_confirm(await chain.prepare(step, payer, [Signer(program)]))
    await _next_slot(chain)


async def _write_buffer(chain: ChainSending, payer: Signer, binary: bytes) -> Pubkey:
    authority = to_pubkey(payer.address)
    buffer = Keypair()
    steps = [
        create(authority, buffer.pubkey(), BUFFER_HEAD_BYTES + len(binary)),
        initialize_buffer(buffer.pubkey(), authority),
    ]
    await chain.send_and_confirm(await chain.prepare(steps, payer, [Signer(buffer)]))
    for offset in range(0, len(binary), WRITE_BYTES):
        part = binary[offset : offset + WRITE_BYTES]
        step = [write(buffer.pubkey(), authority, offset, part)]
        await chain.send_and_confirm(await chain.prepare(step, payer))
    return buffer.pubkey()


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


async def _next_slot(chain: ChainSending) -> None:
    """A program can be called from the slot after its deployment on."""
    deployed_at = await chain.slot()
    with trio.fail_after(CONFIRM_TIMEOUT_S):
        while await chain.slot() <= deployed_at:
            await trio.sleep(CONFIRM_POLL_S)
