-- The rent of ended jobs' accounts goes back to those who paid it: an action of low priority.
ALTER TABLE outbox DROP CONSTRAINT outbox_kind_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_kind_check
    CHECK (kind IN ('assign', 'settle', 'refund', 'claim', 'finalize', 'close'));
CREATE INDEX outbox_to_close ON outbox (next_try_at_s) WHERE kind = 'close' AND state IN ('prepared', 'sent');

INSERT INTO outbox (job_id, kind, state, epoch, next_try_at_s, created_at_s, updated_at_s)
SELECT job_id, 'close', 'prepared', epoch, updated_at_s, updated_at_s, updated_at_s
FROM jobs WHERE state IN ('settled', 'refunded');
