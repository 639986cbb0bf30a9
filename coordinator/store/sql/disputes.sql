-- name: open
INSERT INTO disputes (job_id, epoch, state, arbiter, claimed_units, opened_at_s, resolve_by_s, check_at_s, tell_at_s)
VALUES (%(job_id)s, %(epoch)s, 'open', %(arbiter)s, %(claimed_units)s, %(now_s)s, %(resolve_by_s)s, %(now_s)s,
    %(now_s)s)
ON CONFLICT (job_id) DO NOTHING;

-- name: by_job
SELECT * FROM disputes WHERE job_id = %(job_id)s;

-- name: by_prefix
SELECT * FROM disputes WHERE job_id LIKE %(prefix)s || '%%' ORDER BY opened_at_s DESC LIMIT 2;

-- name: listing
-- Those that wait for a decision, the most urgent first; then, if wanted, those that ended, the last first.
SELECT d.*, j.asset, j.deposit_units, j.fee_bps, j.name, j.buyer, j.node_wallet, j.node_peer_id,
    (SELECT jsonb_object_agg(c.result, c.rows) FROM (SELECT e.result, count(*) AS rows FROM dispute_evidence e
        WHERE e.job_id = d.job_id GROUP BY e.result) c) AS evidence
FROM disputes d JOIN jobs j USING (job_id)
WHERE d.state = 'open' OR %(ended)s
ORDER BY d.state <> 'open', CASE WHEN d.state = 'open' THEN d.resolve_by_s ELSE -d.ended_at_s END
LIMIT %(limit)s;

-- name: say
INSERT INTO dispute_statements (job_id, side, payload, signer, signature, at_s)
VALUES (%(job_id)s, %(side)s, %(payload)s, %(signer)s, %(signature)s, %(now_s)s)
ON CONFLICT (job_id, side) DO NOTHING;

-- name: statements
SELECT * FROM dispute_statements WHERE job_id = %(job_id)s ORDER BY side;

-- name: end
UPDATE disputes SET state = %(state)s, ended_at_s = %(now_s)s, decided_units = %(decided_units)s, check_at_s = NULL,
    tell_at_s = %(now_s)s
WHERE job_id = %(job_id)s AND state = 'open';

-- name: tell_again
-- The node has news to hear, such as the reason that came after the dispute itself.
UPDATE disputes SET told_state = '', tell_at_s = %(now_s)s WHERE job_id = %(job_id)s AND state = 'open';

-- name: to_tell
SELECT * FROM disputes WHERE told_state <> state AND tell_at_s <= %(now_s)s
    AND (ended_at_s IS NULL OR ended_at_s >= %(ended_since_s)s)
ORDER BY tell_at_s LIMIT %(limit)s;

-- name: told
-- Unless there is something newer to tell by now.
UPDATE disputes SET told_state = %(state)s
WHERE job_id = %(job_id)s AND state = %(state)s AND tell_at_s = %(until_s)s;

-- name: tell_later
UPDATE disputes SET tell_at_s = %(until_s)s WHERE job_id = %(job_id)s;

-- name: want_check
UPDATE disputes SET check_at_s = %(now_s)s WHERE job_id = %(job_id)s AND state = 'open';

-- name: to_check
SELECT * FROM disputes WHERE state = 'open' AND check_at_s <= %(now_s)s ORDER BY check_at_s LIMIT %(limit)s;

-- name: checked
-- Unless somebody has asked for another check meanwhile.
UPDATE disputes SET check_at_s = %(next_at_s)s WHERE job_id = %(job_id)s AND check_at_s = %(asked_at_s)s;

-- name: add_evidence
INSERT INTO dispute_evidence (job_id, at_s, result, file_index, path, chunk_index, size_bytes, detail)
VALUES (%(job_id)s, %(at_s)s, %(result)s, %(file_index)s, %(path)s, %(chunk_index)s, %(size_bytes)s, %(detail)s);

-- name: evidence
SELECT at_s, result, file_index, path, chunk_index, size_bytes, detail FROM dispute_evidence
WHERE job_id = %(job_id)s ORDER BY evidence_id LIMIT %(limit)s;

-- name: evidence_count
SELECT count(*) AS rows FROM dispute_evidence WHERE job_id = %(job_id)s;

-- name: keep_message
UPDATE disputes SET message = %(message)s, message_last_valid = %(last_valid)s
WHERE job_id = %(job_id)s AND state = 'open';

-- name: open_count
SELECT count(*) AS disputes, min(resolve_by_s) AS first_by_s FROM disputes WHERE state = 'open';
