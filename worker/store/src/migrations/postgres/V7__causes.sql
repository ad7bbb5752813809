-- A program without this version neither sees causes in the inbox nor broad causes.
UPDATE schema_compatibility SET oldest = 7;

-- The first cause of a message is part of its inbox row; further ones, and those of runs, are rows of `cause`. When the inbox row
-- expires while a device lists its cause as open, the cause moves to `cause`.
ALTER TABLE inbox ADD COLUMN cause_id bigint;
ALTER TABLE inbox ADD COLUMN cause text;
-- The note of the operator who sent the message; empty for none, so that the rows of most messages have no nulls and no bitmap of them.
ALTER TABLE inbox ADD COLUMN note text NOT NULL DEFAULT '';
CREATE UNIQUE INDEX inbox_cause ON inbox (cause_id) WHERE cause_id IS NOT NULL;

-- Causes that concern devices by type or platform: one row, instead of an entry in the list of each device. It is open for the
-- devices that match it and whose `broad_seen` is smaller. Rows are written under a lock of the table of devices that excludes all
-- other writers, so numbers increase with the order of the commits. There are at most 31: the next broad change writes all of them
-- to the devices, and deletes them.
CREATE TABLE broad_cause (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The row of `cause`. Retention may delete it when no device lists it as open.
    cause_id bigint NOT NULL,
    at timestamptz NOT NULL,
    device_types text[] NOT NULL,
    -- All devices on these platforms, whatever their type.
    whole_platforms text[] NOT NULL,
    -- Pairs of a type and a platform: TYPE/PLATFORM.
    type_platforms text[] NOT NULL
);

-- The newest broad cause whose effect on this device is part of its own columns, whether it concerned the device or not.
ALTER TABLE device ADD COLUMN broad_seen bigint NOT NULL DEFAULT 0;

-- A listing is hardly compressible, as it consists of hashes. Compressing it would take a sixth of the time of a change of the whole fleet.
ALTER TABLE repository ALTER COLUMN listing SET STORAGE EXTERNAL;
