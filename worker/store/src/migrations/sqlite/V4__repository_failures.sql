-- Since when the tip is invalid, and what the accepted commit holds that has no effect: lines of text; null if there is nothing. The
-- rows move to a new table, because the listing must stay the last column.
CREATE TABLE repository_new (
    name TEXT PRIMARY KEY,
    branch TEXT NOT NULL,
    -- Increases with each write. A change based on an older revision is refused.
    revision INTEGER NOT NULL,
    -- The accepted commit; null before the first one.
    accepted TEXT,
    accepted_at INTEGER,
    warnings TEXT,
    -- The tip that was fetched last, and why it is not the accepted commit.
    seen TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    problem TEXT,
    problem_since INTEGER,
    -- The tree of the accepted commit: the output of `git ls-tree -r -z`. The last column, so that the others can be read
    -- without it.
    listing BLOB
) STRICT;

INSERT INTO repository_new (name, branch, revision, accepted, accepted_at, seen, seen_at, problem, listing)
    SELECT name, branch, revision, accepted, accepted_at, seen, seen_at, problem, listing FROM repository;
DROP TABLE repository;
ALTER TABLE repository_new RENAME TO repository;

-- Repositories that could not be fetched at the last attempt, also those that were never refreshed.
CREATE TABLE repository_failure (
    name TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    -- The first and the last attempt that failed since the last one that did not.
    since INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
