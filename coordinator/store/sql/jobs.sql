-- name: insert
WITH fresh AS (
    INSERT INTO jobs (job_id, name, buyer, engine_peer_id, engine_addresses, state, created_at_s, updated_at_s, spec,
        terms_payload, terms_signer, terms_signature, asset, deposit_units, fee_bps, timeout_s, gpu_type,
        min_vram_bytes, network, disk_bytes, rates, open_signature)
    VALUES (%(job_id)s, %(name)s, %(buyer)s, %(engine_peer_id)s, %(engine_addresses)s, 'queued', %(now_s)s, %(now_s)s,
        %(spec)s, %(terms_payload)s, %(terms_signer)s, %(terms_signature)s, %(asset)s, %(deposit_units)s, %(fee_bps)s,
        %(timeout_s)s, %(gpu_type)s, %(min_vram_bytes)s, %(network)s, %(disk_bytes)s, %(rates)s, %(open_signature)s)
    RETURNING *
), event AS (
    INSERT INTO job_events (job_id, buyer, at_s, old_state, new_state, epoch, attempt, code, detail)
    SELECT job_id, buyer, updated_at_s, NULL, state, epoch, attempt, %(code)s, '' FROM fresh
)
SELECT * FROM fresh;

-- name: by_id
SELECT * FROM jobs WHERE job_id = %(job_id)s;

-- name: lock
SELECT * FROM jobs WHERE job_id = %(job_id)s FOR UPDATE;

-- name: of_buyer
SELECT * FROM jobs WHERE buyer = %(buyer)s ORDER BY queue_seq DESC LIMIT %(limit)s;

-- name: latest
SELECT * FROM jobs WHERE %(state)s::text IS NULL OR state = %(state)s ORDER BY queue_seq DESC LIMIT %(limit)s;

-- name: unfinished
-- Jobs that are not final, a page at a time.
SELECT * FROM jobs WHERE state NOT IN ('settled', 'refunded') AND queue_seq > %(after_seq)s
ORDER BY queue_seq LIMIT %(limit)s;

-- name: unfinished_of_buyer
SELECT count(*) AS jobs FROM jobs WHERE buyer = %(buyer)s AND state NOT IN ('settled', 'refunded');

-- name: by_prefix
SELECT * FROM jobs WHERE job_id LIKE %(prefix)s || '%%' ORDER BY queue_seq DESC LIMIT 2;

-- name: claim
-- The oldest queued job that a free slot can take: claimed, its event and its chain action written, at once.
-- The conditions are those of coordinator.domain.matching, which looks again at what comes out.
-- OFFSET 0 keeps each NOT EXISTS a look-up per candidate; as a join it would read every live action.
WITH picked AS (
    SELECT j.job_id FROM jobs j
    WHERE j.state = 'queued'
        AND j.rates ? %(gpu_class)s
        AND (j.rates -> %(gpu_class)s ->> 'usd')::bigint >= %(min_price)s
        AND j.min_vram_bytes <= %(vram_bytes)s
        AND j.network = ANY(%(networks)s)
        AND j.disk_bytes <= %(disk_free_bytes)s
        AND NOT EXISTS (SELECT FROM job_exclusions x
            WHERE x.job_id = j.job_id AND x.peer_id = %(peer_id)s AND x.until_s > %(now_s)s OFFSET 0)
        AND NOT EXISTS (SELECT FROM outbox o
            WHERE o.job_id = j.job_id AND o.kind = 'assign' AND o.state IN ('waiting', 'prepared', 'sent') OFFSET 0)
    ORDER BY j.queue_seq
    LIMIT 1
    FOR UPDATE OF j SKIP LOCKED
), moved AS (
    UPDATE jobs j SET state = 'assigned', revision = revision + 1, epoch = epoch + 1, updated_at_s = %(now_s)s,
        node_peer_id = %(peer_id)s, node_wallet = %(wallet)s, slot = %(slot)s, gpu_class = %(gpu_class)s,
        rate_units_per_hour = (rates -> %(gpu_class)s ->> 'units')::bigint,
        lease_expires_at_s = %(lease_expires_at_s)s, assigned_at_s = %(now_s)s, running_at_s = NULL,
        used_seconds = 0, used_units = 0
    FROM picked WHERE j.job_id = picked.job_id AND j.state = 'queued'
    RETURNING j.*
), event AS (
    INSERT INTO job_events (job_id, buyer, at_s, old_state, new_state, epoch, attempt, code, detail)
    SELECT job_id, buyer, updated_at_s, 'queued', state, epoch, attempt, %(code)s, gpu_class FROM moved
), action AS (
    INSERT INTO outbox (job_id, kind, state, epoch, node_wallet, next_try_at_s, created_at_s, updated_at_s)
    SELECT job_id, 'assign', 'prepared', epoch, node_wallet, %(now_s)s, %(now_s)s, %(now_s)s FROM moved
)
SELECT * FROM moved;

