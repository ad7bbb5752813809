-- How many MANAGED devices were synchronized and not synchronized, over time: points of a minute and of an hour.
CREATE TABLE fleet_sample (
    -- The distance of the points: 60 or 3600.
    seconds INTEGER NOT NULL,
    -- The beginning of the minute or of the hour.
    at INTEGER NOT NULL,
    synchronized INTEGER NOT NULL,
    unsynchronized INTEGER NOT NULL,
    PRIMARY KEY (seconds, at)
) STRICT, WITHOUT ROWID;

-- Pages of the entries about one subject.
CREATE INDEX audit_subject ON audit (subject, number);
