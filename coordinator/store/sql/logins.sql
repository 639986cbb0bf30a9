-- name: drop_stale_challenges
DELETE FROM challenges WHERE expires_at_s <= %(now_s)s;

-- name: count_challenges
SELECT count(*) AS challenges FROM challenges;

-- name: put_challenge
INSERT INTO challenges (nonce, peer_id, wallet, role, cluster, issued_at_s, expires_at_s, domain)
VALUES (%(nonce)s, %(peer_id)s, %(wallet)s, %(role)s, %(cluster)s, %(issued_at_s)s, %(expires_at_s)s, %(domain)s)
ON CONFLICT (peer_id, role) DO UPDATE SET nonce = EXCLUDED.nonce, wallet = EXCLUDED.wallet,
    cluster = EXCLUDED.cluster, issued_at_s = EXCLUDED.issued_at_s, expires_at_s = EXCLUDED.expires_at_s,
    domain = EXCLUDED.domain;

-- name: take_challenge
DELETE FROM challenges WHERE peer_id = %(peer_id)s AND role = %(role)s
RETURNING nonce, peer_id, wallet, role, cluster, issued_at_s, expires_at_s, domain;

-- name: put_login
INSERT INTO logins (peer_id, role, wallet, logged_in_at_s, expires_at_s)
VALUES (%(peer_id)s, %(role)s, %(wallet)s, %(now_s)s, %(expires_at_s)s)
ON CONFLICT (peer_id, role) DO UPDATE SET wallet = EXCLUDED.wallet,
    logged_in_at_s = EXCLUDED.logged_in_at_s, expires_at_s = EXCLUDED.expires_at_s;

-- name: find
SELECT peer_id, role, wallet, expires_at_s FROM logins WHERE peer_id = %(peer_id)s AND role = %(role)s;
