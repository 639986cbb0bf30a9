-- The reconciler goes through what has not ended, in the order of its numbers; the operator looks at what is newest.
CREATE INDEX jobs_unfinished ON jobs (queue_seq) WHERE state NOT IN ('settled', 'refunded');
CREATE INDEX jobs_by_age ON jobs (queue_seq DESC);
CREATE INDEX jobs_unfinished_of_buyer ON jobs (buyer) WHERE state NOT IN ('settled', 'refunded');
