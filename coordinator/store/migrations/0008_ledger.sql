-- The ledger follows the finalized chain, call by call, and its transfers are linked by hashes.

-- What has stood so far is kept: accounts and transfers get the names that they have from now on. An escrow's
-- name has its owner, for two people may choose the same job id; a transfer's that of the transaction behind it.
ALTER TABLE transfers DISABLE TRIGGER transfers_append_only;
ALTER TABLE postings DISABLE TRIGGER postings_append_only;
ALTER TABLE postings DROP CONSTRAINT postings_transfer_id_fkey;
ALTER TABLE postings DROP CONSTRAINT postings_account_check;
ALTER TABLE transfers DROP CONSTRAINT transfers_kind_check, DROP CONSTRAINT transfers_check;
DROP INDEX one_opening_per_job, one_verdict_per_job;

ALTER TABLE transfers
    ADD COLUMN owner text,
    ADD COLUMN slot bigint,
    ADD COLUMN reverses text UNIQUE,
    ADD COLUMN version integer NOT NULL DEFAULT 0 CHECK (version >= 0),
    ADD COLUMN seq bigint,
    ADD COLUMN hash bytea,
    ALTER COLUMN at_s TYPE bigint USING floor(at_s)::bigint;

UPDATE transfers t SET owner = (SELECT substr(u.account, 6) FROM transfers o JOIN postings u USING (transfer_id)
    WHERE o.job_id = t.job_id AND o.kind = 'open' AND u.account LIKE 'user:%')
WHERE job_id IS NOT NULL;
UPDATE postings p SET account = 'escrow:' || t.owner || ':' || t.job_id
FROM transfers t WHERE t.transfer_id = p.transfer_id AND p.account LIKE 'escrow:%';
UPDATE balances b SET account = 'escrow:' || t.owner || ':' || t.job_id
FROM transfers t WHERE t.kind = 'open' AND b.account = 'escrow:' || t.job_id;
UPDATE postings p SET transfer_id = t.kind || ':' || t.signature
FROM transfers t WHERE t.transfer_id = p.transfer_id AND t.job_id IS NOT NULL AND t.signature <> ''
    AND (SELECT count(*) FROM transfers s WHERE s.signature = t.signature AND s.kind = t.kind) = 1;
UPDATE transfers t SET transfer_id = t.kind || ':' || t.signature
WHERE job_id IS NOT NULL AND signature <> ''
    AND (SELECT count(*) FROM transfers s WHERE s.signature = t.signature AND s.kind = t.kind) = 1;

-- The hash chain over them, oldest first; coordinator.domain.ledger.link computes the same.
CREATE FUNCTION pg_temp.link_all() RETURNS TABLE (last_seq bigint, last_hash bytea) LANGUAGE plpgsql AS $$
DECLARE
    t transfers;
    lines text;
BEGIN
    last_seq := 0;
    last_hash := decode(repeat('00', 32), 'hex');
    FOR t IN SELECT * FROM transfers ORDER BY at_s, array_position(ARRAY['deposit', 'open'], kind), transfer_id LOOP
        SELECT string_agg(account || ' ' || units, E'\n' ORDER BY account COLLATE "C") INTO lines
        FROM postings WHERE transfer_id = t.transfer_id;
        last_seq := last_seq + 1;
        last_hash := sha256(convert_to(concat_ws(E'\n', encode(last_hash, 'hex'), last_seq, t.transfer_id, t.kind,
            t.asset, coalesce(t.owner, ''), coalesce(t.job_id, ''), t.signature, coalesce(t.slot::text, ''), t.at_s,
            coalesce(t.reverses, ''), t.version, lines), 'UTF8'));
        UPDATE transfers SET seq = last_seq, hash = last_hash WHERE transfer_id = t.transfer_id;
    END LOOP;
    RETURN NEXT;
END $$;

-- Where the chain of transfers ends, and how far the ledger has read the history of the program. Whoever posts
-- locks this row first: all that a transfer depends on stays as it is until it is posted.
CREATE TABLE ledger_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq bigint NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    read_signature text NOT NULL DEFAULT '',
    read_slot bigint NOT NULL DEFAULT 0
);
INSERT INTO ledger_head (seq, hash) SELECT last_seq, last_hash FROM pg_temp.link_all();
DROP FUNCTION pg_temp.link_all();

