CREATE TABLE task (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    provider TEXT NOT NULL,
    -- JSON, here and below.
    arguments TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    saved_by TEXT
) STRICT;

CREATE TABLE schedule (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    cron TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    -- The body of the message that it sends, as JSON.
    request TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    next_at INTEGER,
    last_at INTEGER,
    saved_at INTEGER NOT NULL,
    saved_by TEXT
) STRICT;

CREATE INDEX schedule_next ON schedule (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE execution (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    -- The task, as it was when it was requested.
    task_number INTEGER NOT NULL,
    task TEXT NOT NULL,
    provider TEXT NOT NULL,
    task_arguments TEXT NOT NULL,
    -- The body of the request as JSON, without the entities.
    requested TEXT NOT NULL,
    run_on TEXT NOT NULL,
    relaunch_of TEXT,
    -- The message that requested it.
    source TEXT NOT NULL,
    message_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT,
    reply_to TEXT,
    correlation_id TEXT,
    at INTEGER NOT NULL,
    deadline_at INTEGER,
    state TEXT NOT NULL,
    reason TEXT,
    started_at INTEGER,
    ended_at INTEGER,
    paused INTEGER NOT NULL DEFAULT 0,
    halt TEXT,
    in_canary INTEGER NOT NULL,
    -- How many elements it has, and how many ended, by what became of them.
    elements INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    CHECK (done >= 0 AND failed >= 0 AND skipped >= 0 AND done + failed + skipped <= elements)
) STRICT;

CREATE INDEX execution_state ON execution (state, number);
CREATE INDEX execution_task ON execution (task, number);
CREATE INDEX execution_open ON execution (number) WHERE ended_at IS NULL;
CREATE INDEX execution_ended ON execution (ended_at) WHERE ended_at IS NOT NULL;

-- The entities in the request of an execution: a list of ids as JSON. Apart, because only the row of the execution is read often.
CREATE TABLE execution_selection (
    execution INTEGER PRIMARY KEY REFERENCES execution ON DELETE CASCADE,
    execute_on TEXT NOT NULL
) STRICT;

-- Executions that were cancelled before they existed.
CREATE TABLE cancelled_execution (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX cancelled_execution_at ON cancelled_execution (at);

-- One row: the stop of all executions; `at` is null without one.
CREATE TABLE execution_stop (
    at INTEGER,
    actor TEXT,
    note TEXT
) STRICT;

INSERT INTO execution_stop (at) VALUES (NULL);

-- The rows that transactions lock to count and begin elements one after the other. They are inserted on demand.
CREATE TABLE cap_scope (
    name TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- No reference to the execution, as on PostgreSQL. Retention deletes elements first.
CREATE TABLE element (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    execution INTEGER NOT NULL,
    entity_type TEXT NOT NULL,
    entity_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- The device that it is or belongs to, with the hostname that it had.
    device_id INTEGER,
    hostname TEXT,
    state TEXT NOT NULL DEFAULT 'PENDING',
    outcome TEXT NOT NULL DEFAULT 'open'
        CHECK (outcome IN ('open', 'done', 'failed', 'skipped')),
    -- What it waits for, before it is queued.
    waits_for TEXT,
    -- When its message is published again, if it is queued; when its end is announced, if it ended. Null after that.
    due_at INTEGER,
    -- How often its message was overdue.
    repeats INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Who runs it, or ran it last, until when, and the fence of the lease of its device.
    owner TEXT,
    worker TEXT,
    until INTEGER,
    fence INTEGER,
    started_at INTEGER,
    ended_at INTEGER,
    changed INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    message TEXT,
    -- The result of the provider, as JSON. The last column, so that the others can be read without it.
    data TEXT,
    CHECK (waits_for IS NULL OR state = 'PENDING' AND due_at IS NULL)
) STRICT;

CREATE INDEX element_execution ON element (execution, outcome, number);
CREATE INDEX element_device ON element (device_id, execution) WHERE device_id IS NOT NULL;
CREATE INDEX element_waiting ON element (waits_for, number) WHERE waits_for IS NOT NULL;
CREATE INDEX element_queued ON element (due_at) WHERE due_at IS NOT NULL AND outcome = 'open';
CREATE INDEX element_unannounced ON element (due_at) WHERE due_at IS NOT NULL AND outcome <> 'open';
CREATE INDEX element_running ON element (owner) WHERE state = 'RUNNING';

-- What providers found out about entities: the newest value of each key.
CREATE TABLE fact (
    entity_type TEXT NOT NULL,
    entity_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- The element that found it, which retention may have deleted.
    element INTEGER NOT NULL,
    PRIMARY KEY (entity_type, entity_id, key)
) STRICT, WITHOUT ROWID;
