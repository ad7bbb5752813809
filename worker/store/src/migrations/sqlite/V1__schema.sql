-- Times are microseconds since 1970. Texts are compared by bytes.

CREATE TABLE device (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hostname TEXT NOT NULL UNIQUE,
    device_type TEXT NOT NULL,
    platform TEXT,
    management_ip TEXT,
    mac TEXT UNIQUE,
    serial TEXT UNIQUE,
    vendor TEXT,
    model TEXT,
    os_version TEXT,
    state TEXT NOT NULL,
    note TEXT,
    until INTEGER,
    -- RFC 3339 to the nanosecond: the program compares versions exactly.
    version_time TEXT,
    version_id TEXT,
    desired_generation INTEGER NOT NULL DEFAULT 1,
    synced_generation INTEGER NOT NULL DEFAULT 1,
    unsynchronized_since INTEGER,
    -- The newest 32 rows of `cause` since the device was synchronized last, oldest first: a JSON array of ids.
    open_causes TEXT NOT NULL DEFAULT '[]',
    CHECK (0 <= synced_generation AND synced_generation <= desired_generation),
    CHECK ((version_time IS NULL) = (version_id IS NULL))
) STRICT;

CREATE TABLE interface (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
    name TEXT NOT NULL,
    configuration TEXT,
    UNIQUE (device_id, name)
) STRICT;

CREATE TABLE device_group (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    -- Null if unknown.
    location INTEGER
) STRICT;

CREATE TABLE group_member (
    device_id INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES device_group ON DELETE CASCADE,
    PRIMARY KEY (device_id, group_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX group_member_group ON group_member (group_id);

CREATE TABLE client (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mac TEXT NOT NULL UNIQUE,
    name TEXT,
    ip TEXT,
    interface_id INTEGER REFERENCES interface ON DELETE SET NULL,
    group_id INTEGER REFERENCES device_group ON DELETE SET NULL
) STRICT;

CREATE INDEX client_interface ON client (interface_id);
CREATE INDEX client_group ON client (group_id);

-- The end with the smaller interface id first, which no renaming changes: a link and its mirror image are one row.
CREATE TABLE linknet (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    one_id INTEGER NOT NULL REFERENCES interface ON DELETE CASCADE,
    other_id INTEGER NOT NULL REFERENCES interface ON DELETE CASCADE,
    UNIQUE (one_id, other_id),
    CHECK (one_id < other_id)
) STRICT;

CREATE INDEX linknet_other ON linknet (other_id);

CREATE TABLE cause (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cause TEXT NOT NULL,
    source TEXT NOT NULL,
    message_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE inbox (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('applied', 'dead')),
    at INTEGER NOT NULL,
    actor TEXT,
    subject TEXT,
    result_type TEXT NOT NULL,
    result TEXT NOT NULL,
    -- How often the dead letter of the message was requeued.
    redrive_count INTEGER NOT NULL DEFAULT 0,
    -- Whether it caused follow-ups.
    follow_ups INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

-- Exclusive rights with an expiry. Rows are never deleted, so that fences only increase.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    -- Identifies the acquisition.
    owner TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE repository (
    name TEXT PRIMARY KEY,
    branch TEXT NOT NULL,
    -- Increases with each write. A change based on an older revision is refused.
    revision INTEGER NOT NULL,
    -- The accepted commit; null before the first one.
    accepted TEXT,
    accepted_at INTEGER,
    -- The tip that was fetched last, and why it is not the accepted commit.
    seen TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    problem TEXT,
    -- The tree of the accepted commit: the output of `git ls-tree -r -z`. The last column, so that the others can be read
    -- without it.
    listing BLOB
) STRICT;

-- For retention.
CREATE INDEX inbox_at ON inbox (at);
CREATE INDEX cause_at ON cause (at);

-- How many delivery attempts at a redelivered message began and did not end. This detects poison messages.
CREATE TABLE delivery_attempt (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    redrive_count INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (source, id, redrive_count)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letter (
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
    UNIQUE (source, id, redrive_count),
    CHECK (due_at IS NULL OR state = 'requeued'),
    CHECK ((request_source IS NULL) = (request_id IS NULL))
) STRICT;

CREATE INDEX dead_letter_state ON dead_letter (state, number);
CREATE INDEX dead_letter_due ON dead_letter (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX dead_letter_request ON dead_letter (request_source, request_id, number) WHERE request_id IS NOT NULL;

-- The outbox: messages that other messages caused. A row is deleted when its message is processed; the row of a result, when
-- the broker confirmed it.
CREATE TABLE follow_up (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    -- The message that caused it.
    cause_source TEXT NOT NULL,
    cause_id TEXT NOT NULL,
    -- Null for a result.
    lane TEXT,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    reply_to TEXT,
    correlation_id TEXT,
    actor TEXT,
    -- While this lease is held, the message is being processed and is not published again.
    lease TEXT,
    at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    -- Whether the first publication waits until `due_at`.
    delayed INTEGER NOT NULL,
    -- How often the broker confirmed it.
    published INTEGER NOT NULL DEFAULT 0,
    UNIQUE (source, id)
) STRICT;

CREATE INDEX follow_up_due ON follow_up (due_at);
CREATE INDEX follow_up_cause ON follow_up (cause_source, cause_id, number);

-- Programs made for at least this version of the schema may use it. A migration that only adds leaves it as it is, so
-- that programs of two versions may take turns.
CREATE TABLE schema_compatibility (
    oldest INTEGER NOT NULL
) STRICT;

INSERT INTO schema_compatibility (oldest) VALUES (1);
