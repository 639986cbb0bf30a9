-- One row per attempt that this node took. Nothing is done for a job before it stands here.
CREATE TABLE jobs (
    job_id TEXT NOT NULL CHECK (length(job_id) = 32),
    epoch INTEGER NOT NULL CHECK (epoch > 0),
    revision INTEGER NOT NULL CHECK (revision > 0),
    phase TEXT NOT NULL,
    assignment BLOB NOT NULL,
    gpu_uuid TEXT NOT NULL,                 -- empty: the slot of a node without a GPU
    image TEXT NOT NULL,                    -- digest of the image that it runs in
    cpus REAL NOT NULL,
    memory_bytes INTEGER NOT NULL,
    container_id TEXT NOT NULL DEFAULT '',
    accepted_at_s REAL NOT NULL,
    updated_at_s REAL NOT NULL,
    started_at_s REAL,
    finished_at_s REAL,
    exit_code INTEGER,
    cpu_seconds REAL NOT NULL DEFAULT 0,
    memory_peak_bytes INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    detail TEXT NOT NULL DEFAULT '',
    stop_reason TEXT,                       -- an order to end the job that still has to be carried out
    manifest BLOB,                          -- of the outputs, encoded
    statement BLOB,                         -- the signed result statement: payload,
    statement_signature BLOB,               -- and signature
    reported TEXT NOT NULL DEFAULT '',      -- last state that the coordinator acknowledged
    received_at_s REAL,                     -- when the engine said that it has everything
    log_bytes INTEGER NOT NULL DEFAULT 0,   -- bytes of the spool that are certain
    log_cursor TEXT NOT NULL DEFAULT '',    -- where in the container's log those bytes end
    log_kept INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (job_id, epoch)
) STRICT;

-- A slot runs one attempt at a time. A job whose container has ended waits for its buyer without a slot.
CREATE UNIQUE INDEX jobs_slot ON jobs (gpu_uuid)
    WHERE phase IN ('assigned', 'staging', 'installing', 'running', 'exited', 'collecting');

CREATE TABLE job_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    at_s REAL NOT NULL,
    old TEXT,
    new TEXT NOT NULL,
    detail TEXT NOT NULL,
    FOREIGN KEY (job_id, epoch) REFERENCES jobs (job_id, epoch) ON DELETE CASCADE
) STRICT;

CREATE INDEX job_events_of_job ON job_events (job_id, epoch, seq);