-- name: move
-- Compare and set, with its event.
WITH moved AS (
    UPDATE jobs SET state = %(new)s, revision = revision + 1, updated_at_s = %(now_s)s
    WHERE job_id = %(job_id)s AND revision = %(revision)s AND state = %(old)s
    RETURNING *
), event AS (
    INSERT INTO job_events (job_id, buyer, at_s, old_state, new_state, epoch, attempt, code, detail)
    SELECT job_id, buyer, updated_at_s, %(old)s, state, epoch, attempt, %(code)s, %(detail)s FROM moved
)
SELECT * FROM moved;

-- name: requeue
-- Back into the queue, at the place it had.
WITH moved AS (
    UPDATE jobs SET state = 'queued', revision = revision + 1, updated_at_s = %(now_s)s, attempt = %(attempt)s,
        node_peer_id = NULL, node_wallet = NULL, slot = NULL, gpu_class = NULL, rate_units_per_hour = NULL,
        lease_expires_at_s = NULL, assigned_at_s = NULL, running_at_s = NULL, used_seconds = 0, used_units = 0
    WHERE job_id = %(job_id)s AND revision = %(revision)s AND state = %(old)s
    RETURNING *
), event AS (
    INSERT INTO job_events (job_id, buyer, at_s, old_state, new_state, epoch, attempt, code, detail)
    SELECT job_id, buyer, updated_at_s, %(old)s, state, epoch, attempt, %(code)s, %(detail)s FROM moved
)
SELECT * FROM moved;

-- name: set_running
UPDATE jobs SET running_at_s = %(running_at_s)s WHERE job_id = %(job_id)s;

-- name: set_used
UPDATE jobs SET used_seconds = %(used_seconds)s, used_units = %(used_units)s WHERE job_id = %(job_id)s;

-- name: set_failure
UPDATE jobs SET failure = %(failure)s, detail = %(detail)s WHERE job_id = %(job_id)s;

-- name: exclude
INSERT INTO job_exclusions (job_id, peer_id, until_s) VALUES (%(job_id)s, %(peer_id)s, %(until_s)s)
ON CONFLICT (job_id, peer_id) DO UPDATE SET until_s = greatest(job_exclusions.until_s, EXCLUDED.until_s);

-- name: exclusions
SELECT peer_id FROM job_exclusions WHERE job_id = %(job_id)s AND until_s > %(now_s)s;

-- name: any_exclusions
SELECT EXISTS (SELECT FROM job_exclusions x JOIN jobs j USING (job_id)
    WHERE j.state = 'queued' AND x.until_s > %(now_s)s) AS found;

-- name: queue_length
SELECT count(*) AS jobs FROM jobs WHERE state = 'queued';

-- name: ahead
-- Waiting jobs that could take the same classes of nodes.
SELECT count(*) AS jobs FROM jobs
WHERE state = 'queued' AND job_id <> %(job_id)s AND rates ?| %(classes)s::text[];

-- name: mean_run
-- How long the last jobs ran that completed on such classes.
SELECT count(*) AS jobs, coalesce(avg(used_seconds), 0)::double precision AS mean_s FROM (
    SELECT used_seconds FROM jobs
    WHERE state IN ('completed', 'settled') AND updated_at_s > %(since_s)s AND gpu_class = ANY(%(classes)s::text[])
    ORDER BY updated_at_s DESC LIMIT %(limit)s) AS lately;

-- name: held_by
-- Jobs whose current lease a node has.
SELECT * FROM jobs WHERE node_peer_id = %(peer_id)s AND state IN ('assigned', 'staging', 'running', 'delivering')
ORDER BY queue_seq;

-- name: renew
-- Leases and meters, in batches; never wakes a lease that was lost.
UPDATE jobs SET lease_expires_at_s = greatest(jobs.lease_expires_at_s, b.until_s),
    used_seconds = CASE WHEN jobs.state = 'running' THEN greatest(jobs.used_seconds, b.used_seconds)
        ELSE jobs.used_seconds END,
    used_units = CASE WHEN jobs.state = 'running' THEN greatest(jobs.used_units, b.used_units)
        ELSE jobs.used_units END
FROM unnest(%(job_ids)s::text[], %(epochs)s::int[], %(peer_ids)s::text[], %(until)s::double precision[],
    %(used_seconds)s::int[], %(used_units)s::bigint[])
    AS b (job_id, epoch, peer_id, until_s, used_seconds, used_units)
WHERE jobs.job_id = b.job_id AND jobs.epoch = b.epoch AND jobs.node_peer_id = b.peer_id
    AND jobs.state IN ('assigned', 'staging', 'running', 'delivering');

-- name: refresh_leases
-- A coordinator that starts was deaf for a while: nobody loses a lease for that.
UPDATE jobs SET lease_expires_at_s = greatest(lease_expires_at_s, %(until_s)s)
WHERE state IN ('assigned', 'staging', 'running', 'delivering');

