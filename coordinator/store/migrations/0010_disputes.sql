-- Claims that their buyers dispute on chain: one at most of each job.
--   open       the arbiter has to decide until resolve_by_s; after that anybody may give the deposit back
--   resolved, withdrawn, conceded, expired    see p2p.core.states
CREATE TABLE disputes (
    job_id text PRIMARY KEY REFERENCES jobs,
    epoch integer NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'resolved', 'withdrawn', 'conceded', 'expired')),
    arbiter text NOT NULL,
    claimed_units bigint NOT NULL CHECK (claimed_units >= 0),
    opened_at_s double precision NOT NULL,
    resolve_by_s double precision NOT NULL,
    ended_at_s double precision,
    decided_units bigint,
    check_at_s double precision,            -- when the node is asked for evidence next; null: not of itself
    told_state text NOT NULL DEFAULT '',    -- the last state that the node has acknowledged
    tell_at_s double precision NOT NULL,    -- when it is told the present one, if it has not
    message bytea,                          -- a Resolve that was printed to be signed elsewhere
    message_last_valid bigint,
    CONSTRAINT ended_is_decided CHECK (
        (state = 'open') = (ended_at_s IS NULL) AND (state = 'open') = (decided_units IS NULL)),
    CONSTRAINT printed_with_its_end CHECK ((message IS NULL) = (message_last_valid IS NULL))
);
CREATE INDEX disputes_open ON disputes (resolve_by_s) WHERE state = 'open';
CREATE INDEX disputes_to_check ON disputes (check_at_s) WHERE state = 'open' AND check_at_s IS NOT NULL;
CREATE INDEX disputes_to_tell ON disputes (tell_at_s) WHERE told_state <> state;
CREATE INDEX disputes_by_age ON disputes (opened_at_s DESC);

-- What each side says, in the exact bytes that it signed. The first word stands.
CREATE TABLE dispute_statements (
    job_id text NOT NULL REFERENCES disputes,
    side text NOT NULL CHECK (side IN ('buyer', 'node')),
    payload bytea NOT NULL,
    signer text NOT NULL,
    signature bytea NOT NULL,
    at_s double precision NOT NULL,
    PRIMARY KEY (job_id, side)
);

-- What came of asking the node to prove its outputs against the root that it signed.
CREATE TABLE dispute_evidence (
    evidence_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL REFERENCES disputes,
    at_s double precision NOT NULL,
    result text NOT NULL CHECK (result IN ('verified', 'differs', 'refused', 'unreachable', 'not_applicable')),
    file_index integer,
    path text NOT NULL DEFAULT '',
    chunk_index integer,
    size_bytes bigint,
    detail text NOT NULL DEFAULT ''
);
CREATE INDEX dispute_evidence_of_job ON dispute_evidence (job_id, evidence_id);

CREATE TRIGGER dispute_statements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dispute_statements
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER dispute_evidence_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dispute_evidence
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
