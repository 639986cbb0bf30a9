"""The escrow program's client, wallets, confirmation, and the localnet.

The only package that imports solana or solders. It may import :mod:`p2p.core` and nothing else of ours.
Terms hashes and result hashes are opaque 32 bytes here. Amounts are integer base units.

Keys (:mod:`p2p.chain.keys`)::

    class Signer:                       .address: Wallet;  .sign(message: bytes) -> bytes (64)
    load_keypair(path: Path) -> Signer  # Solana CLI JSON; UserError("bad_keypair", ...)
    create_keypair(path: Path) -> Signer            # 0600, O_EXCL; UserError("keypair_exists", ...)
    verify(wallet: Wallet, message: bytes, signature: bytes) -> bool

Configuration (:mod:`p2p.chain.config`)::

    @dataclass(frozen=True) class ChainConfig:
        cluster: str                    # "localnet" | "devnet" | "mainnet"
        rpc_urls: tuple[str, ...]
        program_id: Wallet
        usdc_mint: Wallet
        commitment: str = "confirmed"
        from_table(table: Mapping[str, object]) -> ChainConfig      # the [chain] table of a TOML file
        load(path: Path) -> ChainConfig;  save(path: Path) -> None

Transactions (:mod:`p2p.chain.transaction`)::

    @dataclass(frozen=True) class SignedTransaction: raw: bytes; signature: str; last_valid_height: int
    class OutcomeKind(Enum): PENDING CONFIRMED FAILED EXPIRED
    @dataclass(frozen=True) class Outcome: kind: OutcomeKind; code: int | None; error: str
        # of FAILED: the program's number and its word, such as (6017, "already_final")
    ProgramRefused(Refused) (p2p.chain.errors): .number: int | None, .code such as "escrow_already_final"

Accounts (:mod:`p2p.chain.accounts`), frozen dataclasses: ``OnChainConfig``, ``OnChainAsset``,
``OnChainSession``, ``OnChainJob`` with ``JobStatus`` (OPEN ASSIGNED CLAIMED DISPUTED | SETTLED FINALIZED
RESOLVED REFUNDED CANCELLED RECLAIMED; ``.final``).

Settlement signed by two (:mod:`p2p.chain.settlement`, :mod:`p2p.chain.transaction`), no network needed::

    @dataclass(frozen=True) class SettleTerms:
        coordinator, actor, owner: Wallet; job_id: JobId; asset: Asset; node, fee_owner: Wallet
        used_units: int; result_hash: bytes         # actor: the owner or session key that co-signs
    check_settle_message(message: bytes, expected: SettleTerms, config: ChainConfig) -> None
                                                    # Refused("settle_differs" | "bad_message")
    sign_message(message: bytes, signer: Signer) -> bytes
    assemble(message, signatures: Mapping[Wallet, bytes], last_valid_height) -> SignedTransaction

A session key's transaction whose fee the coordinator pays (:mod:`p2p.chain.sponsored`), no network needed::

    @dataclass(frozen=True) class SponsoredCall: action; actor, owner: Wallet; job_id; asset; units; ...
    call_instruction(call, config, payer: Wallet) -> Instruction    # then build_message and sign_message
    check_sponsored_message(message, expected: SponsoredCall, payer, config, price_max) -> None
                                                    # Refused("sponsored_differs" | "bad_message")

Pyth's price of SOL (:mod:`p2p.chain.pyth`): ``await read_price(chain, account, feed)`` gives a
``PriceUpdate`` and the chain's time.

The client (:mod:`p2p.chain.escrow`)::

    async with EscrowClient(config: ChainConfig, clock: Clock) as chain:
        # reads
        await chain.config() -> OnChainConfig
        await chain.asset(asset) -> OnChainAsset;           await chain.vault(asset) -> int
        await chain.balance(wallet, asset) -> int           # in the escrow
        await chain.wallet_balance(wallet, asset) -> int    # their own SOL or USDC
        await chain.session(owner, key) -> OnChainSession | None
        await chain.job(owner, job_id) -> OnChainJob | None # Refused("job_closed") after Close
        await chain.seen_job(owner, job_id) -> OnChainJob | PastJob | None  # PastJob: its account was closed
        await chain.slot() -> int
        chain.at(FINALIZED) -> EscrowClient                 # the same, whose reads are sure to stay true
        await chain.history(wallet, limit=...) -> list[HistoryEntry]        # newest first
        # the life of a transaction: persist what prepare gives before broadcasting it
        await chain.prepare(instructions, payer: Signer, signers=()) -> SignedTransaction
        await chain.broadcast(raw) -> str (signature)   # ProgramRefused | EnvironmentFailure
        await chain.rehearse(raw)                       # ProgramRefused if it would fail now; nothing is sent
        await chain.outcome(signature, last_valid_height, commitment=..., state_decides=...) -> Outcome
        await chain.send_and_confirm(transaction, timeout_s=...) -> str # re-sends the same bytes; raises
        # people, at once (prepare + send_and_confirm); each returns the signature
        await chain.deposit(owner: Signer, asset, units);   await chain.withdraw(owner, asset, units)
        await chain.authorize(owner, session_key: Wallet, asset, allowance_units, expires_at_s, fund_lamports)
        await chain.revoke(owner, session_key)
        await chain.cancel(actor, owner, job_id);           await chain.reclaim(payer, owner, job_id)
        # buyer; actor is the owner's or the session's Signer
        await chain.prepare_open(actor, owner, job_id, asset, deposit_units, terms_hash, run_seconds)
        await chain.prepare_cancel(actor, owner, job_id);   await chain.prepare_reclaim(payer, owner, job_id)
        # coordinator
        await chain.prepare_assign(coordinator: Signer, owner, job_id, node)
        await chain.prepare_refund(coordinator_or_node: Signer, owner, job_id)
        await chain.settle_terms(owner, job_id, actor: Wallet, used_units, result_hash) -> SettleTerms
        await chain.build_settle(terms) -> SettleMessage(message: bytes, last_valid_height: int)
        # payment without a receipt (:mod:`p2p.chain.review`)
        await chain.prepare_claim(coordinator, owner, job_id, used_units, result_hash)
        await chain.prepare_dispute(actor, owner, job_id)
        await chain.prepare_resolve(arbiter, owner, job_id, used_units)
        await chain.prepare_finalize(payer, owner, job_id); await chain.prepare_close(payer, on_chain_jobs)
        await chain.prepare_top_up(actor, owner, job_id, units)

``run_seconds``: from the first Assign on, how long the job may take in all (staging, attempts, delivery)
before the buyer may reclaim; at most ``config().longest_job_s``. While nobody is assigned, the buyer may
cancel at any time.

Localnet (:mod:`p2p.chain.localnet`): ``run_localnet(folder: Path, port: int) -> None`` blocks; it prints
its URL once when ready. ``await bootstrap(rpc_url: str, folder: Path) -> ChainConfig``
(:mod:`p2p.chain.deploy`) deploys and configures; it keeps ``admin.json``, ``coordinator.json``,
``arbiter.json``, ``fee-owner.json`` and ``program.json`` in the folder. ``await faucet(rpc_url, wallet,
asset, units)`` (:mod:`p2p.chain.faucet`) gives test money.

For tests and benchmarks, :mod:`p2p.chain.sandbox` runs the program inside the process, without a network;
:mod:`p2p.chain.recorded` is one that can be read back by a client.
"""
