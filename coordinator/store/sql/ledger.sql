-- name: head
SELECT seq, hash, read_signature, read_slot FROM ledger_head;

-- name: lock_head
SELECT seq, hash, read_signature, read_slot FROM ledger_head FOR UPDATE;

-- name: move_head
UPDATE ledger_head SET seq = %(seq)s, hash = %(hash)s;

-- name: read_on
UPDATE ledger_head SET read_signature = %(signature)s, read_slot = %(slot)s WHERE read_slot <= %(slot)s;

-- name: insert_transfers
INSERT INTO transfers (seq, hash, transfer_id, kind, asset, owner, job_id, signature, slot, at_s, reverses, version)
SELECT * FROM unnest(%(seqs)s::bigint[], %(hashes)s::bytea[], %(ids)s::text[], %(kinds)s::text[], %(assets)s::text[],
    %(owners)s::text[], %(job_ids)s::text[], %(signatures)s::text[], %(slots)s::bigint[], %(at)s::bigint[],
    %(reverses)s::text[], %(versions)s::int[]);

-- name: insert_postings
INSERT INTO postings (transfer_id, account, asset, units)
SELECT * FROM unnest(%(ids)s::text[], %(accounts)s::text[], %(assets)s::text[], %(units)s::bigint[]);

-- name: known
SELECT transfer_id FROM transfers WHERE transfer_id = ANY(%(transfer_ids)s);

-- name: signatures
-- Those of the transactions given behind which something is posted.
SELECT DISTINCT signature FROM transfers WHERE signature = ANY(%(signatures)s);

-- name: of_signatures
SELECT transfer_id, signature FROM transfers WHERE signature = ANY(%(signatures)s);

-- name: balance
SELECT units FROM balances WHERE account = %(account)s AND asset = %(asset)s;

-- name: balances
SELECT account, asset, units FROM balances WHERE account = ANY(%(accounts)s);

-- name: standing
-- Openings and verdicts of some escrows that were not taken back, with their lines, the last of each last.
SELECT t.*, array_agg(p.account ORDER BY p.account COLLATE "C") AS accounts,
    array_agg(p.units ORDER BY p.account COLLATE "C") AS units
FROM unnest(%(owners)s::text[], %(job_ids)s::text[]) AS e (owner, job_id)
JOIN transfers t ON t.job_id = e.job_id AND t.owner = e.owner AND t.kind IN ('open', 'settle', 'refund')
JOIN postings p USING (transfer_id)
WHERE NOT EXISTS (SELECT FROM transfers r WHERE r.reverses = t.transfer_id)
GROUP BY t.transfer_id ORDER BY t.version;

-- name: of_account_unreversed
-- What of an account was posted and not taken back, the newest first, with all lines.
SELECT t.*, array_agg(p.account ORDER BY p.account COLLATE "C") AS accounts,
    array_agg(p.units ORDER BY p.account COLLATE "C") AS units
FROM postings m JOIN transfers t USING (transfer_id) JOIN postings p USING (transfer_id)
WHERE m.account = %(account)s AND m.asset = %(asset)s AND t.kind NOT IN ('reversal', 'carry')
    AND NOT EXISTS (SELECT FROM transfers r WHERE r.reverses = t.transfer_id)
GROUP BY t.transfer_id ORDER BY t.seq DESC LIMIT %(limit)s;

-- name: pots
SELECT * FROM escrows WHERE address = ANY(%(addresses)s);

-- name: keep_pots
INSERT INTO escrows (address, owner, job_id, asset, fee_bps, claimed_units)
SELECT * FROM unnest(%(addresses)s::text[], %(owners)s::text[], %(job_ids)s::text[], %(assets)s::text[],
    %(fees_bps)s::int[], %(claimed)s::bigint[])
ON CONFLICT (address) DO UPDATE SET claimed_units = EXCLUDED.claimed_units;

-- name: fees
-- What was in force at a slot, and what was set since.
SELECT slot, fee_bps FROM fee_settings
WHERE slot >= coalesce((SELECT max(slot) FROM fee_settings WHERE slot <= %(slot)s), 0) ORDER BY slot;

