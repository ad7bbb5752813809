-- Texts are compared and ordered by bytes, as in the program, whatever the locale of the database.

CREATE TABLE device (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hostname text COLLATE "C" NOT NULL CONSTRAINT device_hostname UNIQUE,
    device_type text NOT NULL,
    platform text,
    management_ip inet,
    mac text COLLATE "C",
    serial text COLLATE "C",
    vendor text,
    model text,
    os_version text,
    state text NOT NULL,
    note text,
    until timestamptz,
    -- RFC 3339 to the nanosecond, which timestamptz cannot hold: the program compares versions exactly.
    version_time text,
    version_id text,
    desired_generation bigint NOT NULL,
    synced_generation bigint NOT NULL,
    unsynchronized_since timestamptz,
    -- The newest 32 rows of `cause` since the device was synchronized last, oldest first.
    open_causes bigint[] NOT NULL DEFAULT '{}',
    CONSTRAINT device_generations CHECK (0 <= synced_generation AND synced_generation <= desired_generation),
    CONSTRAINT device_version CHECK ((version_time IS NULL) = (version_id IS NULL))
)
-- Every event updates the generations. No index contains them, so with free space on the page the update is heap-only.
WITH (fillfactor = 50);

-- Partial, so that they are no keys for references: an update does not wait for inserts of rows that refer to the device.
CREATE UNIQUE INDEX device_mac ON device (mac) WHERE mac IS NOT NULL;
CREATE UNIQUE INDEX device_serial ON device (serial) WHERE serial IS NOT NULL;

CREATE TABLE interface (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    -- JSON as text: jsonb supports neither NUL nor numbers beyond numeric.
    configuration text,
    CONSTRAINT interface_name UNIQUE (device_id, name)
);

CREATE TABLE device_group (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT device_group_name UNIQUE,
    -- Null if unknown.
    location boolean
);

CREATE TABLE group_member (
    device_id bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    group_id bigint NOT NULL REFERENCES device_group ON DELETE CASCADE,
    PRIMARY KEY (device_id, group_id)
);

CREATE INDEX group_member_group ON group_member (group_id);

CREATE TABLE client (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mac text COLLATE "C" NOT NULL CONSTRAINT client_mac UNIQUE,
    name text,
    ip inet,
    interface_id bigint REFERENCES interface ON DELETE SET NULL,
    group_id bigint REFERENCES device_group ON DELETE SET NULL
);

CREATE INDEX client_interface ON client (interface_id);
CREATE INDEX client_group ON client (group_id);

-- The end with the smaller interface id first, which no renaming changes: a link and its mirror image are one row.
CREATE TABLE linknet (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    one_id bigint NOT NULL REFERENCES interface ON DELETE CASCADE,
    other_id bigint NOT NULL REFERENCES interface ON DELETE CASCADE,
    CONSTRAINT linknet_ends UNIQUE (one_id, other_id),
    CONSTRAINT linknet_order CHECK (one_id < other_id)
);

CREATE INDEX linknet_other ON linknet (other_id);

-- Workers reserve ids in blocks of 1,000, so that a cause has its id before it is written.
CREATE SEQUENCE cause_block INCREMENT BY 1000;

CREATE TABLE cause (
    id bigint PRIMARY KEY,
    cause text NOT NULL,
    source text NOT NULL,
    message_id text NOT NULL,
    kind text NOT NULL,
    actor text,
    at timestamptz NOT NULL
);

CREATE TABLE inbox (
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    digest bytea NOT NULL,
    state text NOT NULL CONSTRAINT inbox_state CHECK (state IN ('applied', 'dead')),
    at timestamptz NOT NULL,
    actor text,
    subject text,
    result_type text NOT NULL,
    -- JSON as text, so that it is published again unchanged.
    result text NOT NULL,
    -- How often the dead letter of the message was requeued.
    redrive_count integer NOT NULL DEFAULT 0,
    -- Whether it caused follow-ups.
    follow_ups boolean NOT NULL DEFAULT false,
    CONSTRAINT inbox_identity PRIMARY KEY (source, id)
);

