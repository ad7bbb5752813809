-- A program without this version takes removed links for existing ones, and a group's members by rule for members by list.
UPDATE schema_compatibility SET oldest = 8;

-- Since when the device is in its state; null where it moved before this version.
ALTER TABLE device ADD COLUMN state_since INTEGER;
-- The primary group by the accepted settings; null if it is not known.
ALTER TABLE device ADD COLUMN primary_group TEXT;

-- Hostnames that devices had. The name of a renamed device leads to it; that of a removed one, without a device, keeps older messages
-- from creating it again. A device that gets such a name deletes the row.
CREATE TABLE former_hostname (
    folded TEXT PRIMARY KEY,
    hostname TEXT NOT NULL,
    device_id INTEGER REFERENCES device ON DELETE SET NULL,
    -- The message that renamed or removed the device.
    version_time TEXT NOT NULL,
    version_id TEXT NOT NULL,
    -- When it was applied, for retention.
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX former_hostname_device ON former_hostname (device_id);

-- Links that were removed stay for a while, so that an older message does not add them again.
ALTER TABLE linknet ADD COLUMN present INTEGER NOT NULL DEFAULT 1;
ALTER TABLE linknet ADD COLUMN removed_at INTEGER;
-- The last message about the link; null if none had a version.
ALTER TABLE linknet ADD COLUMN version_time TEXT;
ALTER TABLE linknet ADD COLUMN version_id TEXT;
-- The last message that added it: of two links at one interface the one that was added later exists.
ALTER TABLE linknet ADD COLUMN added_time TEXT;
ALTER TABLE linknet ADD COLUMN added_id TEXT;
-- For retention.
CREATE INDEX linknet_removed ON linknet (removed_at) WHERE NOT present;

-- What the message says about the cause, as JSON: interfaces, or a commit with the paths that concern devices. Empty for nothing.
ALTER TABLE cause ADD COLUMN detail TEXT NOT NULL DEFAULT '';

-- What happened to a device beside causes: it was created, moved to a state, was renamed, or became synchronized.
CREATE TABLE device_history (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,
    at INTEGER NOT NULL,
    what TEXT NOT NULL,
    source TEXT NOT NULL,
    message_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT,
    note TEXT,
    -- JSON, depending on `what`.
    detail TEXT,
    -- The desired generation afterwards.
    generation INTEGER NOT NULL,
    -- The causes that it closed, oldest first, at most the newest 32: a JSON array of ids.
    causes TEXT NOT NULL DEFAULT '[]'
) STRICT;

CREATE INDEX device_history_device ON device_history (device_id, number);
CREATE INDEX device_history_at ON device_history (at);

-- The rules of `groups.yml` in the accepted settings. A group without a rule has members by list only.
ALTER TABLE device_group ADD COLUMN regex TEXT;
-- The priority, 0 if it is never primary; and the place in the file. Null if the settings do not define the group.
ALTER TABLE device_group ADD COLUMN priority INTEGER;
ALTER TABLE device_group ADD COLUMN position INTEGER;
-- A device is a member by list (an import), by the accepted settings, or by both.
ALTER TABLE group_member ADD COLUMN listed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE group_member ADD COLUMN by_rule INTEGER NOT NULL DEFAULT 0;

-- One row, which grows with each change of the rules of groups; 0 before the first.
CREATE TABLE group_rules (revision INTEGER NOT NULL) STRICT;
INSERT INTO group_rules VALUES (0);

-- The hostnames that the rule of a group lists, whether or not there are such devices.
CREATE TABLE group_rule_device (
    hostname TEXT NOT NULL,
    group_id INTEGER NOT NULL REFERENCES device_group ON DELETE CASCADE,
    PRIMARY KEY (group_id, hostname)
) STRICT, WITHOUT ROWID;
