-- Payment without the buyer's signature: a claim stands for a review window, then anyone may finalize it.
ALTER TABLE outbox DROP CONSTRAINT outbox_kind_check;
ALTER TABLE outbox ADD CONSTRAINT outbox_kind_check
    CHECK (kind IN ('assign', 'settle', 'refund', 'claim', 'finalize'));

-- Of a confirmed claim: until when the buyer may dispute or sign a settlement, by the coordinator's clock.
ALTER TABLE outbox ADD COLUMN window_ends_at_s double precision;

-- A settlement and the finalizing of a claim exclude each other here as they do on chain. A claim that was sent
-- may be superseded as well: by the verdict that overtook it.
DROP INDEX one_verdict_action;
CREATE UNIQUE INDEX one_verdict_action ON outbox (job_id)
    WHERE kind IN ('settle', 'refund', 'finalize') AND state IN ('waiting', 'prepared', 'sent', 'confirmed');
