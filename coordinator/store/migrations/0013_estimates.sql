-- How long jobs ran that completed lately, for whoever asks how long theirs would wait.
CREATE INDEX jobs_completed ON jobs (updated_at_s) WHERE state IN ('completed', 'settled');
