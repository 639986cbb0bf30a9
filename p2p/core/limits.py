"""Every limit in one place. Units are last in the name."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# -- wire: the framed control channel
FRAME_MAX_BYTES = 4 * MIB
METHOD_NAME_MAX_CHARS = 64
REQUESTS_IN_FLIGHT_MAX = 256  # per channel and direction
STREAMS_IN_FLIGHT_MAX = 64  # streaming replies per channel and direction
SEND_QUEUE_MAX_FRAMES = 512
CALL_TIMEOUT_S = 30.0
DIAL_TIMEOUT_S = 15.0
DIAL_STAGGER_S = 0.5  # between the addresses of one peer
ADDRESSES_REMEMBERED_MAX_PEERS = 4096
HANDSHAKE_TIMEOUT_S = 10.0
IDLE_PING_S = 20.0
PING_TIMEOUT_S = 20.0
CONNECTIONS_MAX = 4096
CONNECTIONS_PER_PEER_MAX = 4
GOSSIP_MESSAGE_MAX_BYTES = 64 * KIB
GOSSIP_MESSAGES_PER_PEER_PER_S = 5.0
GOSSIP_BURST_PER_PEER_MESSAGES = 20
GOSSIP_FORWARDED_PER_PEER_PER_S = 200.0  # of all signers, by one neighbour
GOSSIP_REPLAY_WINDOW_S = 120.0
GOSSIP_QUEUE_MAX_MESSAGES = 256  # per subscriber; the oldest is dropped
GOSSIP_PEERS_TRACKED_MAX = 10_000
GOSSIP_RESTART_S = 1.0  # after it broke
CONNECTION_UNUSED_S = 30.0  # a connection without any stream for so long is closed
MUX_STREAMS_PER_CONNECTION_MAX = 32  # opened by one side
MUX_WINDOW_MAX_BYTES = 4 * MIB
MUX_CONTROL_BUFFER_MAX_BYTES = 64 * KIB
MUX_STALL_TIMEOUT_S = 60.0  # a reader that takes nothing for so long is gone
MUX_SILENCE_S = 30.0  # ping after so long without a byte, give up after as long again
REQUEST_BYTES_IN_FLIGHT_MAX = 16 * MIB  # payloads of requests being handled, per channel
SEND_QUEUE_MAX_BYTES = 16 * MIB
STREAM_ITEM_MAX_BYTES = 256 * KIB  # credits are never smaller than one item
STREAM_ITEM_OVERHEAD_BYTES = 64  # each item costs so much credit beside its payload
HANDLER_TIMEOUT_S = 60.0
CHANNEL_DRAIN_S = 2.0  # a superfluous channel of a peer pair is closed after so long without requests
ERROR_TEXT_MAX_CHARS = 2000  # each part of an error that crosses the wire

# -- bulk transfer
CHUNK_BYTES = 4 * MIB
BULK_IO_TIMEOUT_S = 30.0
BULK_CONNECT_TIMEOUT_S = 5.0
BULK_TICKET_LIFETIME_S = 60.0
BULK_CONNECTIONS_MAX = 32
CHUNK_RETRIES_MAX = 8
BULK_WANTS_OUTSTANDING_MAX = 64
BULK_AHEAD_CHUNKS = 4  # asked for ahead on a direct connection
BULK_AHEAD_RELAYED_CHUNKS = 2  # on a libp2p stream: what has arrived is held in memory
BULK_TICKETS_PER_PEER_MAX = 64
BULK_SESSIONS_PER_PEER_MAX = 8  # of BULK_CONNECTIONS_MAX
BULK_CHUNK_MAX_S = 300.0  # for a whole chunk: less than 14 kB/s is as good as no connection
BULK_HANDSHAKES_MAX = 8  # at once, in each direction
BULK_RETRY_FIRST_S = 0.1  # doubled each time
BULK_RETRY_MAX_S = 5.0
TRAFFIC_WINDOW_S = 5.0  # how fast files go is the mean of so long
TRAFFIC_STEP_S = 0.25
TRAFFIC_PEERS_MAX = 256  # of whom it is known how much went to and fro
GRANT_MAX_BYTES = 4 * KIB
CERTIFICATE_MAX_BYTES = 2 * KIB
CERTIFICATES_TRUSTED_MAX = 1000

# -- logs
LOG_LINE_MAX_BYTES = 64 * KIB
LOG_BATCH_MAX_BYTES = 256 * KIB
LOG_CREDIT_BYTES = 1 * MIB  # granted to a log stream at once
LOG_RATE_MAX_BYTES_PER_S = 4 * MIB  # sustained over LOG_RATE_WINDOW_S: the job is killed
LOG_RATE_WINDOW_S = 10.0
LOG_TOTAL_MAX_BYTES = 1 * GIB

# -- manifests and files
MANIFEST_FILES_MAX = 10_000
MANIFEST_BYTES_MAX = 100 * GIB
PATH_MAX_BYTES = 1024
PATH_NAME_MAX_BYTES = 255
PATH_DEPTH_MAX = 16
SCRIPT_MAX_BYTES = 4 * MIB
REQUIREMENTS_MAX_BYTES = 256 * KIB
REQUIREMENTS_LINES_MAX = 500
CONFIG_MAX_BYTES = 64 * KIB
URL_MAX_CHARS = 2048

# -- jobs
TIMEOUT_DEFAULT_S = 3600
TIMEOUT_MIN_S = 10
TIMEOUT_MAX_S = 24 * 3600
STOP_GRACE_S = 10.0
OUTPUT_MAX_BYTES = 10 * GIB
ATTEMPTS_MAX = 3
LEASE_S = 45.0
HEARTBEAT_S = 5.0
ASSIGN_TIMEOUT_S = 20.0
STAGING_MAX_S = 2 * 3600.0
JOB_NAME_MAX_CHARS = 64
REASON_MAX_CHARS = 500
JOBS_LISTED_MAX = 500
EARNINGS_LISTED_MAX = 20_000  # of one node, summed up at once
EVENTS_PER_REPLY_MAX = 500

# -- a job's container
JOB_PIDS_MAX = 1024
JOB_OPEN_FILES_MAX = 4096
JOB_TMP_BYTES = 256 * MIB  # /tmp, in memory, counted as the job's
JOB_TMP_INODES_MAX = 50_000
JOB_SHM_BYTES = 512 * MIB  # /dev/shm, which PyTorch's data loaders use
JOB_LOG_FILE_BYTES = 64 * MIB  # Docker rotates at this size; LOG_TOTAL_MAX_BYTES in all
DEPENDENCIES_MAX_BYTES = 8 * GIB
REQUIREMENTS_INSTALL_MAX_S = 1800
OUTPUT_SLACK_BYTES = 8 * MIB  # a job's file system has this and 2 % above its output limit
OUTPUT_FULL_GRACE_S = 10.0  # how long a full file system may stay full before the job is stopped
DOCKER_CALL_TIMEOUT_S = 60.0
DOCKER_IDLE_READ_S = 30.0  # a log or wait request that says nothing is renewed after this
MOUNT_TIMEOUT_S = 60.0
FIREWALL_TIMEOUT_S = 15.0
WATCH_PERIOD_S = 0.5
DISK_FREE_MIN_BYTES = 2 * GIB

# -- nodes
GPUS_PER_NODE_MAX = 16
ADDRESSES_PER_PEER_MAX = 16
NODES_LISTED_MAX = 500
NODES_MATCHED_MAX = 20_000  # online at once; those beyond get no jobs

# -- login
LOGIN_CHALLENGE_LIFETIME_S = 300.0
LOGIN_LIFETIME_S = 30 * 24 * 3600.0
LOGIN_SOON_S = 5 * 24 * 3600.0  # a login that ends within that time is said to
CHALLENGES_OUTSTANDING_MAX = 10_000

# -- money
AMOUNT_MAX_UNITS = 2**63 - 1  # what PostgreSQL's bigint holds; the chain's u64 is wider
FEE_BPS_MAX = 2000

# -- agent and its windows on one machine
LOCAL_MESSAGE_MAX_BYTES = 16 * MIB
LOCAL_CONNECTIONS_MAX = 64
LOCAL_CALL_TIMEOUT_S = 60.0
LOCAL_CONNECT_TIMEOUT_S = 5.0
AGENT_START_TIMEOUT_S = 30.0

# -- an agent's own machine
JOURNAL_BUSY_TIMEOUT_S = 10.0

# -- the node agent
JOB_CPUS_MAX = 1024
JOB_MEMORY_MIN_BYTES = 256 * MIB
JOB_MEMORY_MAX_BYTES = 64 * 1024 * GIB
URL_DATA_MAX_BYTES = 50 * GIB
URL_FETCH_MAX_S = 2 * 3600.0
URL_CONNECT_TIMEOUT_S = 15.0
URL_READ_TIMEOUT_S = 60.0
URL_REDIRECTS_MAX = 5
DISK_RESERVE_BYTES = 2 * GIB  # never used up by jobs
CHUNK_CACHE_MAX_BYTES = 20 * GIB  # inputs kept for the next job with the same data
LOG_COMMIT_INTERVAL_S = 0.1  # how long a log line may wait before it is certain and may be sent
LOG_COMMIT_BYTES = 1 * MIB
LOGS_KEPT_MAX_BYTES = 5 * GIB  # of finished jobs
LOGS_KEPT_S = 7 * 24 * 3600.0
OUTPUTS_KEPT_S = 48 * 3600.0  # a buyer who does not fetch them within that time has to run again
JOB_ROWS_KEPT_MAX = 1000
ADVERT_INTERVAL_S = 60.0
RECONNECT_FIRST_S = 0.5
RECONNECT_MAX_S = 10.0  # well under LEASE_S
ENGINE_RETRY_MAX_S = 10.0
COORDINATOR_CALL_TIMEOUT_S = 15.0  # a third of LEASE_S: two calls and a new connection fit into a lease
LEAVE_TIMEOUT_S = 3.0

# -- keystore
KEYSTORE_FILE_MAX_BYTES = 4 * KIB
KEYSTORE_MEMORY_KIB = 64 * 1024  # Argon2id: the second recommended option of RFC 9106, section 4
KEYSTORE_PASSES = 3
KEYSTORE_LANES = 4
KEYSTORE_MEMORY_MAX_KIB = 1024 * 1024  # of a file that is read: more would be an attack on this machine
KEYSTORE_PASSES_MAX = 32
KEYSTORE_LANES_MAX = 16
KEYSTORE_IDLE_S = 15 * 60.0  # an unlocked key is locked again after so long without a signature
PASSWORD_MIN_CHARS = 8
PASSWORD_MAX_BYTES = 1024
SEED_PHRASE_MAX_CHARS = 512
ACCOUNT_INDEX_MAX = 2**31 - 1  # of a hardened derivation step (BIP-32)

# -- wallet page
PAGE_TIMEOUT_S = 600.0  # from opening the page to the last signature
PAGE_IO_TIMEOUT_S = 30.0
PAGE_STEP_TIMEOUT_S = 120.0  # for the coordinator or the chain, while the page waits
PAGE_BODY_MAX_BYTES = 64 * KIB
PAGE_HEADERS_MAX_BYTES = 16 * KIB
PAGE_CONNECTIONS_MAX = 32
PAGE_ATTEMPTS_MAX = 100  # requests to prepare or to check, of one page
PAGE_TRANSACTIONS_MAX = 8  # signed at once

# -- chain
BLOCKHASH_BLOCKS = 150  # for how many blocks a transaction may land after the one that it names
RPC_URLS_MAX = 8
RPC_TIMEOUT_S = 15.0
RPC_REPLY_MAX_BYTES = 16 * MIB
CONFIRM_TIMEOUT_S = 90.0  # longer than a blockhash lives
CONFIRM_POLL_S = 0.25
RESEND_S = 2.0
COMPUTE_UNITS_MAX = 100_000  # asked for a transaction of one instruction; several times what any needs
COMPUTE_UNITS_MORE = 25_000  # asked for each further instruction
COMPUTE_UNITS_SPREAD = 32_768  # how many less may be asked, so that no two transactions are the same bytes
PRIORITY_FEE_MAX_MICROLAMPORTS = 1_000_000  # per compute unit
TRANSACTION_MAX_BYTES = 1232  # of the cluster: one IPv6 packet
HISTORY_ENTRIES_MAX = 1000
ACCOUNTS_PER_READ_MAX = 100  # of getMultipleAccounts
CHAIN_READS_AT_ONCE_MAX = 8
PEOPLE_REMEMBERED_MAX = 200_000  # whose balance an address is
SESSION_MAX_S = 90 * 24 * 3600  # of the escrow program
GROUP_ACTIONS_MAX = 8  # on as many jobs, in one transaction: of every kind that fit TRANSACTION_MAX_BYTES
REVIEW_WINDOW_MAX_S = 30 * 24 * 3600  # of the escrow program
LONGEST_JOB_MIN_S = 60  # of the escrow program
LONGEST_JOB_MAX_S = 90 * 24 * 3600  # of the escrow program
DEPLOY_WRITES_AT_ONCE_MAX = 8
DEPLOY_TRIES_MAX = 5  # for each part of a program that is written
LOCALNET_REQUEST_MAX_BYTES = 256 * KIB
LOCALNET_IO_TIMEOUT_S = 30.0
LOCALNET_CONNECTIONS_MAX = 64
LOCALNET_BATCH_MAX = 100
LOCALNET_AIRDROP_MAX_LAMPORTS = 10_000 * 10**9
HASHED_FILES_MAX = 200_000  # remembered so that the next job with the same data starts at once
HASHED_FILE_SETTLED_S = 0.1  # a file written to more recently is hashed again next time
EXCLUDES_MAX = 100
LEFT_OUT_LISTED_MAX = 200  # files that a pattern leaves out, named before a job is sent
PROBLEMS_LISTED_MAX = 50  # of a job that is not sent yet
MEASURE_STEP_FILES = 200  # how often a look at a folder says how far it is

# -- prices
PRICE_MAX_USD_MICROS = 10**12  # of a whole asset: a million dollars
SOL_PRICE_AGE_MAX_S = 180  # of the Pyth feed, by the chain's time; it is renewed every minute, or at 0.5 %
SOL_PRICE_AHEAD_MAX_S = 60  # how far it may be ahead of the chain's time, which lags a little
SOL_PRICE_CONFIDENCE_MAX_BPS = 100  # how wide its confidence interval may be, of the price
SOL_PRICE_JUMP_MAX_BPS = 1000  # how far it may be from the feed's own hourly mean
ADMIN_PRICE_AGE_MAX_S = 3600  # of a price set by hand, but on a localnet, where it does not get old
PRICE_CACHE_S = 5.0  # one read of the feed answers all quotes of so long
PRICE_READ_MAX_S = 10.0
PRICE_SWEEP_S = 15.0  # how often the feed is looked at without a quote, for the operator to see
PRICE_SEEN_S = 60.0  # what a coordinator saw longer ago than this is not how it is now

# -- the coordinator as fee payer
SPONSORED_PER_HOUR_MAX = 60  # transactions of one wallet
SPONSORED_RENTS_MAX = 20  # of jobs of one wallet whose accounts are not closed yet
SPONSORED_FEE_MAX_LAMPORTS = 110_000  # two signatures, and the dearest compute budget
SPONSORED_PRICE_LEAST_MICROLAMPORTS = 10_000  # per compute unit: paid for even while nobody else pays any
SPONSORED_PRICE_TIMES_MAX = 4  # how many times the price that the coordinator would offer itself
SPONSOR_CALLS_AT_ONCE_MAX = 8  # each asks the chain several things, refused ones too
SPONSOR_RESERVE_LAMPORTS = 500_000_000  # what the coordinator keeps for its own actions
SPONSORED_UNQUEUED_S = 3600.0  # a deposit that was never queued goes back to the buyer after so long
SPONSORED_LOOK_S = 60.0  # how often the account of a job is looked at whose rent the coordinator paid
SPONSORED_KEPT_S = 24 * 3600.0
SESSION_FEE_LAMPORTS = 1_100_000  # a fee, and the least that the runtime lets an account keep

# -- coordinator
TERMS_LIFETIME_S = 900.0  # how long a quoted price can be taken
EXTEND_MARGIN_S = 60  # a job with less than this left gets no more time: its node would hear too late
RUNS_SAMPLED_S = 24 * 3600.0  # jobs that completed so lately say how long a job waits for its turn
RUNS_SAMPLED_MAX = 200
NODE_DISK_RESERVE_BYTES = 1 * GIB  # free disk that a node must have beside a job's inputs
NODE_SILENT_S = 20.0  # four heartbeats: a node not heard of for so long is offline
LOST_EXCLUDE_S = 120.0  # how long a job keeps away from a node that lost it
REFUSED_EXCLUDE_S = 30.0  # ... that did not take it
BEAT_FLUSH_S = 1.0  # heartbeats and meters are written in batches this often
DISPATCH_SWEEP_S = 2.0
LEASE_SWEEP_S = 1.0
RECONCILE_SWEEP_S = 60.0
SETTLER_POLL_S = 0.5
SETTLER_IDLE_S = 5.0
SETTLER_TAKE_S = 30.0  # how long a worker has an action to itself
SETTLER_BACKOFF_MAX_S = 60.0
SETTLER_BATCH_MAX = 50
ACTION_LATE_S = 900.0  # a chain action that fails for so long is shown to the operator
SWEEP_BATCH_MAX = 200
RETRIES_LISTED_MAX = 500  # chain actions that one `settle retry` has looked at again
CLAIMS_PER_PASS_MAX = 500
CLAIM_AFTER_S = 15 * 60.0  # how long delivered work waits for the buyer's signature before it is claimed
CLAIM_SWEEP_S = 15.0
FINALIZE_LOOK_S = 600.0  # how often a claim that waits is looked at, for it may have been disputed or paid
CLAIM_MARGIN_S = 30 * 60.0  # a claim is made at least this long before the escrow's deadline
CLOSE_AFTER_S = 60.0  # how long an ended escrow stays readable before its rent goes back to the session key
CLOSE_SWEEP_S = 15.0
CLOSE_AGAIN_S = 120.0  # longer than a blockhash lives
DISPUTE_SWEEP_S = 5.0
DISPUTE_TEXT_MAX_CHARS = 2000  # what buyer and node may say about it
DISPUTE_STATEMENT_MAX_BYTES = 16 * KIB  # ... as a message, whatever its characters
DISPUTE_CHUNKS_MAX = 5  # outputs sampled by one check
DISPUTE_PROVE_TIMEOUT_S = 30.0
DISPUTE_PULL_MAX_S = 120.0  # for one chunk
DISPUTE_CHECK_MAX_S = 600.0
DISPUTE_CHECKS_AT_ONCE_MAX = 8
DISPUTE_TELL_AGAIN_S = 60.0  # a node that did not hear of a dispute is told again
DISPUTE_TOLD_MAX_S = 48 * 3600.0  # ... until so long after its end
DISPUTE_AGAIN_S = 15 * 60.0  # a node that could not be asked is asked again
DISPUTE_EVIDENCE_MAX = 500  # rows of one dispute; the check that comes to it is the last
DISPUTE_KEEP_SLACK_S = 600.0  # outputs are kept so much longer than until the last moment of a decision
DISPUTE_KEEP_MAX_S = 60 * 24 * 3600.0  # ... however late the coordinator says that this is
DISPUTES_LISTED_MAX = 500
ESCROW_GONE_S = 300.0  # longer than a blockhash lives: an Open that is not on chain by then never will be
ESCROW_SEEN_S = 15.0  # how long a submit waits for its escrow to become visible on chain
ESCROWS_AWAITED_MAX = 2000  # by all submits at once
EVENTS_WAIT_MAX_S = 25.0  # a long poll ends before a call times out
EVENTS_POLL_S = 5.0  # for events written by another coordinator on the same database
EVENT_WATCHERS_PER_BUYER_MAX = 32
SIGNED_PAYLOAD_MAX_BYTES = 4 * KIB  # of a statement or receipt
BUYER_JOBS_MAX = 1000  # of one buyer that have not ended
ATTEMPT_SLACK_S = 1800.0  # for what an attempt does beside staging and running: disks, collecting, hashing
CHAIN_CLOCK_SLACK_S = 120  # how far the chain's clock may be from ours: validators agree on time only roughly
LOGINS_CACHED_MAX = 100_000
POSTINGS_LISTED_MAX = 500
COORDINATOR_LOW_LAMPORTS = 50_000_000  # less than this for fees is worth a warning: some thousand actions
OFFICE_LOOK_S = 10.0  # how often the program's settings and offices are read again
OFFICE_FRESH_S = 30.0  # before a quote, they are read again when what is known is older
LEDGER_FOLLOW_S = 15.0  # how often the ledger looks for what has become final on chain
LEDGER_FRESH_S = 2.0  # a buyer who asks for their account is shown what was followed so recently
LEDGER_WAIT_S = 5.0  # for that, before they are shown what is there
LEDGER_PAGE_MAX = 500  # transactions that are posted at once
LEDGER_PAGES_MAX = 20_000  # that a ledger may lie behind the chain
LEDGER_CHECK_PAGES_MAX = 20  # of transactions not posted yet that `ledger check` looks through
LEDGER_UNPOSTED_MAX = 200  # transactions that could not be explained and are tried again each time
LEDGER_ACCOUNTS_PER_ROUND_MAX = 1000  # compared with the chain, every minute; the others in the next ones
LEDGER_LINKS_PER_ROUND_MAX = 5000  # of the hash chain, verified every minute
LEDGER_EXPLAINED_PER_ROUND_MAX = 20  # accounts that differ and whose history is read in full, every minute
LEDGER_LOOKS_MAX = 4  # at a difference, before it is called one
LEDGER_LOOK_AGAIN_S = 0.5
LEDGER_LATE_S = 120.0  # how long a final transaction may stay unexplained before that is an alarm
LEDGER_STALLED_S = 300.0  # how long the program's history may not be readable before that is an alarm
LEDGER_FOUND_MAX = 100  # differences and transactions in flight that are listed
CHAIN_WAIT_S = 30.0  # how long a coordinator that starts waits for its chain
DATABASE_POOL_MAX = 8
DATABASE_WAIT_S = 15.0
DATABASE_STATEMENT_TIMEOUT_S = 30.0
DATABASE_TRANSACTION_RETRIES_MAX = 5
DATABASE_START_S = 90.0  # a start after a crash replays the log first
DATABASE_STOP_S = 30.0
USAGE_PERIOD_S = 2.0  # how often a node samples what a container uses
USAGE_SAMPLES_MAX = 50_000  # of one attempt: the longest job, sampled all the time
USAGE_SAMPLES_PER_REPLY_MAX = 2000
DOCKER_PATIENCE_S = 300.0  # for a Docker daemon that restarts under a running job
LOG_DRAIN_S = 30.0

# -- the engine
SESSION_DAYS = 30  # how long a session key may act for its wallet, unless its owner says otherwise
SESSION_DAYS_MAX = 89  # the program allows 90 by its own clock, which may be behind ours
SESSION_FUND_LAMPORTS = 50_000_000  # what a session key is filled up to: fees, and the rent of a dozen jobs
SESSION_LOW_LAMPORTS = 5_000_000  # less than this does not open a job: rent of the account, and fees
WALLET_FEE_LAMPORTS = 5_000_000  # kept in a wallet for fees and the rent of its own accounts
RUN_SLACK_S = 3600  # on chain a job may take this much longer than staging and all attempts
ENGINE_RETRY_FIRST_S = 0.5
ENGINE_RETRY_MAX_S = 10.0
ENGINE_POLL_S = 3.0  # a job that runs is looked at this often between its events
SETTLE_AGAIN_S = 20.0  # a settlement that does not come is asked for again
LOG_IDLE_MAX_S = 120.0  # a log stream that brings nothing for so long is opened anew
LIVE_METRICS_MAX = 64
USAGE_CALL_TIMEOUT_S = 5.0
BUDGET_LOW = 0.8  # of what a job may use: from then on its buyer is warned
NEWS_LISTED_MAX = 100
LOG_LAST_MAX = 100_000  # lines that are read backwards from a log's end at once
LOGIN_LOOK_S = 600.0  # how often the engine looks whether its login ends soon
REACH_TIMEOUT_S = 5.0  # for the coordinator, when somebody asks whether it is there
METRICS_READ_MAX_BYTES = 2 * MIB  # of a log, looked through for one answer
METRICS_VALUES_PER_REPLY_MAX = 10_000
EVENTS_ASK_S = 20.0  # how long a question for events may wait at the coordinator
WALLET_CALL_TIMEOUT_S = 300.0  # two transactions, each confirmed
WATCH_INTERVAL_S = 0.1  # a job that changes all the time is shown this often
LINE_CHARS_FOR_METRICS = 64 * KIB
LOG_TAIL_PATIENCE_S = 60.0  # how long a job that failed waits for the rest of its log
PLAN_LIFETIME_S = 24 * 3600.0  # plans that nobody agreed to are forgotten
OFFSET_TAIL_BYTES = 256 * KIB  # of a log that is read again for progress after a restart
STOP_OLDER_S = 8.0  # for an earlier attempt to make room; within ASSIGN_TIMEOUT_S
TIDY_INTERVAL_S = 600.0
SURVEY_INTERVAL_S = 20.0
SAMPLE_INTERVAL_S = 5.0  # load, battery, programs that run
SAMPLES_KEPT_MAX = 720  # in memory: an hour
MINUTES_KEPT_S = 7 * 24 * 3600.0  # of samples put together by minute, in the journal
READINGS_LISTED_MAX = 2000
NEWS_KEPT_MAX = 500  # for notifications, in memory
NEWS_WAIT_S = 60.0
STATUS_INTERVAL_S = 1.0  # how often a window that watches is shown a status whose numbers move
EARNINGS_LOOK_S = 60.0  # how often a node asks what it earned
PROGRESS_TAIL_BYTES = 16 * KIB  # of a running job's log, read for its progress
AGENT_LOG_MAX_BYTES = 8 * MIB  # of an agent's own log; as much again is kept of what was before
AGENT_LOG_READ_BYTES = 256 * KIB  # at once
AGENT_LOG_TAIL_BYTES = 64 * KIB  # shown at first
SUPPORT_LOG_MAX_BYTES = 2 * MIB
FIX_MAX_S = 2 * 3600.0  # to build the job image on a slow line
FIX_LINE_MAX_CHARS = 500
PAUSE_MAX_S = 30 * 24 * 3600.0
IDLE_MINUTES_MAX = 24 * 60
EXCLUSIVE_APPS_MAX = 64
ELECTRICITY_MAX_USD_MICROS = 100_000_000  # for a kilowatt-hour
WATTS_MAX = 100_000
PLAN_SWEEP_S = 3600.0
FORGET_DROPPED_S = 7 * 24 * 3600.0
LEDGER_PENDING_S = 600.0  # what the chain did so recently, the ledger may not have yet
SESSION_RENEW_S = 15 * 24 * 3600  # a login renews session keys that expire sooner
NETWORK_CONFIG_MAX_BYTES = 64 * KIB

# -- the windows
CHILD_OUTPUT_MAX_BYTES = 4 * MIB  # of a command that a window has started
CHILD_TIMEOUT_S = 900.0  # for it, a person at a wallet page included
LOG_SHOWN_MAX_CHARS = 256 * MIB  # of a log in a window's memory; the agent has all of it
LOG_SHOWN_MAX_LINES = 2_000_000
LOG_SHOWN_LINE_MAX_CHARS = 4096
LOG_HITS_MAX = 100_000  # of a search in it
PLOT_POINTS_MAX = 1_000_000  # of one series; the older half is thinned out beyond that
PLOT_SERIES_MAX = 64
