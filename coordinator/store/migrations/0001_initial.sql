-- Registry, queue, ledger and outbox. Times are Unix seconds from the coordinator's clock.

CREATE TABLE nodes (
    peer_id text PRIMARY KEY,
    wallet text NOT NULL,
    advert bytea NOT NULL,
    min_price_usd_micros_per_hour bigint NOT NULL CHECK (min_price_usd_micros_per_hour >= 0),
    available boolean NOT NULL,
    networks text[] NOT NULL,
    image_digest text NOT NULL,
    addresses text[] NOT NULL,
    disk_free_bytes bigint NOT NULL CHECK (disk_free_bytes >= 0),
    cpu_percent double precision NOT NULL DEFAULT 0,
    memory_used_bytes bigint NOT NULL DEFAULT 0,
    registered_at_s double precision NOT NULL,
    seen_at_s double precision NOT NULL,
    left_at_s double precision
);
CREATE INDEX nodes_seen ON nodes (seen_at_s) WHERE left_at_s IS NULL;

CREATE TABLE node_slots (
    peer_id text NOT NULL REFERENCES nodes ON DELETE CASCADE,
    slot text NOT NULL,
    gpu_class text NOT NULL,
    name text NOT NULL,
    vram_bytes bigint NOT NULL CHECK (vram_bytes >= 0),
    PRIMARY KEY (peer_id, slot)
);

-- One challenge per peer and role at a time; deleted when it is answered, so that a nonce is good once.
CREATE TABLE challenges (
    nonce text PRIMARY KEY,
    peer_id text NOT NULL,
    wallet text NOT NULL,
    role text NOT NULL CHECK (role IN ('engine', 'node')),
    cluster text NOT NULL,
    issued_at_s bigint NOT NULL,
    expires_at_s bigint NOT NULL,
    UNIQUE (peer_id, role)
);

CREATE TABLE logins (
    peer_id text NOT NULL,
    role text NOT NULL CHECK (role IN ('engine', 'node')),
    wallet text NOT NULL,
    logged_in_at_s double precision NOT NULL,
    expires_at_s double precision NOT NULL,
    PRIMARY KEY (peer_id, role)
);

CREATE TABLE rates (
    gpu_class text PRIMARY KEY CHECK (gpu_class ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
    usd_micros_per_hour bigint NOT NULL CHECK (usd_micros_per_hour > 0),
    set_at_s double precision NOT NULL DEFAULT 0
);

CREATE TABLE asset_prices (
    asset text PRIMARY KEY CHECK (asset IN ('sol')),
    usd_micros bigint NOT NULL CHECK (usd_micros > 0),
    set_at_s double precision NOT NULL DEFAULT 0
);

CREATE TABLE jobs (
    job_id text PRIMARY KEY CHECK (job_id ~ '^[0-9a-f]{32}$'),
    queue_seq bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    buyer text NOT NULL,
    engine_peer_id text NOT NULL,
    engine_addresses text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'assigned', 'staging', 'running', 'delivering',
        'completed', 'settled', 'failed', 'cancelled', 'refunded')),
    revision bigint NOT NULL DEFAULT 1,
    epoch integer NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    attempt integer NOT NULL DEFAULT 1 CHECK (attempt BETWEEN 1 AND 3),
    created_at_s double precision NOT NULL,
    updated_at_s double precision NOT NULL,
    -- what was asked for and agreed to: the exact bytes, and what matching needs of them
    spec bytea NOT NULL,
    terms_payload bytea NOT NULL,
    terms_signer text NOT NULL,
    terms_signature bytea NOT NULL,
    asset text NOT NULL CHECK (asset IN ('sol', 'usdc')),
    deposit_units bigint NOT NULL CHECK (deposit_units > 0),
    fee_bps integer NOT NULL CHECK (fee_bps BETWEEN 0 AND 2000),
    timeout_s integer NOT NULL CHECK (timeout_s > 0),
    gpu_type text NOT NULL,
    min_vram_bytes bigint NOT NULL,
    network text NOT NULL,
    disk_bytes bigint NOT NULL,
    rates jsonb NOT NULL,  -- class -> {"usd": USD micros per hour, "units": base units per hour}
    open_signature text NOT NULL,
    -- the lease; kept after the end, to show who did the work
    node_peer_id text,
    node_wallet text,
    slot text,
    gpu_class text,
    rate_units_per_hour bigint,
    lease_expires_at_s double precision,
    assigned_at_s double precision,
    running_at_s double precision,
    -- what came of it
    used_seconds integer NOT NULL DEFAULT 0 CHECK (used_seconds BETWEEN 0 AND timeout_s),
    used_units bigint NOT NULL DEFAULT 0 CHECK (used_units BETWEEN 0 AND deposit_units),
    failure text,
    detail text NOT NULL DEFAULT '',
    CONSTRAINT leased_by_somebody CHECK (
        state NOT IN ('assigned', 'staging', 'running', 'delivering')
        OR (node_peer_id IS NOT NULL AND node_wallet IS NOT NULL AND slot IS NOT NULL AND gpu_class IS NOT NULL
            AND rate_units_per_hour IS NOT NULL AND lease_expires_at_s IS NOT NULL AND epoch > 0)),
    CONSTRAINT queued_by_nobody CHECK (
        state <> 'queued' OR (node_peer_id IS NULL AND lease_expires_at_s IS NULL)),
    CONSTRAINT failed_for_a_reason CHECK (state <> 'failed' OR failure IS NOT NULL)
);
CREATE INDEX jobs_queue ON jobs (queue_seq) WHERE state = 'queued';
CREATE INDEX jobs_of_buyer ON jobs (buyer, queue_seq DESC);
CREATE INDEX jobs_earned ON jobs (node_wallet, queue_seq DESC)
    WHERE state IN ('running', 'delivering', 'completed', 'settled', 'cancelled');
