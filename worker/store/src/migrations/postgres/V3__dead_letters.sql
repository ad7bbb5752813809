-- Programs made for at least this version of the schema may work on it. A migration that only adds leaves it as it is, so
-- that workers of two versions run side by side.
CREATE TABLE schema_compatibility (
    oldest integer NOT NULL
);

INSERT INTO schema_compatibility (oldest) VALUES (3);

-- How often the message was requeued as a dead letter.
ALTER TABLE inbox ADD COLUMN redrive_count integer NOT NULL DEFAULT 0;

-- For retention. Rows come nearly in order of time, so this costs the inserts next to nothing.
CREATE INDEX inbox_at ON inbox USING brin (at) WITH (autosummarize = on);
CREATE INDEX cause_at ON cause USING brin (at) WITH (autosummarize = on);

-- How often the work on a redelivered message began without an end: what kills its worker is found by this.
CREATE TABLE delivery_attempt (
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    redrive_count integer NOT NULL,
    starts integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (source, id, redrive_count)
);

CREATE TABLE dead_letter (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- As the inbox knows the message.
    source text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    redrive_count integer NOT NULL,
    lane text NOT NULL,
    kind text NOT NULL,
    subject text,
    actor text,
    code text NOT NULL,
    reason text NOT NULL,
    place text,
    attempts integer NOT NULL,
    first_at timestamptz NOT NULL,
    died_at timestamptz NOT NULL,
    body bytea NOT NULL,
    -- What stood beside the body, as JSON.
    properties text NOT NULL,
    state text NOT NULL CONSTRAINT dead_letter_state CHECK (state IN ('dead', 'requeued', 'processed', 'dropped')),
    -- When, by whom and by which command it was requeued or dropped.
    settled_at timestamptz,
    settled_by text,
    request_source text COLLATE "C",
    request_id text COLLATE "C",
    CONSTRAINT dead_letter_identity UNIQUE (source, id, redrive_count),
    CONSTRAINT dead_letter_request CHECK ((request_source IS NULL) = (request_id IS NULL))
);

CREATE INDEX dead_letter_dead ON dead_letter (number) WHERE state = 'dead';
CREATE INDEX dead_letter_requeued ON dead_letter (number) WHERE state = 'requeued';
CREATE INDEX dead_letter_request ON dead_letter (request_source, request_id, number) WHERE request_id IS NOT NULL;
