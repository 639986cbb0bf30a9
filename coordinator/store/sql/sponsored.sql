-- name: lock
SELECT pg_advisory_xact_lock(7405218);

-- name: known
SELECT 1 AS known FROM sponsored WHERE signature = %(signature)s;

-- name: usage
-- How much a wallet has used, and for how many accounts of anybody the rent may still have to be paid.
SELECT
    count(*) FILTER (WHERE wallet = %(wallet)s AND signed_at_s > %(since_s)s) AS recent,
    count(DISTINCT job_id) FILTER (
        WHERE wallet = %(wallet)s AND state <> 'done' AND job_id <> %(job_id)s
    ) AS rents,
    count(DISTINCT job_id) FILTER (WHERE state = 'signed') AS unpaid
FROM sponsored
WHERE state <> 'done' OR (wallet = %(wallet)s AND signed_at_s > %(since_s)s);

-- name: add
INSERT INTO sponsored (signature, wallet, job_id, action, state, last_valid_height, signed_at_s, look_at_s)
VALUES (%(signature)s, %(wallet)s, %(job_id)s, %(action)s, %(state)s, %(last_valid_height)s, %(now_s)s,
    %(look_at_s)s);

-- name: take
-- What is due to be looked at, for one worker alone.
UPDATE sponsored SET look_at_s = %(until_s)s
WHERE signature IN (
    SELECT signature FROM sponsored
    WHERE state <> 'done' AND look_at_s <= %(now_s)s
    ORDER BY look_at_s
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING signature, wallet, job_id, state, last_valid_height, signed_at_s;

-- name: move
UPDATE sponsored SET state = %(state)s WHERE signature = %(signature)s;

-- name: forget
DELETE FROM sponsored WHERE state = 'done' AND signed_at_s < %(before_s)s;

-- name: totals
SELECT
    count(DISTINCT job_id) FILTER (WHERE state = 'open') AS rents,
    count(*) FILTER (WHERE signed_at_s > %(since_s)s) AS recent
FROM sponsored;
