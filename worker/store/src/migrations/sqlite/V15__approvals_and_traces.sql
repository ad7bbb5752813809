-- Who approved plans, which are executions, and until when that counts: by each sender at most one of a plan.
CREATE TABLE plan_approval (
    plan INTEGER NOT NULL REFERENCES execution ON DELETE CASCADE,
    actor TEXT NOT NULL,
    at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    note TEXT,
    PRIMARY KEY (plan, actor)
) STRICT, WITHOUT ROWID;

-- The trace that a message belongs to: 32 hexadecimal digits. Null if its sender gave none, and for messages from before this version.
ALTER TABLE inbox ADD COLUMN trace_id TEXT;

-- Which causes a message gave to devices.
CREATE INDEX cause_message ON cause (message_id, source);
