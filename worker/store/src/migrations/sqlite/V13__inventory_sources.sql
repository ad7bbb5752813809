-- How far the change logs of NetBox and Nautobot were read, for each configured source.
CREATE TABLE inventory_source (
    name TEXT NOT NULL PRIMARY KEY,
    -- Nothing before this time is read, and everything until the other one was read; null before the first poll that succeeded.
    begins INTEGER,
    read_until INTEGER,
    succeeded_at INTEGER,
    -- Why the last poll failed, and the first and the last one that failed since the last one that did not; null if it did not fail.
    error TEXT,
    error_since INTEGER,
    error_at INTEGER
) STRICT, WITHOUT ROWID;
