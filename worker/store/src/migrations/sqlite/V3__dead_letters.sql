-- Programs made for at least this version of the schema may work on it. A migration that only adds leaves it as it is, so
-- that programs of two versions may take turns.
CREATE TABLE schema_compatibility (
    oldest INTEGER NOT NULL
) STRICT;

INSERT INTO schema_compatibility (oldest) VALUES (3);

-- How often the message was requeued as a dead letter.
ALTER TABLE inbox ADD COLUMN redrive_count INTEGER NOT NULL DEFAULT 0;

-- For retention.
CREATE INDEX inbox_at ON inbox (at);
CREATE INDEX cause_at ON cause (at);

-- How often the work on a redelivered message began without an end: what kills its worker is found by this.
CREATE TABLE delivery_attempt (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    redrive_count INTEGER NOT NULL,
    starts INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (source, id, redrive_count)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letter (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    -- As the inbox knows the message.
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
    died_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    -- What stood beside the body, as JSON.
    properties TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('dead', 'requeued', 'processed', 'dropped')),
    -- When, by whom and by which command it was requeued or dropped.
    settled_at INTEGER,
    settled_by TEXT,
    request_source TEXT,
    request_id TEXT,
    UNIQUE (source, id, redrive_count),
    CHECK ((request_source IS NULL) = (request_id IS NULL))
) STRICT;

CREATE INDEX dead_letter_dead ON dead_letter (number) WHERE state = 'dead';
CREATE INDEX dead_letter_requeued ON dead_letter (number) WHERE state = 'requeued';
CREATE INDEX dead_letter_request ON dead_letter (request_source, request_id, number) WHERE request_id IS NOT NULL;
