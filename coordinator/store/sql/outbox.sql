-- name: insert
INSERT INTO outbox (job_id, kind, state, epoch, node_wallet, used_units, result_hash, actor, message,
    last_valid_height, next_try_at_s, created_at_s, updated_at_s)
VALUES (%(job_id)s, %(kind)s, %(state)s, %(epoch)s, %(node_wallet)s, %(used_units)s, %(result_hash)s, %(actor)s,
    %(message)s, %(last_valid_height)s, %(due_s)s, %(now_s)s, %(now_s)s)
RETURNING *;

-- name: due
-- The first unfinished action of each job, if it is due. A worker takes it (see `take`) before it does anything.
SELECT o.* FROM outbox o
WHERE o.state IN ('prepared', 'sent') AND o.kind <> 'close' AND o.next_try_at_s <= %(now_s)s
    AND NOT EXISTS (SELECT FROM outbox e WHERE e.job_id = o.job_id AND e.action_id < o.action_id
        AND e.state IN ('prepared', 'sent'))
ORDER BY o.next_try_at_s, o.action_id LIMIT %(limit)s;

-- name: due_closes
-- As `due`, of accounts to close: a job's last action, and nobody waits for it.
SELECT * FROM outbox WHERE kind = 'close' AND state IN ('prepared', 'sent') AND next_try_at_s <= %(now_s)s
ORDER BY next_try_at_s, action_id LIMIT %(limit)s;

-- name: next_due
-- When the first of what `due` finds will be.
SELECT min(o.next_try_at_s) AS at_s FROM outbox o
WHERE o.state IN ('prepared', 'sent') AND o.kind <> 'close'
    AND NOT EXISTS (SELECT FROM outbox e WHERE e.job_id = o.job_id AND e.action_id < o.action_id
        AND e.state IN ('prepared', 'sent'));

-- name: lock
SELECT * FROM outbox WHERE action_id = %(action_id)s FOR UPDATE;

-- name: take
-- Put off the next try, so that for that long only this worker works on them.
UPDATE outbox SET next_try_at_s = %(until_s)s, attempts = attempts + 1, updated_at_s = %(now_s)s
WHERE action_id = ANY(%(action_ids)s) AND state IN ('prepared', 'sent') AND next_try_at_s <= %(now_s)s
RETURNING *;

-- name: of_job
SELECT * FROM outbox WHERE job_id = %(job_id)s ORDER BY action_id;

-- name: supersede
-- Only what was never signed can be called back.
UPDATE outbox SET state = 'superseded', updated_at_s = %(now_s)s
WHERE job_id = %(job_id)s AND kind = %(kind)s AND state IN ('waiting', 'prepared');

-- name: offer
UPDATE outbox SET message = %(message)s, last_valid_height = %(last_valid_height)s, actor = %(actor)s,
    used_units = %(used_units)s, result_hash = %(result_hash)s, updated_at_s = %(now_s)s, last_error = ''
WHERE action_id = %(action_id)s AND state = 'waiting' RETURNING *;

-- name: signed
-- One transaction for all of them.
UPDATE outbox SET state = 'sent', signed_bytes = %(signed_bytes)s, signature = %(signature)s,
    last_valid_height = %(last_valid_height)s, next_try_at_s = %(now_s)s, updated_at_s = %(now_s)s
WHERE action_id = ANY(%(action_ids)s) AND state IN ('waiting', 'prepared') RETURNING *;

-- name: apart
-- Their transaction would fail: sign each by itself.
UPDATE outbox SET alone = true, next_try_at_s = %(now_s)s, updated_at_s = %(now_s)s, last_error = %(error)s
WHERE action_id = ANY(%(action_ids)s) AND state = 'prepared';

-- name: again
-- It can never land, or has failed on chain: sign anew.
UPDATE outbox SET state = CASE WHEN kind = 'settle' THEN 'waiting' ELSE 'prepared' END, signed_bytes = NULL,
    signature = '', last_valid_height = NULL, message = NULL, next_try_at_s = %(now_s)s, updated_at_s = %(now_s)s,
    last_error = %(error)s, alone = alone OR %(alone)s
WHERE action_id = %(action_id)s AND state = 'sent' AND signature = %(signature)s;

-- name: done
UPDATE outbox SET state = 'confirmed', updated_at_s = %(now_s)s, last_error = '',
    window_ends_at_s = %(window_ends_at_s)s
WHERE action_id = %(action_id)s AND state IN ('waiting', 'prepared', 'sent') RETURNING *;

-- name: give_up
UPDATE outbox SET state = 'failed', updated_at_s = %(now_s)s, last_error = %(error)s
WHERE action_id = %(action_id)s AND state IN ('waiting', 'prepared', 'sent');

