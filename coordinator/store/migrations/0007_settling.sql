-- An action that was refused together with others is signed by itself from then on.
ALTER TABLE outbox ADD COLUMN alone boolean NOT NULL DEFAULT false;
