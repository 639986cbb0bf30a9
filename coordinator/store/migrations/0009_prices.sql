-- What a running coordinator last saw of the price of SOL, for those who look; no quote is made from it.
CREATE TABLE sol_price_seen (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    source text NOT NULL CHECK (source IN ('admin', 'pyth')),
    usd_micros bigint CHECK (usd_micros > 0),
    confidence_usd_micros bigint CHECK (confidence_usd_micros >= 0),
    age_s double precision,
    fault text NOT NULL,
    seen_at_s double precision NOT NULL
);
