-- Rates to begin with, in USD micros per hour: half of what large clouds ask on demand, or less
-- (2026: H100 from $6.9, A100 80 GB from $4.1, L4 $0.8, T4 $0.53, V100 $3.06; consumer cards by their speed).
-- The operator changes them with `cyxwiz-coordinator rates set`.
INSERT INTO rates (gpu_class, usd_micros_per_hour) VALUES
    ('cpu', 40000),
    ('rtx3060', 100000),
    ('rtx3070', 130000),
    ('rtx3080', 180000),
    ('rtx3090', 250000),
    ('rtx4060', 130000),
    ('rtx4070', 200000),
    ('rtx4080', 300000),
    ('rtx4090', 400000),
    ('rtx5090', 600000),
    ('a4000', 180000),
    ('a5000', 260000),
    ('a6000', 450000),
    ('t4', 150000),
    ('l4', 300000),
    ('l40s', 700000),
    ('v100', 500000),
    ('a10', 350000),
    ('a100', 1200000),
    ('h100', 2000000),
    ('h200', 2600000);

INSERT INTO asset_prices (asset, usd_micros) VALUES ('sol', 150000000);
