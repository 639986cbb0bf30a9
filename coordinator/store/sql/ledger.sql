-- name: insert_transfer
INSERT INTO transfers (transfer_id, kind, asset, job_id, signature, at_s)
VALUES (%(transfer_id)s, %(kind)s, %(asset)s, %(job_id)s, %(signature)s, %(now_s)s)
ON CONFLICT (transfer_id) DO NOTHING;

-- name: insert_posting
INSERT INTO postings (transfer_id, account, asset, units)
VALUES (%(transfer_id)s, %(account)s, %(asset)s, %(units)s);

-- name: known
SELECT transfer_id FROM transfers WHERE transfer_id = ANY(%(transfer_ids)s);

-- name: verdict
SELECT kind FROM transfers WHERE job_id = %(job_id)s AND kind IN ('settle', 'refund');

-- name: balance
SELECT units FROM balances WHERE account = %(account)s AND asset = %(asset)s;

-- name: sums
-- Every account from its postings, the source of truth.
SELECT account, asset, sum(units)::bigint AS units FROM postings GROUP BY account, asset ORDER BY asset, account;

-- name: stray_balances
-- Balances that differ from the sum of their postings; none, always.
SELECT coalesce(b.account, p.account) AS account, coalesce(b.asset, p.asset) AS asset,
    coalesce(b.units, 0) AS kept, coalesce(p.units, 0)::bigint AS posted
FROM balances b
FULL JOIN (SELECT account, asset, sum(units) AS units FROM postings
    WHERE account NOT IN ('chain', 'fees') GROUP BY account, asset) p USING (account, asset)
WHERE coalesce(b.units, 0) <> coalesce(p.units, 0);

-- name: open_escrows
-- Deposits without a verdict, with the buyer whose they are.
SELECT t.job_id, t.asset, p.units AS deposit_units, substr(u.account, 6) AS buyer
FROM transfers t
JOIN postings p ON p.transfer_id = t.transfer_id AND p.account = 'escrow:' || t.job_id
JOIN postings u ON u.transfer_id = t.transfer_id AND u.account LIKE 'user:%%'
WHERE t.kind = 'open' AND NOT EXISTS (
    SELECT FROM transfers v WHERE v.job_id = t.job_id AND v.kind IN ('settle', 'refund'))
ORDER BY t.job_id;

-- name: of_account
SELECT t.transfer_id, t.at_s, t.kind, t.job_id, t.asset, p.units, t.signature
FROM postings p JOIN transfers t USING (transfer_id)
WHERE p.account = %(account)s ORDER BY t.at_s DESC, t.transfer_id LIMIT %(limit)s;

-- name: users
-- Everybody whom the ledger knows, a page at a time.
SELECT DISTINCT substr(account, 6) AS wallet FROM balances
WHERE account LIKE 'user:%%' AND account > 'user:' || %(after)s::text ORDER BY wallet LIMIT %(limit)s;

-- name: total
SELECT coalesce(sum(units), 0)::bigint AS units FROM postings WHERE account = %(account)s AND asset = %(asset)s;
