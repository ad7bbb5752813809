-- A program without this version takes removed links for existing ones, and a group's members by rule for members by list.
UPDATE schema_compatibility SET oldest = 8;

-- Since when the device is in its state; null where it moved before this version.
ALTER TABLE device ADD COLUMN state_since timestamptz;
-- The primary group by the accepted settings; null if it is not known.
ALTER TABLE device ADD COLUMN primary_group text COLLATE "C";

-- Hostnames that devices had. The name of a renamed device leads to it; that of a removed one, without a device, keeps older messages
-- from creating it again. A device that gets such a name deletes the row.
CREATE TABLE former_hostname (
    folded text COLLATE "C" PRIMARY KEY,
    hostname text COLLATE "C" NOT NULL,
    device_id bigint REFERENCES device ON DELETE SET NULL,
    -- The message that renamed or removed the device.
    version_time text NOT NULL,
    version_id text NOT NULL,
    -- When it was applied, for retention.
    at timestamptz NOT NULL
);

CREATE INDEX former_hostname_device ON former_hostname (device_id);

-- Links that were removed stay for a while, so that an older message does not add them again.
ALTER TABLE linknet ADD COLUMN present boolean NOT NULL DEFAULT true;
ALTER TABLE linknet ADD COLUMN removed_at timestamptz;
-- The last message about the link; null if none had a version.
ALTER TABLE linknet ADD COLUMN version_time text;
ALTER TABLE linknet ADD COLUMN version_id text;
-- The last message that added it: of two links at one interface the one that was added later exists.
ALTER TABLE linknet ADD COLUMN added_time text;
ALTER TABLE linknet ADD COLUMN added_id text;
-- For retention.
CREATE INDEX linknet_removed ON linknet (removed_at) WHERE NOT present;

-- What the message says about the cause, as JSON: interfaces, or a commit with the paths that concern devices. Empty for nothing, so
-- that most rows of the inbox have no null more.
ALTER TABLE cause ADD COLUMN detail text NOT NULL DEFAULT '';
ALTER TABLE inbox ADD COLUMN detail text NOT NULL DEFAULT '';

-- What happened to a device beside causes: it was created, moved to a state, was renamed, or became synchronized.
CREATE TABLE device_history (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    at timestamptz NOT NULL,
    what text NOT NULL,
    source text NOT NULL,
    message_id text NOT NULL,
    kind text NOT NULL,
    actor text,
    note text,
    -- JSON, depending on `what`.
    detail text,
    -- The desired generation afterwards.
    generation bigint NOT NULL,
    -- The causes that it closed, oldest first; at most the newest 32.
    causes bigint[] NOT NULL DEFAULT '{}'
);

CREATE INDEX device_history_device ON device_history (device_id, number);
CREATE INDEX device_history_at ON device_history USING brin (at) WITH (autosummarize = on);

-- The rules of `groups.yml` in the accepted settings. A group without a rule has members by list only.
ALTER TABLE device_group ADD COLUMN regex text;
-- The priority, 0 if it is never primary; and the place in the file. Null if the settings do not define the group.
ALTER TABLE device_group ADD COLUMN priority integer;
ALTER TABLE device_group ADD COLUMN position integer;
-- A device is a member by list (an import), by the accepted settings, or by both.
ALTER TABLE group_member ADD COLUMN listed boolean NOT NULL DEFAULT true;
ALTER TABLE group_member ADD COLUMN by_rule boolean NOT NULL DEFAULT false;

-- One row, which grows with each change of the rules of groups; 0 before the first. Whoever creates or renames a device locks the table
-- in the mode SHARE, whoever changes the rules in the mode EXCLUSIVE.
CREATE TABLE group_rules (revision bigint NOT NULL);
INSERT INTO group_rules VALUES (0);

-- The hostnames that the rule of a group lists, whether or not there are such devices.
CREATE TABLE group_rule_device (
    hostname text COLLATE "C" NOT NULL,
    group_id bigint NOT NULL REFERENCES device_group ON DELETE CASCADE,
    PRIMARY KEY (group_id, hostname)
);
