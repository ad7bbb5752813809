-- What a session may do that began by a login at the identity provider, besides its role: JSON arrays of texts.
ALTER TABLE session ADD COLUMN reads TEXT NOT NULL DEFAULT '[]';
ALTER TABLE session ADD COLUMN device_groups TEXT NOT NULL DEFAULT '[]';
ALTER TABLE session ADD COLUMN tasks TEXT NOT NULL DEFAULT '[]';

CREATE INDEX session_principal ON session (principal);

-- The account of each principal at the identity provider, and what its last login limited it to. Rows stay: a command may still be on its
-- way, and the name is given to no other account.
CREATE TABLE oidc_login (
    principal TEXT NOT NULL PRIMARY KEY,
    issuer TEXT NOT NULL,
    -- Null if an administrator released the name: the next account that comes with it gets it.
    subject TEXT,
    role TEXT NOT NULL,
    -- JSON arrays of texts; an empty one is no limit.
    device_groups TEXT NOT NULL,
    tasks TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    -- When the session of the last login ends at the latest.
    expires_at INTEGER NOT NULL,
    UNIQUE (issuer, subject)
) STRICT, WITHOUT ROWID;

-- The logins that succeeded, so that none is repeated.
CREATE TABLE oidc_state (
    -- The SHA-256 of the state.
    digest BLOB NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX oidc_state_expires ON oidc_state (expires_at);