-- Exclusive rights with an expiry. Rows are never deleted, so that fences only increase.
CREATE TABLE lease (
    name text COLLATE "C" PRIMARY KEY,
    -- Identifies the acquisition.
    owner text NOT NULL,
    fence bigint NOT NULL,
    until timestamptz NOT NULL
);

CREATE TABLE repository (
    name text COLLATE "C" PRIMARY KEY,
    branch text NOT NULL,
    -- Increases with each write. A change based on an older revision is refused.
    revision bigint NOT NULL,
    -- The accepted commit; null before the first one.
    accepted text,
    accepted_at timestamptz,
    -- Its tree: the output of `git ls-tree -r -z`. Stored out of line, so that the row can be read without it.
    listing bytea,
    -- The tip that was fetched last, and why it is not the accepted commit.
    seen text NOT NULL,
    seen_at timestamptz NOT NULL,
    problem text
);

-- For retention. Rows are inserted nearly in order of time, so these indexes hardly slow down inserts.
CREATE INDEX inbox_at ON inbox USING brin (at) WITH (autosummarize = on);
CREATE INDEX cause_at ON cause USING brin (at) WITH (autosummarize = on);

-- How many delivery attempts at a redelivered message began and did not end. This detects poison messages.
CREATE TABLE delivery_attempt (
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    redrive_count integer NOT NULL,
    attempts integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (source, id, redrive_count)
);

CREATE TABLE dead_letter (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The identity of the message in the inbox.
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    redrive_count integer NOT NULL,
    lane text NOT NULL,
    kind text NOT NULL,
    subject text,
    actor text,
    code text NOT NULL,
    reason text NOT NULL,
    place text,
    attempts integer NOT NULL,
    first_at timestamptz NOT NULL,
    dead_lettered_at timestamptz NOT NULL,
    body bytea NOT NULL,
    -- The AMQP properties that are kept, as JSON.
    properties text NOT NULL,
    state text NOT NULL CONSTRAINT dead_letter_state CHECK (state IN ('dead', 'requeued', 'processed', 'dropped')),
    -- When, by which actor and by which command it was requeued or dropped.
    settled_at timestamptz,
    settled_by text,
    request_source text COLLATE "C",
    request_id text COLLATE "C",
    -- For a requeued one: when a copy is published again, and how many copies the broker confirmed.
    due_at timestamptz,
    published integer NOT NULL DEFAULT 0,
    CONSTRAINT dead_letter_identity UNIQUE (source, id, redrive_count),
    CONSTRAINT dead_letter_request CHECK (due_at IS NULL OR state = 'requeued'),
    CHECK ((request_source IS NULL) = (request_id IS NULL))
);

CREATE INDEX dead_letter_state ON dead_letter (state, number);
CREATE INDEX dead_letter_due ON dead_letter (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX dead_letter_request ON dead_letter (request_source, request_id, number) WHERE request_id IS NOT NULL;

-- The outbox: messages that other messages caused. A row is deleted when its message is processed; the row of a result, when
-- the broker confirmed it.
CREATE TABLE follow_up (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    -- The message that caused it.
    cause_source text COLLATE "C" NOT NULL,
    cause_id text COLLATE "C" NOT NULL,
    -- Null for a result.
    lane text,
    kind text NOT NULL,
    body bytea NOT NULL,
    reply_to text,
    correlation_id text,
    actor text,
    -- While this lease is held, the message is being processed and is not published again.
    lease text COLLATE "C",
    at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    -- Whether the first publication waits until `due_at`.
    delayed boolean NOT NULL,
    -- How often the broker confirmed it.
    published integer NOT NULL DEFAULT 0,
    CONSTRAINT follow_up_identity UNIQUE (source, id)
);

CREATE INDEX follow_up_due ON follow_up (due_at);
CREATE INDEX follow_up_cause ON follow_up (cause_source, cause_id, number);

-- Programs made for at least this version of the schema may use it. A migration that only adds leaves it as it is, so
-- that workers of two versions run side by side.
CREATE TABLE schema_compatibility (
    oldest integer NOT NULL
);

INSERT INTO schema_compatibility (oldest) VALUES (1);
