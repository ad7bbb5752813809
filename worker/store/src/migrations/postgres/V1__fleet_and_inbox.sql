-- Texts that are compared or ordered are compared by bytes, as the program does, whatever the database's locale.

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
    -- RFC 3339 to the nanosecond, which timestamptz cannot hold: the program compares stamps exactly.
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
-- Every event updates the counters. No index has them, and with room on the page that is a heap-only update.
WITH (fillfactor = 50);

-- Partial, so that setting them is no update of a key: it does not wait for those that refer to the device.
CREATE UNIQUE INDEX device_mac ON device (mac) WHERE mac IS NOT NULL;
CREATE UNIQUE INDEX device_serial ON device (serial) WHERE serial IS NOT NULL;

CREATE TABLE interface (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    -- JSON as text: jsonb knows no NUL and no number beyond numeric.
    configuration text,
    CONSTRAINT interface_name UNIQUE (device_id, name)
);

CREATE TABLE device_group (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT device_group_name UNIQUE,
    -- Null: nobody said.
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

-- Workers take ids in blocks of 1,000, so that a cause has its id before it is written.
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
    -- JSON as text: published again as it is.
    result text NOT NULL,
    CONSTRAINT inbox_identity PRIMARY KEY (source, id)
);
