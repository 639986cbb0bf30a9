-- Samples of the machine put together by minute (Unix time over 60), kept for a week.
CREATE TABLE machine_minutes (
    minute INTEGER PRIMARY KEY,
    cpu_percent REAL NOT NULL,              -- of all processors, summed
    memory_used_bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE gpu_minutes (
    minute INTEGER NOT NULL,
    uuid TEXT NOT NULL,
    utilisation_percent REAL,               -- null: the driver does not say
    memory_used_bytes INTEGER,
    temperature_c REAL,
    power_w REAL,
    PRIMARY KEY (minute, uuid)
) STRICT, WITHOUT ROWID;