-- name: expired
-- Not those whose claim stands or is on its way to the chain: nobody else can be assigned any more.
SELECT j.job_id FROM jobs j WHERE j.state IN ('assigned', 'staging', 'running', 'delivering')
    AND j.lease_expires_at_s <= %(now_s)s
    AND NOT EXISTS (SELECT FROM outbox c
        WHERE c.job_id = j.job_id AND c.kind = 'claim' AND c.state IN ('sent', 'confirmed'))
ORDER BY j.lease_expires_at_s LIMIT %(limit)s;

-- name: events_after
SELECT seq, job_id, at_s, old_state, new_state, epoch, attempt, code, detail FROM job_events
WHERE buyer = %(buyer)s AND seq > %(after_seq)s ORDER BY seq LIMIT %(limit)s;

-- name: job_events_after
SELECT seq, job_id, at_s, old_state, new_state, epoch, attempt, code, detail FROM job_events
WHERE job_id = %(job_id)s AND seq > %(after_seq)s ORDER BY seq LIMIT %(limit)s;

-- name: extend
-- More time and money, of which the escrow holds the money; what was agreed is kept with it. Only ever upwards.
WITH moved AS (
    UPDATE jobs SET timeout_s = %(timeout_s)s, deposit_units = %(deposit_units)s, revision = revision + 1,
        added_s = added_s + %(timeout_s)s - timeout_s, updated_at_s = %(now_s)s
    WHERE job_id = %(job_id)s AND timeout_s < %(timeout_s)s AND deposit_units <= %(deposit_units)s
    RETURNING *
), kept AS (
    INSERT INTO top_ups (job_id, timeout_s, deposit_units, payload, signature, at_s)
    SELECT job_id, timeout_s, deposit_units, %(payload)s, %(signature)s, updated_at_s FROM moved
), event AS (
    INSERT INTO job_events (job_id, buyer, at_s, old_state, new_state, epoch, attempt, code, detail)
    SELECT job_id, buyer, updated_at_s, state, state, epoch, attempt, %(code)s, %(detail)s FROM moved
)
SELECT * FROM moved;

-- name: extended_by
SELECT EXISTS (SELECT FROM top_ups WHERE job_id = %(job_id)s AND payload = %(payload)s) AS known;

-- name: running_since
SELECT at_s FROM job_events WHERE job_id = %(job_id)s AND epoch = %(epoch)s AND new_state = 'running'
    AND old_state IS DISTINCT FROM new_state;

-- name: put_statement
-- Two are proof; more of them would only fill the disk.
INSERT INTO statements (job_id, epoch, statement_hash, payload, signer, signature, received_at_s)
SELECT %(job_id)s, %(epoch)s, %(statement_hash)s, %(payload)s, %(signer)s, %(signature)s, %(now_s)s
WHERE (SELECT count(*) FROM statements WHERE job_id = %(job_id)s AND epoch = %(epoch)s) < 2
ON CONFLICT DO NOTHING;

-- name: statements
SELECT epoch, statement_hash, payload, signer, signature FROM statements
WHERE job_id = %(job_id)s AND epoch = %(epoch)s ORDER BY received_at_s;

-- name: put_receipt
INSERT INTO receipts (job_id, epoch, payload, signer, signature, received_at_s)
VALUES (%(job_id)s, %(epoch)s, %(payload)s, %(signer)s, %(signature)s, %(now_s)s) ON CONFLICT DO NOTHING;

-- name: receipt
SELECT payload, signer, signature FROM receipts WHERE job_id = %(job_id)s;

-- name: earnings
-- A page, the newest job first. A claim that stands says until when its review lasts.
SELECT j.queue_seq, j.job_id, j.name, j.updated_at_s, j.asset, j.used_seconds, j.used_units, j.fee_bps, j.state,
    coalesce((SELECT o.signature FROM outbox o WHERE o.job_id = j.job_id AND o.kind IN ('settle', 'finalize')
        ORDER BY o.action_id DESC LIMIT 1), '') AS signature,
    (SELECT c.window_ends_at_s FROM outbox c WHERE c.job_id = j.job_id AND c.kind = 'claim'
        AND c.state = 'confirmed' ORDER BY c.action_id DESC LIMIT 1) AS review_ends_at_s,
    EXISTS (SELECT FROM disputes d WHERE d.job_id = j.job_id AND d.state = 'open') AS disputed
FROM jobs j WHERE j.node_wallet = %(wallet)s AND j.queue_seq < %(before_seq)s AND j.updated_at_s >= %(since_s)s
    AND j.state IN ('running', 'delivering', 'completed', 'settled', 'cancelled')
    AND (j.state <> 'cancelled' OR j.used_units > 0)
ORDER BY j.queue_seq DESC LIMIT %(limit)s;

-- name: counts
SELECT state, count(*) AS jobs FROM jobs GROUP BY state ORDER BY state;
