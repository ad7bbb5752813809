-- Who approved plans, which are executions, and until when that counts: by each sender at most one of a plan.
CREATE TABLE plan_approval (
    plan bigint NOT NULL REFERENCES execution ON DELETE CASCADE,
    actor text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    note text,
    PRIMARY KEY (plan, actor)
);

-- The trace that a message belongs to: 32 hexadecimal digits. Null if its sender gave none, and for messages from before this version.
ALTER TABLE inbox ADD COLUMN trace_id text;

-- Which causes a message gave to devices.
CREATE INDEX cause_message ON cause (message_id, source);
