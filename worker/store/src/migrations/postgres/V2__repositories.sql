-- Who may run what, until when. Rows stay, so that fences only grow.
CREATE TABLE lease (
    name text COLLATE "C" PRIMARY KEY,
    -- A new one with each acquisition.
    owner text NOT NULL,
    fence bigint NOT NULL,
    until timestamptz NOT NULL
);

CREATE TABLE repository (
    name text COLLATE "C" PRIMARY KEY,
    branch text NOT NULL,
    -- Raised whenever the row is written: who decided on an older row does not write.
    revision bigint NOT NULL,
    -- The commit whose flags are set; null before the first.
    accepted text,
    accepted_at timestamptz,
    -- What is in it: the output of `git ls-tree -r -z`. Out of line, so that the row is read without it.
    listing bytea,
    -- The tip that was looked at last, and why it is not the accepted one.
    seen text NOT NULL,
    seen_at timestamptz NOT NULL,
    problem text
);