-- name: overtaken
-- A claim that was sent, while the verdict that it was to prepare came another way.
UPDATE outbox SET state = 'superseded', updated_at_s = %(now_s)s, last_error = ''
WHERE action_id = %(action_id)s AND kind = 'claim' AND state IN ('prepared', 'sent');

-- name: hurry
-- Look at a verdict now that waited for its time.
UPDATE outbox SET next_try_at_s = least(next_try_at_s, %(now_s)s)
WHERE job_id = %(job_id)s AND kind = 'finalize' AND state = 'prepared';

-- name: unclaimed
-- Work that waits for the buyer's signature and is not claimed: delivered without a receipt, or with a settlement
-- that nobody countersigned; since when it waits, when the job was first assigned, and the time limit that its escrow was
-- opened for, which no top-up changes.
SELECT w.*, (SELECT min(e.at_s) FROM job_events e
    WHERE e.job_id = w.job_id AND e.new_state = 'assigned') AS assigned_at_s
FROM (SELECT job_id, timeout_s - added_s AS timeout_s, updated_at_s AS waits_since_s FROM jobs
        WHERE state = 'delivering'
    UNION ALL
    SELECT j.job_id, j.timeout_s - j.added_s, s.created_at_s FROM outbox s JOIN jobs j USING (job_id)
    WHERE s.kind = 'settle' AND s.state = 'waiting' AND j.state IN ('completed', 'cancelled')) w
WHERE NOT EXISTS (SELECT FROM outbox c WHERE c.job_id = w.job_id AND c.kind = 'claim' AND c.state <> 'superseded')
ORDER BY w.waits_since_s LIMIT %(limit)s;

-- name: window_over
-- Settlements that nobody countersigned until the end of the claim's window, which nobody disputed.
SELECT s.job_id FROM outbox s JOIN outbox c ON c.job_id = s.job_id AND c.kind = 'claim' AND c.state = 'confirmed'
WHERE s.kind = 'settle' AND s.state = 'waiting' AND c.window_ends_at_s <= %(now_s)s
    AND NOT EXISTS (SELECT FROM disputes d WHERE d.job_id = s.job_id AND d.state = 'open')
ORDER BY s.action_id LIMIT %(limit)s;

-- name: postpone
UPDATE outbox SET next_try_at_s = %(until_s)s, last_error = %(error)s, updated_at_s = %(now_s)s
WHERE action_id = %(action_id)s AND state IN ('prepared', 'sent');

-- name: troubled
-- Money that does not move by itself: given up although its job goes on, or tried for long without success.
SELECT o.job_id, o.kind, o.state, o.last_error AS error, o.attempts, o.created_at_s
FROM outbox o JOIN jobs j USING (job_id)
WHERE (o.state = 'failed' AND j.state NOT IN ('settled', 'refunded'))
    OR (o.state IN ('prepared', 'sent') AND o.kind <> 'close' AND o.last_error <> '' AND o.created_at_s <= %(late_s)s)
ORDER BY o.action_id LIMIT %(limit)s;

-- name: to_retry
-- What an operator may want to be looked at again: of one job everything unfinished, else what does not succeed.
SELECT o.* FROM outbox o JOIN jobs j USING (job_id)
WHERE (%(job_id)s::text IS NULL OR o.job_id = %(job_id)s)
    AND ((o.state = 'failed' AND (j.state NOT IN ('settled', 'refunded') OR o.kind = 'close'))
        OR (o.state IN ('prepared', 'sent') AND (%(job_id)s::text IS NOT NULL OR o.last_error <> ''
            OR (o.state = 'sent' AND o.created_at_s <= %(late_s)s))))
ORDER BY o.action_id LIMIT %(limit)s;

-- name: look_now
UPDATE outbox SET next_try_at_s = least(next_try_at_s, %(now_s)s), attempts = 0, updated_at_s = %(now_s)s
WHERE action_id = %(action_id)s AND state IN ('prepared', 'sent');

-- name: revive
-- What was given up is wanted again. Bytes that were stored are followed first: they may have landed, or still land.
UPDATE outbox SET next_try_at_s = %(now_s)s, attempts = 0, updated_at_s = %(now_s)s,
    state = CASE WHEN signed_bytes IS NOT NULL THEN 'sent' WHEN kind = 'settle' THEN 'waiting' ELSE 'prepared' END
WHERE action_id = %(action_id)s AND state = 'failed';

-- name: counts
SELECT kind, state, count(*) AS actions FROM outbox GROUP BY kind, state ORDER BY kind, state;
