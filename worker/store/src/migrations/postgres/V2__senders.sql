-- The sender of a message becomes part of what the inbox knows it by: two senders may use the same source and id for different
-- messages. An older program would not find the rows of a newer one, so it refuses to work from here on.
UPDATE inbox SET actor = '' WHERE actor IS NULL;
ALTER TABLE inbox
    ALTER COLUMN actor TYPE text COLLATE "C",
    ALTER COLUMN actor SET DEFAULT '',
    ALTER COLUMN actor SET NOT NULL,
    DROP CONSTRAINT inbox_identity,
    ADD CONSTRAINT inbox_identity PRIMARY KEY (source, id, actor);

DELETE FROM delivery_attempt;
ALTER TABLE delivery_attempt
    ADD COLUMN actor text COLLATE "C" NOT NULL,
    DROP CONSTRAINT delivery_attempt_pkey,
    ADD PRIMARY KEY (source, id, actor, redrive_count);

ALTER TABLE dead_letter DROP CONSTRAINT dead_letter_identity;
CREATE UNIQUE INDEX dead_letter_identity ON dead_letter (source, id, redrive_count, (coalesce(actor, '')));

UPDATE schema_compatibility SET oldest = 2;
