-- name: upsert
INSERT INTO nodes (peer_id, wallet, advert, min_price_usd_micros_per_hour, available, networks, image_digest,
    addresses, disk_free_bytes, registered_at_s, seen_at_s, left_at_s)
VALUES (%(peer_id)s, %(wallet)s, %(advert)s, %(min_price)s, %(available)s, %(networks)s, %(image_digest)s,
    %(addresses)s, %(disk_free_bytes)s, %(now_s)s, %(now_s)s, NULL)
ON CONFLICT (peer_id) DO UPDATE SET
    wallet = EXCLUDED.wallet, advert = EXCLUDED.advert,
    min_price_usd_micros_per_hour = EXCLUDED.min_price_usd_micros_per_hour, available = EXCLUDED.available,
    networks = EXCLUDED.networks, image_digest = EXCLUDED.image_digest, addresses = EXCLUDED.addresses,
    disk_free_bytes = EXCLUDED.disk_free_bytes, registered_at_s = EXCLUDED.registered_at_s,
    seen_at_s = EXCLUDED.seen_at_s, left_at_s = NULL;

-- name: delete_slots
DELETE FROM node_slots WHERE peer_id = %(peer_id)s;

-- name: insert_slot
INSERT INTO node_slots (peer_id, slot, gpu_class, name, vram_bytes)
VALUES (%(peer_id)s, %(slot)s, %(gpu_class)s, %(name)s, %(vram_bytes)s);

-- name: leave
UPDATE nodes SET left_at_s = %(now_s)s, available = false WHERE peer_id = %(peer_id)s;

-- name: flush_beats
UPDATE nodes SET seen_at_s = greatest(nodes.seen_at_s, b.seen_at_s), available = b.available,
    disk_free_bytes = b.disk_free_bytes, cpu_percent = b.cpu_percent, memory_used_bytes = b.memory_used_bytes
FROM unnest(%(peer_ids)s::text[], %(seen)s::double precision[], %(available)s::boolean[], %(disk)s::bigint[],
    %(cpu)s::double precision[], %(memory)s::bigint[])
    AS b (peer_id, seen_at_s, available, disk_free_bytes, cpu_percent, memory_used_bytes)
WHERE nodes.peer_id = b.peer_id AND nodes.left_at_s IS NULL;

-- name: online
-- Nodes heard of since a moment, with their slots and which of these are taken.
SELECT n.peer_id, n.wallet, n.min_price_usd_micros_per_hour, n.available, n.networks, n.image_digest,
    n.disk_free_bytes, coalesce(l.expires_at_s, 0) AS login_expires_at_s,
    s.slots, s.classes, s.vrams,
    coalesce((SELECT array_agg(j.slot) FROM jobs j
        WHERE j.node_peer_id = n.peer_id AND j.state IN ('assigned', 'staging', 'running')), '{}') AS busy
FROM nodes n
LEFT JOIN logins l ON l.peer_id = n.peer_id AND l.role = 'node' AND l.wallet = n.wallet
CROSS JOIN LATERAL (SELECT array_agg(slot ORDER BY slot) AS slots, array_agg(gpu_class ORDER BY slot) AS classes,
    array_agg(vram_bytes ORDER BY slot) AS vrams FROM node_slots s WHERE s.peer_id = n.peer_id) s
WHERE n.left_at_s IS NULL AND n.seen_at_s > %(since_s)s AND s.slots IS NOT NULL
ORDER BY n.peer_id
LIMIT %(limit)s;

-- name: by_peer
SELECT peer_id, wallet, addresses FROM nodes WHERE peer_id = %(peer_id)s;

-- name: listing
SELECT n.peer_id, n.wallet, n.advert, n.available, n.image_digest, n.min_price_usd_micros_per_hour,
    n.disk_free_bytes, n.cpu_percent, n.memory_used_bytes, n.seen_at_s, n.registered_at_s,
    n.left_at_s IS NULL AND n.seen_at_s > %(since_s)s AS online,
    coalesce((SELECT array_agg(s.gpu_class ORDER BY s.slot) FROM node_slots s WHERE s.peer_id = n.peer_id), '{}') AS classes,
    (SELECT count(*) FROM jobs j WHERE j.node_peer_id = n.peer_id
        AND j.state IN ('assigned', 'staging', 'running')) AS jobs
FROM nodes n ORDER BY n.seen_at_s DESC LIMIT %(limit)s;

-- name: offers
SELECT s.gpu_class, count(DISTINCT n.peer_id) AS nodes_online,
    count(DISTINCT n.peer_id) FILTER (WHERE n.available AND n.image_digest <> '' AND NOT EXISTS (
        SELECT FROM jobs j WHERE j.node_peer_id = s.peer_id AND j.slot = s.slot
            AND j.state IN ('assigned', 'staging', 'running'))) AS nodes_free,
    max(s.vram_bytes) AS vram_max_bytes
FROM nodes n JOIN node_slots s USING (peer_id)
WHERE n.left_at_s IS NULL AND n.seen_at_s > %(since_s)s
GROUP BY s.gpu_class;
