-- Who may use the console, and what they did. The console writes these tables; the state of devices stays with the workers.

-- Tokens that administrators created. Configured tokens are in no table.
CREATE TABLE access_token (
    name text COLLATE "C" PRIMARY KEY,
    -- The person or the service: the actor of its messages.
    person text COLLATE "C" NOT NULL,
    role text NOT NULL,
    -- JSON arrays of texts.
    reads text NOT NULL,
    sources text NOT NULL,
    -- The first characters of the secret, and the SHA-256 of all of it.
    prefix text NOT NULL,
    digest bytea NOT NULL UNIQUE,
    -- The digest of the secret before, which is accepted until this time.
    former_digest bytea UNIQUE,
    former_until timestamptz,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    rotated_at timestamptz,
    revoked_at timestamptz,
    -- Coarse: not written by each request.
    used_at timestamptz
);

-- The roles of a principal, each with the devices and tasks that it is limited to. They stay when the token is revoked: a command may
-- still be on its way.
CREATE TABLE access_binding (
    principal text COLLATE "C" NOT NULL,
    token text COLLATE "C" NOT NULL REFERENCES access_token,
    role text NOT NULL,
    -- JSON arrays of texts; an empty one is no limit.
    device_groups text NOT NULL,
    tasks text NOT NULL,
    PRIMARY KEY (principal, token)
);

-- Sessions of browsers.
CREATE TABLE session (
    -- The SHA-256 of the id in the cookie.
    digest bytea PRIMARY KEY,
    principal text NOT NULL,
    -- The token that the session was begun with: its rights are those of the session. Null after a login by OIDC, which says the role.
    token text,
    role text,
    begun_at timestamptz NOT NULL,
    -- Coarse: not written by each request.
    used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    address text
);

CREATE INDEX session_expires ON session (expires_at);

-- What people did or tried. Rows are added, never changed, and deleted by retention only.
CREATE TABLE audit (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    principal text COLLATE "C",
    token text,
    address text,
    agent text,
    message_source text,
    message_id text,
    message_type text,
    subject text,
    reason text,
    detail text
);

CREATE INDEX audit_principal ON audit (principal, number);
CREATE INDEX audit_kind ON audit (kind, number);
