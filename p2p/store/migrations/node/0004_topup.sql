-- How long the attempt may run, once its buyer has paid for more than it was assigned with.
ALTER TABLE jobs ADD COLUMN timeout_s INTEGER CHECK (timeout_s > 0);
