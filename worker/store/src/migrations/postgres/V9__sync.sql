-- A program without this version begins syncs without what binds their elements.
UPDATE schema_compatibility SET oldest = 9;

-- The SHA-256 of the running configuration when the device was last synchronized or accepted, in hexadecimal digits.
ALTER TABLE device ADD COLUMN configuration_hash text;
-- When the device was last compared with its intended configuration.
ALTER TABLE device ADD COLUMN checked_at timestamptz;
-- What the inventory says beside the columns: a JSON object, which templates read.
ALTER TABLE device ADD COLUMN data text;

-- Few devices: configurations are rendered with all of them.
CREATE INDEX device_core ON device (hostname) WHERE device_type = 'CORE';

-- When a worker last asked the remote of the repository for its tip, and got an answer.
ALTER TABLE repository ADD COLUMN asked_at timestamptz;

-- The addresses of both ends of a link, each with the length of its prefix.
ALTER TABLE linknet ADD COLUMN one_address text;
ALTER TABLE linknet ADD COLUMN other_address text;
-- The version of the message that set them. One that says no addresses leaves both.
ALTER TABLE linknet ADD COLUMN addressed_time text;
ALTER TABLE linknet ADD COLUMN addressed_id text;

-- Management domains by the numbers of their owner. A removed one stays for a while, so that an older message does not add it again.
CREATE TABLE management_domain (
    id bigint PRIMARY KEY,
    one_id bigint REFERENCES device ON DELETE CASCADE,
    other_id bigint REFERENCES device ON DELETE CASCADE,
    one_address text,
    other_address text,
    ipv4_gateway text,
    ipv6_gateway text,
    vlan integer,
    description text,
    esi_mac text,
    present boolean NOT NULL,
    removed_at timestamptz,
    version_time text,
    version_id text,
    CHECK (NOT present OR (one_id IS NOT NULL AND other_id IS NOT NULL))
);

CREATE INDEX management_domain_one ON management_domain (one_id);
CREATE INDEX management_domain_other ON management_domain (other_id);
CREATE INDEX management_domain_removed ON management_domain (removed_at) WHERE NOT present;

-- What each element of a sync is bound to, and what it found. No reference to the element, as elements have none to executions.
CREATE TABLE sync_element (
    element bigint PRIMARY KEY,
    execution bigint NOT NULL,
    device_id bigint NOT NULL,
    generation bigint NOT NULL,
    settings_commit text,
    templates_commit text,
    -- The keyed hash of the difference that was approved.
    approved text,
    -- The element whose previous configuration is restored.
    restores bigint,
    -- What it found: the difference as the device shows it, without secrets, its keyed hash and its score.
    diff text,
    masked text,
    hash text,
    score double precision,
    rendered text,
    -- The running configuration before the push.
    previous text
);

CREATE INDEX sync_element_execution ON sync_element (execution, element);
-- Where texts are to be removed.
CREATE INDEX sync_element_texts ON sync_element (element) WHERE diff IS NOT NULL OR rendered IS NOT NULL OR previous IS NOT NULL;

-- What a run is about to do on a device, from before its commit until its end.
CREATE TABLE sync_intent (
    device_id bigint PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    element bigint NOT NULL,
    session text NOT NULL,
    generation bigint NOT NULL,
    configuration_hash text,
    at timestamptz NOT NULL
);

-- One row, made at the first use: the key of the hashes of differences, so that who reads a hash cannot guess at secrets.
CREATE TABLE sync_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key bytea NOT NULL
);

-- Elements that are parked: when they run again, and when they are skipped instead.
ALTER TABLE element ADD COLUMN resume_at timestamptz;
ALTER TABLE element ADD COLUMN expires_at timestamptz;
CREATE INDEX element_parked ON element (resume_at) WHERE resume_at IS NOT NULL;
CREATE INDEX element_parked_of ON element (execution) WHERE resume_at IS NOT NULL;
