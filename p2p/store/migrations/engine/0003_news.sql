-- What is worth telling somebody who is not looking, each once. `mark` is what makes it the same.
CREATE TABLE news (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_s REAL NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('finished', 'paid_unfetched', 'failed', 'cancelled', 'low_budget', 'login_ends')),
    job_id TEXT REFERENCES jobs (job_id) ON DELETE CASCADE,
    detail TEXT NOT NULL,
    mark TEXT NOT NULL UNIQUE
) STRICT;

-- A job's news comes with its history, in the same transaction.
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
            CASE NEW.state WHEN 'low_budget' THEN 'low_budget ' || epoch ELSE 'end' END || ' ' || job_id AS mark
        FROM jobs WHERE job_id = NEW.job_id);
    DELETE FROM news WHERE seq <= (SELECT max(seq) FROM news) - 1000;
END;
