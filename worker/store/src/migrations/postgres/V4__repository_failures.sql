-- Since when the tip is invalid, and what the accepted commit holds that has no effect: lines of text; null if there is nothing.
ALTER TABLE repository
    ADD COLUMN problem_since timestamptz,
    ADD COLUMN warnings text;

-- Repositories that could not be fetched at the last attempt, also those that were never refreshed.
CREATE TABLE repository_failure (
    name text COLLATE "C" PRIMARY KEY,
    reason text NOT NULL,
    -- The first and the last attempt that failed since the last one that did not.
    since timestamptz NOT NULL,
    at timestamptz NOT NULL
);
