-- What the engine knows of itself: its login, its wallet's key file, its port.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per job that was packaged here. Nothing is sent about a job before it stands here.
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY CHECK (length(job_id) = 32),
    revision INTEGER NOT NULL CHECK (revision > 0),
    stage TEXT NOT NULL,
    created_at_s REAL NOT NULL,
    updated_at_s REAL NOT NULL,
    wallet TEXT NOT NULL,
    spec BLOB NOT NULL,                     -- encoded
    out_folder TEXT NOT NULL,
    cancel_wanted INTEGER NOT NULL DEFAULT 0 CHECK (cancel_wanted IN (0, 1)),
    terms BLOB,                             -- the coordinator's signed terms, encoded
    signer TEXT NOT NULL DEFAULT '',        -- address of the session key that opens and settles
    open_transaction BLOB,                  -- signed bytes: stored before they are sent
    open_signature TEXT NOT NULL DEFAULT '',
    open_last_valid INTEGER NOT NULL DEFAULT 0,
    cancel_transaction BLOB,                -- the same for taking back an escrow that was never queued
    cancel_signature TEXT NOT NULL DEFAULT '',
    cancel_last_valid INTEGER NOT NULL DEFAULT 0,
    view BLOB,                              -- the job as the coordinator last showed it, encoded
    epoch INTEGER NOT NULL DEFAULT 0,       -- of the attempt whose log and results are at hand
    log_complete INTEGER NOT NULL DEFAULT 0 CHECK (log_complete IN (0, 1)),
    statement BLOB,                         -- the node's signed result statement that was checked, encoded
    receipt BLOB,                           -- the engine's signed receipt: stored before it is sent, encoded
    fetched_at_s REAL,                      -- results verified and in the out folder
    charged_units INTEGER CHECK (charged_units >= 0),   -- by the chain, once it has decided
    problem TEXT,                           -- what keeps the job from going on, as JSON; null when nothing does
    CHECK (stage IN ('packaged', 'quoted', 'dropped') OR (terms IS NOT NULL AND signer <> '')),
    CHECK (stage <> 'opening' OR open_transaction IS NOT NULL),
    CHECK (stage <> 'receipted' OR receipt IS NOT NULL)
) STRICT;

CREATE INDEX jobs_newest ON jobs (created_at_s);

-- The manifest of a job's inputs, encoded: large, and seldom needed.
CREATE TABLE input_manifests (
    job_id TEXT PRIMARY KEY REFERENCES jobs (job_id) ON DELETE CASCADE,
    manifest BLOB NOT NULL
) STRICT;

-- Where each input file of a job lies, as it was when it was hashed.
CREATE TABLE input_files (
    job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    path TEXT NOT NULL,                     -- in the manifest
    source BLOB NOT NULL,                   -- on this machine, as the file system spells it
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    PRIMARY KEY (job_id, path)
) STRICT, WITHOUT ROWID;

-- The job's history: what the coordinator told (with its number) and what happened here (without).
CREATE TABLE job_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    at_s REAL NOT NULL,
    state TEXT NOT NULL,
    detail TEXT NOT NULL,
    remote_seq INTEGER,
    UNIQUE (job_id, remote_seq)
) STRICT;

CREATE INDEX job_events_of_job ON job_events (job_id, seq);

-- Chunk hashes of files that have not changed since they were hashed.
CREATE TABLE hashed_files (
    source BLOB PRIMARY KEY,
    identity TEXT NOT NULL,                 -- device, inode, size, time of change
    chunks BLOB NOT NULL CHECK (length(chunks) % 32 = 0),
    used_at_s REAL NOT NULL
) STRICT;

CREATE INDEX hashed_files_oldest ON hashed_files (used_at_s);
