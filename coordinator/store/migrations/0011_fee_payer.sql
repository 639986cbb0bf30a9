-- Transactions of buyers' session keys whose fees the coordinator pays. It signs and never sends them.
-- 'signed': may still land. 'open': the job's account is there and holds our rent. 'done': neither, any more.
CREATE TABLE sponsored (
    signature text PRIMARY KEY,
    wallet text NOT NULL,
    job_id text NOT NULL,
    action text NOT NULL CHECK (action IN ('open', 'top_up', 'cancel', 'dispute')),
    state text NOT NULL CHECK (state IN ('signed', 'open', 'done')),
    last_valid_height bigint NOT NULL,
    signed_at_s double precision NOT NULL,
    look_at_s double precision NOT NULL,
    CHECK (action = 'open' OR state = 'done')
);
CREATE INDEX sponsored_by_wallet ON sponsored (wallet, signed_at_s);
CREATE INDEX sponsored_to_look_at ON sponsored (look_at_s) WHERE state <> 'done';
