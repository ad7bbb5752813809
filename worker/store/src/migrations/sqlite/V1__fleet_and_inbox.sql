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
    -- RFC 3339 to the nanosecond: the program compares stamps exactly.
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
    -- Null: nobody said.
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
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;