-- name: keep_fee
INSERT INTO fee_settings VALUES (%(slot)s, %(fee_bps)s) ON CONFLICT DO NOTHING;

-- name: unposted
SELECT * FROM unposted ORDER BY slot, signature LIMIT %(limit)s;

-- name: put_off
INSERT INTO unposted VALUES (%(signature)s, %(slot)s, %(reason)s, %(now_s)s)
ON CONFLICT (signature) DO UPDATE SET reason = EXCLUDED.reason;

-- name: posted_at_last
DELETE FROM unposted WHERE signature = ANY(%(signatures)s);

-- name: sums
-- Every account from its postings, the source of truth.
SELECT account, asset, sum(units)::bigint AS units FROM postings GROUP BY account, asset ORDER BY asset, account;

-- name: since_slot
-- What was posted of transactions after a slot.
SELECT p.account, p.asset, sum(p.units)::bigint AS units FROM transfers t JOIN postings p USING (transfer_id)
WHERE t.slot > %(slot)s GROUP BY p.account, p.asset;

-- name: snapshot
-- All that is read after it is of one moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;

-- name: stray_balances
-- Balances that differ from the sum of their postings; none, always.
SELECT coalesce(b.account, p.account) AS account, coalesce(b.asset, p.asset) AS asset,
    coalesce(b.units, 0) AS kept, coalesce(p.units, 0)::bigint AS posted
FROM balances b
FULL JOIN (SELECT account, asset, sum(units) AS units FROM postings
    WHERE account NOT IN ('chain', 'fees') GROUP BY account, asset) p USING (account, asset)
WHERE coalesce(b.units, 0) <> coalesce(p.units, 0);

-- name: accounts_after
-- Accounts in their order, a page at a time.
SELECT account, asset, units FROM balances
WHERE (account, asset) > (%(account)s::text, %(asset)s::text) ORDER BY account, asset LIMIT %(limit)s;

-- name: links
-- A part of the chain of transfers with their lines, in its order.
SELECT t.*, coalesce(array_agg(p.account ORDER BY p.account COLLATE "C") FILTER (WHERE p.account IS NOT NULL), '{}')
    AS accounts, coalesce(array_agg(p.units ORDER BY p.account COLLATE "C") FILTER (WHERE p.account IS NOT NULL), '{}')
    AS units
FROM (SELECT * FROM transfers WHERE seq > %(after_seq)s ORDER BY seq LIMIT %(limit)s) t
LEFT JOIN postings p USING (transfer_id)
GROUP BY t.transfer_id, t.kind, t.asset, t.job_id, t.signature, t.at_s, t.owner, t.slot, t.reverses, t.version, t.seq,
    t.hash
ORDER BY t.seq;

-- name: link_before
SELECT hash FROM transfers WHERE seq = %(seq)s;

-- name: of_account
SELECT t.transfer_id, t.at_s, t.kind, t.job_id, t.asset, p.units, t.signature
FROM postings p JOIN transfers t USING (transfer_id)
WHERE p.account = %(account)s ORDER BY t.seq DESC LIMIT %(limit)s;

-- name: total
SELECT coalesce(sum(units), 0)::bigint AS units FROM postings WHERE account = %(account)s AND asset = %(asset)s;

-- name: alarms
SELECT * FROM alarms ORDER BY since_s, subject, asset LIMIT %(limit)s;

-- name: raise_alarm
INSERT INTO alarms VALUES (%(subject)s, %(asset)s, %(ledger_units)s, %(chain_units)s, %(signature)s, %(detail)s,
    %(now_s)s)
ON CONFLICT (subject, asset) DO UPDATE SET ledger_units = EXCLUDED.ledger_units, chain_units = EXCLUDED.chain_units,
    signature = EXCLUDED.signature, detail = EXCLUDED.detail;

-- name: clear_alarms
DELETE FROM alarms WHERE (subject, asset) IN (SELECT * FROM unnest(%(subjects)s::text[], %(assets)s::text[]));
