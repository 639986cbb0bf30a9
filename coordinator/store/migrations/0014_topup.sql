-- Time that a buyer has added to a job which went on. What was agreed first stays in terms_payload, for its hash is
-- on the chain; the escrow's deadline is that of the time without what was added.
ALTER TABLE jobs ADD COLUMN added_s integer NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD CONSTRAINT added_to_something CHECK (added_s >= 0 AND added_s < timeout_s);

-- What was agreed each time: the exact bytes that we signed.
CREATE TABLE top_ups (
    job_id text NOT NULL REFERENCES jobs,
    timeout_s integer NOT NULL,
    deposit_units bigint NOT NULL,
    payload bytea NOT NULL,
    signature bytea NOT NULL,
    at_s double precision NOT NULL,
    PRIMARY KEY (job_id, timeout_s)
);
CREATE TRIGGER top_ups_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON top_ups
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
