-- Who may run what, until when. Rows stay, so that fences only grow.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    -- A new one with each acquisition.
    owner TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE repository (
    name TEXT PRIMARY KEY,
    branch TEXT NOT NULL,
    -- Raised whenever the row is written: who decided on an older row does not write.
    revision INTEGER NOT NULL,
    -- The commit whose flags are set; null before the first.
    accepted TEXT,
    accepted_at INTEGER,
    -- The tip that was looked at last, and why it is not the accepted one.
    seen TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    problem TEXT,
    -- What is in the accepted commit: the output of `git ls-tree -r -z`. Last, so that the rest is read without it.
    listing BLOB
) STRICT;
