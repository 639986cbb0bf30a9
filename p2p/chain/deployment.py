"""A binary to its place on chain, by any wallet, in steps that can be interrupted.

A key of its own, the *writer*, writes the binary into a buffer, so that the wallet signs twice and not sixty
times: it lends the writer what that costs, and in one transaction at the end it takes the buffer over, puts
it into the program's place and has back what is left. Writer and buffer have their keys in files until then;
who starts again goes on with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import trio
from solders.instruction import Instruction
from solders.keypair import Keypair

from p2p.chain import loader
from p2p.chain.accounts import rent_lamports
from p2p.chain.browser.explain import LAMPORTS_PER_SIGNATURE, Explainer, fee_lamports
from p2p.chain.browser.operations import check_cluster, transactions_request
from p2p.chain.browser.request import PreparedTransaction, SignedTransactions, SignTransactions
from p2p.chain.escrow import EscrowClient
from p2p.chain.instructions import transfer_lamports
from p2p.chain.keys import Signer, load_or_create_keypair, read_keypair, to_pubkey
from p2p.chain.loader import DeployedProgram, deployed_program
from p2p.chain.owners import Owner
from p2p.chain.transaction import build_message
from p2p.core.errors import CyxWizError, EnvironmentFailure, Refused
from p2p.core.ids import Wallet
from p2p.core.limits import (
    COMPUTE_UNITS_MAX,
    CONFIRM_POLL_S,
    CONFIRM_TIMEOUT_S,
    DEPLOY_TRIES_MAX,
    DEPLOY_WRITES_AT_ONCE_MAX,
)
from p2p.core.money import Asset

_FIRST_SIGNATURES = 2  # the writer's and the buffer's
_MICRO = 10**6


class Deployment:
    """``binary`` to the configured program id; ``folder`` keeps the keys while it is under way."""

    def __init__(self, chain: EscrowClient, folder: Path, binary: bytes) -> None:
        self._chain = chain
        self._binary = binary
        self._files = folder / "writer.json", folder / "buffer.json"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._writer = load_or_create_keypair(self._files[0])
        load_or_create_keypair(self._files[1])
        self._buffer = read_keypair(self._files[1])

    @property
    def rent_lamports(self) -> int:
        """What a new program holds for as long as it is there."""
        room = loader.PROGRAM_DATA_HEAD_BYTES + len(self._binary) * loader.ROOM_FACTOR
        return rent_lamports(room) + rent_lamports(loader.PROGRAM_BYTES)

    async def lent_lamports(self) -> int:
        """What the writer lacks; all but the network's fees comes back at the end."""
        price = (await self._chain.recent()).unit_price_microlamports
        each = LAMPORTS_PER_SIGNATURE + COMPUTE_UNITS_MAX * price // _MICRO
        present = await loader.buffer_content(self._chain, self._buffer.pubkey())
        if present == self._binary:
            return 0
        fits = present is not None and len(present) == len(self._binary)
        needed = each * (len(self._parts(present if fits else None)) + _FIRST_SIGNATURES + DEPLOY_TRIES_MAX)
        if not fits:
            needed += self._rent(len(self._binary)) - (0 if present is None else self._rent(len(present)))
        has = await self._chain.wallet_balance(self._writer.address, Asset.SOL)
        # an account that holds anything at all has to hold the rent of an empty one
        return max(0, needed + rent_lamports(0) - has)

    async def run(
        self, owner: Owner, wallet: Wallet | None, program: Keypair | None, say: Callable[[str], object]
    ) -> str:
        """From wherever it stands to the end; the signature of the last transaction.

        ``wallet``: the only one that will do; it becomes, or is, the upgrade authority. ``program``: the key
        of a program that is not there yet.

        :raises ProgramRefused: the loader refuses the binary.
        :raises EnvironmentFailure: the chain cannot be reached; started again, it goes on.
        """
        lent = await self.lent_lamports()
        if lent:
            (answer,) = await owner.answer([self._lend(wallet, lent)])
            wallet = answer.wallet
        await self._write(say)
        (answer,) = await owner.answer([self._finish(wallet, program)])
        await self._next_slot()
        for file in self._files:
            file.unlink(missing_ok=True)
        assert isinstance(answer, SignedTransactions)
        return answer.transactions[0].signature

    # -- the wallet's two transactions

    def _lend(self, wallet: Wallet | None, lamports: int) -> SignTransactions:
        async def make(signer: Wallet) -> Sequence[Instruction]:
            return [transfer_lamports(signer, self._writer.address, lamports)]

        title = "Lend what writing the program costs"
        return transactions_request(
            self._chain, title, make, wallet=wallet, done="The program is being written"
        )

    def _finish(self, wallet: Wallet | None, program: Keypair | None) -> SignTransactions:
        chain = self._chain

        async def build(signer: Wallet) -> Sequence[PreparedTransaction]:
            await check_cluster(chain)
            recent = await chain.recent()
            left = await chain.wallet_balance(self._writer.address, Asset.SOL)
            message = build_message(self._last_instructions(signer, program, left), signer, recent)
            helpers = [self._writer, *([] if program is None else [Signer(program)])]
            signatures = {helper.address: helper.sign(message) for helper in helpers}
            steps = Explainer(chain.addresses).steps(message)
            return [
                PreparedTransaction(
                    message, recent.last_valid_height, steps, fee_lamports(message), signatures
                )
            ]

        title = "Upgrade the escrow program" if program is None else "Deploy the escrow program"
        return SignTransactions(
            chain.chain.cluster, title, build, chain.send_and_confirm, wallet, "The program is in its place"
        )

    def _last_instructions(self, wallet: Wallet, program: Keypair | None, left: int) -> list[Instruction]:
        authority, buffer, writer = to_pubkey(wallet), self._buffer.pubkey(), to_pubkey(self._writer.address)
        at = self._chain.addresses
        steps = [loader.set_authority(buffer, writer, authority)]
        if program is None:
            steps.append(loader.upgrade(authority, at.program_data, at.program, buffer))
        else:
            room = len(self._binary) * loader.ROOM_FACTOR
            steps.append(loader.create(authority, program.pubkey(), loader.PROGRAM_BYTES))
            steps.append(loader.deploy(authority, at.program_data, program.pubkey(), buffer, room))
        if left:
            steps.append(transfer_lamports(self._writer.address, wallet, left))
        return steps

    # -- the writer's

    async def _write(self, say: Callable[[str], object]) -> None:
        """Fill the buffer, and read back that it holds the binary."""
        for _ in range(DEPLOY_TRIES_MAX):
            present = await loader.buffer_content(self._chain, self._buffer.pubkey())
            if present == self._binary:
                return
            if present is None or len(present) != len(self._binary):
                await self._make_buffer(present)
                present = bytes(len(self._binary))
            parts = self._parts(present)
            say(f"Writing {len(parts)} of {-(-len(self._binary) // loader.WRITE_BYTES)} parts.")
            await self._write_parts(parts)
        raise EnvironmentFailure(
            "program_not_written",
            "What was written to the chain does not read back as the program.",
            "The program that runs was not touched; what was lent is kept for the next try.",
            "Run the command again: it goes on from here.",
        )

    def _parts(self, present: bytes | None) -> list[int]:
        """Offsets of the parts that are not there yet."""
        have = b"" if present is None else present
        places = range(0, len(self._binary), loader.WRITE_BYTES)
        return [
            at
            for at in places
            if have[at : at + loader.WRITE_BYTES] != self._binary[at : at + loader.WRITE_BYTES]
        ]

    async def _make_buffer(self, stale: bytes | None) -> None:
        writer, buffer = to_pubkey(self._writer.address), self._buffer.pubkey()
        if stale is not None:  # of another version, left by a deployment that was interrupted
            await self._send([loader.close_buffer(buffer, writer, writer)])
        size = loader.BUFFER_HEAD_BYTES + len(self._binary)
        steps = [loader.create(writer, buffer, size), loader.initialize_buffer(buffer, writer)]
        await self._send(steps, Signer(self._buffer))

    async def _write_parts(self, offsets: list[int]) -> None:
        """Several at once; the first failure ends the others."""
        room, failures = trio.CapacityLimiter(DEPLOY_WRITES_AT_ONCE_MAX), list[CyxWizError]()
        async with trio.open_nursery() as nursery:

            async def write(offset: int) -> None:
                try:
                    async with room:
                        await self._write_part(offset)
                except CyxWizError as error:
                    failures.append(error)
                    nursery.cancel_scope.cancel()

            for offset in offsets:
                nursery.start_soon(write, offset)
        if failures:
            raise failures[0]

    async def _write_part(self, offset: int) -> None:
        """Signed anew without a look at what became of the first: written twice is as good as once."""
        part = self._binary[offset : offset + loader.WRITE_BYTES]
        step = [loader.write(self._buffer.pubkey(), to_pubkey(self._writer.address), offset, part)]
        for left in reversed(range(DEPLOY_TRIES_MAX)):
            try:
                await self._send(step)
                return
            except EnvironmentFailure as error:
                if not error.retryable or left == 0:
                    raise
                await trio.sleep(CONFIRM_POLL_S)

    async def _send(self, steps: list[Instruction], *signers: Signer) -> None:
        await self._chain.send_and_confirm(await self._chain.prepare(steps, self._writer, signers))

    async def _next_slot(self) -> None:
        """A program can be called from the slot after its deployment on."""
        deployed_at = await self._chain.slot()
        with trio.fail_after(CONFIRM_TIMEOUT_S):
            while await self._chain.slot() <= deployed_at:
                await trio.sleep(CONFIRM_POLL_S)

    @staticmethod
    def _rent(content_bytes: int) -> int:
        return rent_lamports(loader.BUFFER_HEAD_BYTES + content_bytes)


async def check_deployable(chain: EscrowClient, binary: bytes) -> DeployedProgram | None:
    """What is there now and may be replaced by ``binary``; nothing if it would be the first.

    :raises Refused: ``same_program``, ``program_final`` or ``program_too_large``.
    """
    present = await deployed_program(chain)
    if present is None:
        return None
    untouched = "Nothing was changed."
    if present.is_exactly(binary):
        raise Refused("same_program", "This very program is deployed already, byte for byte.", untouched)
    if present.authority is None:
        raise Refused(
            "program_final", "The program has no upgrade authority: nobody can replace it.", untouched
        )
    if len(binary) > len(present.room):
        raise Refused(
            "program_too_large",
            f"The program has {len(binary):,} bytes; on chain there is room for {len(present.room):,}.",
            untouched,
            "Make room first: `solana program extend PROGRAM_ID BYTES`.",
        )
    return present
