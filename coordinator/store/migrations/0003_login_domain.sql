-- Whose name the login's text bears: ours, or that of the loopback page on which a browser wallet signs.
ALTER TABLE challenges ADD COLUMN domain text NOT NULL DEFAULT 'cyxwiz';