-- Not on lease_expires_at_s, so that a renewal changes no index; there are no more leases than slots.
CREATE INDEX jobs_leased ON jobs (node_peer_id)
    WHERE state IN ('assigned', 'staging', 'running', 'delivering');
-- One job per slot. A job that only delivers no longer needs its GPU.
CREATE UNIQUE INDEX one_job_per_slot ON jobs (node_peer_id, slot)
    WHERE state IN ('assigned', 'staging', 'running');

-- Nodes that a job keeps away from for a while: they refused it or lost it.
CREATE TABLE job_exclusions (
    job_id text NOT NULL REFERENCES jobs,
    peer_id text NOT NULL,
    until_s double precision NOT NULL,
    PRIMARY KEY (job_id, peer_id)
);

CREATE TABLE job_events (
    seq bigint NOT NULL,
    job_id text NOT NULL REFERENCES jobs,
    buyer text NOT NULL,
    at_s double precision NOT NULL,
    old_state text,
    new_state text NOT NULL,
    epoch integer NOT NULL,
    attempt integer NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (job_id, seq)
);
CREATE SEQUENCE job_event_seq OWNED BY job_events.seq;
CREATE INDEX job_events_of_buyer ON job_events (buyer, seq);

-- A watcher resumes after the last number it saw, so numbers of one buyer must become visible in order:
-- the number is drawn under a lock that lasts until the commit.
CREATE FUNCTION number_job_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.buyer, 1));
    NEW.seq := nextval('job_event_seq');
    RETURN NEW;
END $$;
CREATE TRIGGER job_events_number BEFORE INSERT ON job_events FOR EACH ROW EXECUTE FUNCTION number_job_event();

-- Every signed result statement that ever came; two for one epoch are proof of fraud.
CREATE TABLE statements (
    job_id text NOT NULL REFERENCES jobs,
    epoch integer NOT NULL,
    statement_hash bytea NOT NULL CHECK (length(statement_hash) = 32),
    payload bytea NOT NULL,
    signer text NOT NULL,
    signature bytea NOT NULL,
    received_at_s double precision NOT NULL,
    PRIMARY KEY (job_id, epoch, statement_hash)
);

CREATE TABLE receipts (
    job_id text PRIMARY KEY REFERENCES jobs,
    epoch integer NOT NULL,
    payload bytea NOT NULL,
    signer text NOT NULL,
    signature bytea NOT NULL,
    received_at_s double precision NOT NULL
);

