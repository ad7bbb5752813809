-- The sender of a message becomes part of what the inbox knows it by: two senders may use the same source and id for different
-- messages. An older program would not find the rows of a newer one, so it refuses to work from here on. SQLite cannot change
-- the key of a table, so the rows move to new tables.
CREATE TABLE inbox_new (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('applied', 'dead')),
    at INTEGER NOT NULL,
    -- The authenticated sender; empty if the broker validated none.
    actor TEXT NOT NULL DEFAULT '',
    subject TEXT,
    result_type TEXT NOT NULL,
    result TEXT NOT NULL,
    -- How often the dead letter of the message was requeued.
    redrive_count INTEGER NOT NULL DEFAULT 0,
    -- Whether it caused follow-ups.
    follow_ups INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source, id, actor)
) STRICT, WITHOUT ROWID;

INSERT INTO inbox_new
    SELECT source, id, kind, digest, state, at, coalesce(actor, ''), subject, result_type, result, redrive_count, follow_ups
    FROM inbox;
DROP TABLE inbox;
ALTER TABLE inbox_new RENAME TO inbox;
CREATE INDEX inbox_at ON inbox (at);

DROP TABLE delivery_attempt;
CREATE TABLE delivery_attempt (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    actor TEXT NOT NULL,
    redrive_count INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (source, id, actor, redrive_count)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letter_new (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The identity of the message in the inbox.
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    redrive_count INTEGER NOT NULL,
    lane TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT,
    actor TEXT,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    place TEXT,
    attempts INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    dead_lettered_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    -- The AMQP properties that are kept, as JSON.
    properties TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('dead', 'requeued', 'processed', 'dropped')),
    -- When, by which actor and by which command it was requeued or dropped.
    settled_at INTEGER,
    settled_by TEXT,
    request_source TEXT,
    request_id TEXT,
    -- For a requeued one: when a copy is published again, and how many copies the broker confirmed.
    due_at INTEGER,
    published INTEGER NOT NULL DEFAULT 0,
    CHECK (due_at IS NULL OR state = 'requeued'),
    CHECK ((request_source IS NULL) = (request_id IS NULL))
) STRICT;

INSERT INTO dead_letter_new SELECT * FROM dead_letter;
-- Numbers of deleted rows are not used again.
DELETE FROM sqlite_sequence WHERE name = 'dead_letter_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'dead_letter_new', seq FROM sqlite_sequence WHERE name = 'dead_letter';
DROP TABLE dead_letter;
ALTER TABLE dead_letter_new RENAME TO dead_letter;
CREATE UNIQUE INDEX dead_letter_identity ON dead_letter (source, id, redrive_count, (coalesce(actor, '')));
CREATE INDEX dead_letter_state ON dead_letter (state, number);
CREATE INDEX dead_letter_due ON dead_letter (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX dead_letter_request ON dead_letter (request_source, request_id, number) WHERE request_id IS NOT NULL;

UPDATE schema_compatibility SET oldest = 2;
