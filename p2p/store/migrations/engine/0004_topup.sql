-- More time and money for a job that goes on: all of it is kept before anything is sent.
ALTER TABLE jobs ADD COLUMN topup BLOB;                 -- the longer terms, signed, encoded; null when none are underway
ALTER TABLE jobs ADD COLUMN topup_transaction BLOB;     -- signed bytes of the TopUp
ALTER TABLE jobs ADD COLUMN topup_signature TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN topup_last_valid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN escrow_units INTEGER NOT NULL DEFAULT 0;    -- by the chain, once something was added

-- The warning comes again when a limit that was raised runs out.
DROP TRIGGER news_of_jobs;
CREATE TRIGGER news_of_jobs AFTER INSERT ON job_events
WHEN NEW.remote_seq IS NULL AND NEW.state IN ('verified', 'settled', 'refunded', 'low_budget')
BEGIN
    INSERT OR IGNORE INTO news (at_s, kind, job_id, detail, mark)
    SELECT NEW.at_s, kind, job_id, NEW.detail, mark FROM (
        SELECT job_id,
            CASE
                WHEN NEW.state = 'verified' THEN 'finished'
                WHEN NEW.state = 'low_budget' THEN 'low_budget'
                WHEN NEW.state = 'settled' THEN 'paid_unfetched'
                WHEN cancel_wanted THEN 'cancelled'
                ELSE 'failed'
            END AS kind,
            CASE NEW.state
                WHEN 'low_budget' THEN 'low_budget ' || epoch || CASE escrow_units WHEN 0 THEN '' ELSE ' ' || escrow_units END
                ELSE 'end'
            END || ' ' || job_id AS mark
        FROM jobs WHERE job_id = NEW.job_id);
    DELETE FROM news WHERE seq <= (SELECT max(seq) FROM news) - 1000;
END;
