-- A program without this version begins syncs without what binds their elements.
UPDATE schema_compatibility SET oldest = 9;

-- The SHA-256 of the running configuration when the device was last synchronized or accepted, in hexadecimal digits.
ALTER TABLE device ADD COLUMN configuration_hash TEXT;
-- When the device was last compared with its intended configuration.
ALTER TABLE device ADD COLUMN checked_at INTEGER;
-- What the inventory says beside the columns: a JSON object, which templates read.
ALTER TABLE device ADD COLUMN data TEXT;

-- Few devices: configurations are rendered with all of them.
CREATE INDEX device_core ON device (hostname) WHERE device_type = 'CORE';

-- When a worker last asked the remote of the repository for its tip, and got an answer.
ALTER TABLE repository ADD COLUMN asked_at INTEGER;

-- The addresses of both ends of a link, each with the length of its prefix.
ALTER TABLE linknet ADD COLUMN one_address TEXT;
ALTER TABLE linknet ADD COLUMN other_address TEXT;
-- The version of the message that set them. One that says no addresses leaves both.
ALTER TABLE linknet ADD COLUMN addressed_time TEXT;
ALTER TABLE linknet ADD COLUMN addressed_id TEXT;

-- Management domains by the numbers of their owner. A removed one stays for a while, so that an older message does not add it again.
CREATE TABLE management_domain (
    id INTEGER PRIMARY KEY,
    one_id INTEGER REFERENCES device ON DELETE CASCADE,
    other_id INTEGER REFERENCES device ON DELETE CASCADE,
    one_address TEXT,
    other_address TEXT,
    ipv4_gateway TEXT,
    ipv6_gateway TEXT,
    vlan INTEGER,
    description TEXT,
    esi_mac TEXT,
    present INTEGER NOT NULL,
    removed_at INTEGER,
    version_time TEXT,
    version_id TEXT,
    CHECK (NOT present OR (one_id IS NOT NULL AND other_id IS NOT NULL))
) STRICT;

CREATE INDEX management_domain_one ON management_domain (one_id);
CREATE INDEX management_domain_other ON management_domain (other_id);
CREATE INDEX management_domain_removed ON management_domain (removed_at) WHERE NOT present;

-- What each element of a sync is bound to, and what it found. No reference to the element, as elements have none to executions.
CREATE TABLE sync_element (
    element INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL,
    device_id INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    settings_commit TEXT,
    templates_commit TEXT,
    -- The keyed hash of the difference that was approved.
    approved TEXT,
    -- The element whose previous configuration is restored.
    restores INTEGER,
    -- What it found: the difference as the device shows it, without secrets, its keyed hash and its score.
    diff TEXT,
    masked TEXT,
    hash TEXT,
    score REAL,
    rendered TEXT,
    -- The running configuration before the push.
    previous TEXT
) STRICT;

CREATE INDEX sync_element_execution ON sync_element (execution, element);
-- Where texts are to be removed.
CREATE INDEX sync_element_texts ON sync_element (element) WHERE diff IS NOT NULL OR rendered IS NOT NULL OR previous IS NOT NULL;

-- What a run is about to do on a device, from before its commit until its end.
CREATE TABLE sync_intent (
    device_id INTEGER PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    element INTEGER NOT NULL,
    session TEXT NOT NULL,
    generation INTEGER NOT NULL,
    configuration_hash TEXT,
    at INTEGER NOT NULL
) STRICT;

-- One row, made at the first use: the key of the hashes of differences, so that who reads a hash cannot guess at secrets.
CREATE TABLE sync_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    key BLOB NOT NULL
) STRICT;

-- Elements that are parked: when they run again, and when they are skipped instead.
ALTER TABLE element ADD COLUMN resume_at INTEGER;
ALTER TABLE element ADD COLUMN expires_at INTEGER;
CREATE INDEX element_parked ON element (resume_at) WHERE resume_at IS NOT NULL;
CREATE INDEX element_parked_of ON element (execution) WHERE resume_at IS NOT NULL;
