-- Who may use the console, and what they did. The console writes these tables; the state of devices stays with the workers.

-- Tokens that administrators created. Configured tokens are in no table.
CREATE TABLE access_token (
    name TEXT NOT NULL PRIMARY KEY,
    -- The person or the service: the actor of its messages.
    person TEXT NOT NULL,
    role TEXT NOT NULL,
    -- JSON arrays of texts.
    reads TEXT NOT NULL,
    sources TEXT NOT NULL,
    -- The first characters of the secret, and the SHA-256 of all of it.
    prefix TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    -- The digest of the secret before, which is accepted until this time.
    former_digest BLOB UNIQUE,
    former_until INTEGER,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    rotated_at INTEGER,
    revoked_at INTEGER,
    -- Coarse: not written by each request.
    used_at INTEGER
) STRICT, WITHOUT ROWID;

-- The roles of a principal, each with the devices and tasks that it is limited to. They stay when the token is revoked: a command may
-- still be on its way.
CREATE TABLE access_binding (
    principal TEXT NOT NULL,
    token TEXT NOT NULL REFERENCES access_token,
    role TEXT NOT NULL,
    -- JSON arrays of texts; an empty one is no limit.
    device_groups TEXT NOT NULL,
    tasks TEXT NOT NULL,
    PRIMARY KEY (principal, token)
) STRICT, WITHOUT ROWID;

-- Sessions of browsers.
CREATE TABLE session (
    -- The SHA-256 of the id in the cookie.
    digest BLOB NOT NULL PRIMARY KEY,
    principal TEXT NOT NULL,
    -- The token that the session was begun with: its rights are those of the session. Null after a login by OIDC, which says the role.
    token TEXT,
    role TEXT,
    begun_at INTEGER NOT NULL,
    -- Coarse: not written by each request.
    used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    address TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX session_expires ON session (expires_at);

-- What people did or tried. Rows are added, never changed, and deleted by retention only.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    principal TEXT,
    token TEXT,
    address TEXT,
    agent TEXT,
    message_source TEXT,
    message_id TEXT,
    message_type TEXT,
    subject TEXT,
    reason TEXT,
    detail TEXT
) STRICT;

CREATE INDEX audit_principal ON audit (principal, number);
CREATE INDEX audit_kind ON audit (kind, number);
