-- A claim that the buyer disputes: all of it is kept before anything is sent.
ALTER TABLE jobs ADD COLUMN dispute BLOB;               -- why, signed by this engine, encoded
ALTER TABLE jobs ADD COLUMN dispute_transaction BLOB;   -- signed bytes of the Dispute
ALTER TABLE jobs ADD COLUMN dispute_signature TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN dispute_last_valid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN dispute_known INTEGER NOT NULL DEFAULT 0 CHECK (dispute_known IN (0, 1));