ALTER TABLE transfers
    ALTER COLUMN seq SET NOT NULL,
    ALTER COLUMN hash SET NOT NULL,
    ADD CONSTRAINT transfers_in_order UNIQUE (seq),
    ADD CHECK (length(hash) = 32),
    ADD CHECK (kind IN ('deposit', 'withdraw', 'open', 'top_up', 'settle', 'refund', 'reversal', 'carry')),
    ADD CHECK ((owner IS NULL) = (job_id IS NULL)),
    ADD CHECK (kind NOT IN ('open', 'top_up', 'settle', 'refund') OR job_id IS NOT NULL),
    ADD CHECK (kind NOT IN ('deposit', 'withdraw', 'carry') OR job_id IS NULL),
    ADD CHECK ((kind = 'reversal') = (reverses IS NOT NULL)),
    ADD FOREIGN KEY (reverses) REFERENCES transfers;
CREATE UNIQUE INDEX one_opening_per_job ON transfers (job_id, owner, version) WHERE kind = 'open';
CREATE UNIQUE INDEX one_verdict_per_job ON transfers (job_id, owner, version) WHERE kind IN ('settle', 'refund');
CREATE INDEX transfers_of_escrow ON transfers (job_id, owner) WHERE kind IN ('open', 'settle', 'refund');
CREATE INDEX transfers_by_slot ON transfers (slot);
CREATE INDEX transfers_by_signature ON transfers (signature);

-- `fees` is there for what was posted before a fee had an owner.
ALTER TABLE postings
    ADD CHECK (account IN ('chain', 'fees') OR account ~ '^user:[0-9A-Za-z]{32,44}$'
        OR account ~ '^escrow:[0-9A-Za-z]{32,44}:[0-9a-f]{32}$'),
    ADD FOREIGN KEY (transfer_id) REFERENCES transfers;
ALTER TABLE transfers ENABLE TRIGGER transfers_append_only;
ALTER TABLE postings ENABLE TRIGGER postings_append_only;

-- All lines of a transfer are written by one statement, which has to balance; a transfer without lines is found at
-- the commit. Balances change once for each account and statement, however many lines it has.
DROP TRIGGER postings_sum ON postings;
DROP TRIGGER postings_balance ON postings;
DROP FUNCTION keep_balance();
CREATE FUNCTION keep_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT p.transfer_id INTO wrong FROM postings p JOIN transfers t USING (transfer_id)
    WHERE p.transfer_id IN (SELECT f.transfer_id FROM fresh f)
    GROUP BY p.transfer_id HAVING sum(p.units) <> 0 OR bool_or(p.asset <> t.asset) LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'transfer % does not balance', wrong USING ERRCODE = 'check_violation';
    END IF;
    -- Two steps: the CHECK also sees the row proposed by an INSERT, which is negative for a payment.
    INSERT INTO balances SELECT DISTINCT account, asset, 0 FROM fresh WHERE account NOT IN ('chain', 'fees')
    ON CONFLICT DO NOTHING;
    UPDATE balances b SET units = b.units + f.units
    FROM (SELECT account, asset, sum(units) AS units FROM fresh GROUP BY account, asset) f
    WHERE b.account = f.account AND b.asset = f.asset;
    RETURN NULL;
END $$;
CREATE TRIGGER postings_balance AFTER INSERT ON postings REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION keep_balances();
CREATE OR REPLACE FUNCTION sums_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM postings WHERE transfer_id = NEW.transfer_id) THEN
        RAISE EXCEPTION 'transfer % does not balance', NEW.transfer_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

-- What a verdict needs to know of its escrow, from the opening and the claim; and the fees of new jobs over time.
CREATE TABLE escrows (
    address text PRIMARY KEY,
    owner text NOT NULL,
    job_id text NOT NULL,
    asset text NOT NULL CHECK (asset IN ('sol', 'usdc')),
    fee_bps integer CHECK (fee_bps BETWEEN 0 AND 2000),
    claimed_units bigint CHECK (claimed_units >= 0),
    UNIQUE (job_id, owner)
);
CREATE TABLE fee_settings (
    slot bigint NOT NULL,
    fee_bps integer NOT NULL CHECK (fee_bps BETWEEN 0 AND 2000),
    PRIMARY KEY (slot, fee_bps)
);

-- Final transactions that could not be posted, because something before them is not known: tried again each time.
CREATE TABLE unposted (
    signature text PRIMARY KEY,
    slot bigint NOT NULL,
    reason text NOT NULL,
    since_s double precision NOT NULL
);

-- What the ledger cannot explain, until it can.
CREATE TABLE alarms (
    subject text NOT NULL,
    asset text NOT NULL DEFAULT '',
    ledger_units bigint NOT NULL,
    chain_units bigint NOT NULL,
    signature text NOT NULL DEFAULT '',
    detail text NOT NULL,
    since_s double precision NOT NULL,
    PRIMARY KEY (subject, asset)
);