-- The ledger: append-only double entry.
CREATE TABLE transfers (
    transfer_id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('deposit', 'withdraw', 'open', 'settle', 'refund')),
    asset text NOT NULL CHECK (asset IN ('sol', 'usdc')),
    job_id text,
    signature text NOT NULL,
    at_s double precision NOT NULL,
    CHECK ((kind IN ('open', 'settle', 'refund')) = (job_id IS NOT NULL))
);
CREATE UNIQUE INDEX one_opening_per_job ON transfers (job_id) WHERE kind = 'open';
CREATE UNIQUE INDEX one_verdict_per_job ON transfers (job_id) WHERE kind IN ('settle', 'refund');

CREATE TABLE postings (
    transfer_id text NOT NULL REFERENCES transfers,
    account text NOT NULL CHECK (account IN ('chain', 'fees') OR account ~ '^(user|escrow):[0-9A-Za-z]{32,44}$'),
    asset text NOT NULL,
    units bigint NOT NULL CHECK (units <> 0),
    PRIMARY KEY (transfer_id, account)
);
CREATE INDEX postings_of_account ON postings (account, asset);

-- What the accounts that must not be overdrawn hold. `chain` and `fees` take part in every job and are summed
-- when asked for, so that no two jobs wait for one row.
CREATE TABLE balances (
    account text NOT NULL,
    asset text NOT NULL,
    units bigint NOT NULL,
    PRIMARY KEY (account, asset),
    CONSTRAINT not_overdrawn CHECK (units >= 0)
);

CREATE FUNCTION keep_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.account NOT IN ('chain', 'fees') THEN
        -- Two steps: the CHECK also sees the row proposed by an INSERT, which is negative for a payment.
        INSERT INTO balances VALUES (NEW.account, NEW.asset, 0) ON CONFLICT DO NOTHING;
        UPDATE balances SET units = units + NEW.units WHERE account = NEW.account AND asset = NEW.asset;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER postings_balance AFTER INSERT ON postings FOR EACH ROW EXECUTE FUNCTION keep_balance();

CREATE FUNCTION sums_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) < 2 OR sum(units) <> 0 OR bool_or(p.asset <> t.asset)
        FROM transfers t LEFT JOIN postings p USING (transfer_id) WHERE t.transfer_id = NEW.transfer_id) THEN
        RAISE EXCEPTION 'transfer % does not balance', NEW.transfer_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER transfers_balance AFTER INSERT ON transfers DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION sums_to_zero();
CREATE CONSTRAINT TRIGGER postings_sum AFTER INSERT ON postings DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION sums_to_zero();

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: correct it with a new entry', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER transfers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER postings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER job_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON job_events
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Chain actions to be done, in the order of their numbers for each job.
--   waiting     settle only: built, waits for the buyer's countersignature
--   prepared    to be signed
--   sent        signed bytes are stored; broadcast until confirmed or expired
--   confirmed   done
--   superseded  no longer wanted, and never sent
--   failed      the program refused it; an operator has to look
CREATE TABLE outbox (
    action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL REFERENCES jobs,
    kind text NOT NULL CHECK (kind IN ('assign', 'settle', 'refund')),
    state text NOT NULL CHECK (state IN ('waiting', 'prepared', 'sent', 'confirmed', 'superseded', 'failed')),
    epoch integer NOT NULL,
    node_wallet text,
    used_units bigint,
    result_hash bytea,
    actor text,
    message bytea,
    signed_bytes bytea,
    signature text NOT NULL DEFAULT '',
    last_valid_height bigint,
    attempts integer NOT NULL DEFAULT 0,
    next_try_at_s double precision NOT NULL,
    last_error text NOT NULL DEFAULT '',
    created_at_s double precision NOT NULL,
    updated_at_s double precision NOT NULL,
    CONSTRAINT sent_is_stored CHECK (
        state <> 'sent' OR (signed_bytes IS NOT NULL AND signature <> '' AND last_valid_height IS NOT NULL)),
    CONSTRAINT only_settle_waits CHECK (state <> 'waiting' OR kind = 'settle')
);
CREATE UNIQUE INDEX one_live_action ON outbox (job_id, kind) WHERE state IN ('waiting', 'prepared', 'sent');
CREATE UNIQUE INDEX one_verdict_action ON outbox (job_id)
    WHERE kind IN ('settle', 'refund') AND state IN ('waiting', 'prepared', 'sent', 'confirmed');
CREATE INDEX outbox_of_job ON outbox (job_id, action_id);
