-- name: all
SELECT gpu_class, usd_micros_per_hour, set_at_s FROM rates ORDER BY usd_micros_per_hour, gpu_class;

-- name: sol
SELECT usd_micros, set_at_s FROM asset_prices WHERE asset = 'sol';

-- name: put
INSERT INTO rates (gpu_class, usd_micros_per_hour, set_at_s) VALUES (%(gpu_class)s, %(usd_micros)s, %(now_s)s)
ON CONFLICT (gpu_class) DO UPDATE SET usd_micros_per_hour = EXCLUDED.usd_micros_per_hour, set_at_s = EXCLUDED.set_at_s;

-- name: put_sol
INSERT INTO asset_prices (asset, usd_micros, set_at_s) VALUES ('sol', %(usd_micros)s, %(now_s)s)
ON CONFLICT (asset) DO UPDATE SET usd_micros = EXCLUDED.usd_micros, set_at_s = EXCLUDED.set_at_s;

-- name: put_seen
INSERT INTO sol_price_seen (source, usd_micros, confidence_usd_micros, age_s, fault, seen_at_s)
VALUES (%(source)s, %(usd_micros)s, %(confidence_usd_micros)s, %(age_s)s, %(fault)s, %(now_s)s)
ON CONFLICT (only_row) DO UPDATE SET source = EXCLUDED.source, usd_micros = EXCLUDED.usd_micros,
    confidence_usd_micros = EXCLUDED.confidence_usd_micros, age_s = EXCLUDED.age_s, fault = EXCLUDED.fault,
    seen_at_s = EXCLUDED.seen_at_s;

-- name: seen
SELECT source, usd_micros, confidence_usd_micros, age_s, fault, seen_at_s FROM sol_price_seen;
