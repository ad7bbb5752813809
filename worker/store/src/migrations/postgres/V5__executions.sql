CREATE TABLE task (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT task_name UNIQUE,
    description text,
    provider text NOT NULL,
    -- JSON as text, here and below: jsonb supports neither NUL nor numbers beyond numeric.
    arguments text NOT NULL,
    saved_at timestamptz NOT NULL,
    saved_by text
);

CREATE TABLE schedule (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT schedule_name UNIQUE,
    cron text NOT NULL,
    time_zone text NOT NULL,
    -- The body of the message that it sends, as JSON.
    request text NOT NULL,
    enabled boolean NOT NULL,
    next_at timestamptz,
    last_at timestamptz,
    saved_at timestamptz NOT NULL,
    saved_by text
);

CREATE INDEX schedule_next ON schedule (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE execution (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL CONSTRAINT execution_id UNIQUE,
    -- The task, as it was when it was requested.
    task_number bigint NOT NULL,
    task text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    task_arguments text NOT NULL,
    -- The body of the request as JSON, without the entities.
    requested text NOT NULL,
    run_on text NOT NULL,
    relaunch_of text,
    -- The message that requested it.
    source text NOT NULL,
    message_id text NOT NULL,
    kind text NOT NULL,
    actor text,
    reply_to text,
    correlation_id text,
    at timestamptz NOT NULL,
    deadline_at timestamptz,
    state text NOT NULL,
    reason text,
    started_at timestamptz,
    ended_at timestamptz,
    paused boolean NOT NULL DEFAULT false,
    halt text,
    in_canary boolean NOT NULL,
    -- How many elements it has, and how many ended, by what became of them.
    elements bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    CONSTRAINT execution_counts CHECK (done >= 0 AND failed >= 0 AND skipped >= 0 AND done + failed + skipped <= elements)
)
-- The counts change with each group of elements that ends. No index contains them, so the update is heap-only.
WITH (fillfactor = 50);

CREATE INDEX execution_state ON execution (state, number);
CREATE INDEX execution_task ON execution (task, number);
CREATE INDEX execution_open ON execution (number) WHERE ended_at IS NULL;
CREATE INDEX execution_ended ON execution (ended_at) WHERE ended_at IS NOT NULL;

-- The entities in the request of an execution: a list of ids as JSON. Apart, because only the row of the execution is read often.
CREATE TABLE execution_selection (
    execution bigint PRIMARY KEY REFERENCES execution ON DELETE CASCADE,
    execute_on text NOT NULL
);

-- Executions that were cancelled before they existed.
CREATE TABLE cancelled_execution (
    id text COLLATE "C" PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text
);

CREATE INDEX cancelled_execution_at ON cancelled_execution (at);

-- One row: the stop of all executions; `at` is null without one.
CREATE TABLE execution_stop (
    at timestamptz,
    actor text,
    note text
);

INSERT INTO execution_stop (at) VALUES (NULL);

-- The rows that transactions lock to count and begin elements one after the other. They are inserted on demand.
CREATE TABLE cap_scope (
    name text COLLATE "C" PRIMARY KEY
);

-- No reference to the execution: its check would slow down the insertion of many rows. Retention deletes elements first.
CREATE TABLE element (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution bigint NOT NULL,
    entity_type text NOT NULL,
    entity_id bigint NOT NULL,
    name text NOT NULL,
    -- The device that it is or belongs to, with the hostname that it had.
    device_id bigint,
    hostname text COLLATE "C",
    state text COLLATE "C" NOT NULL DEFAULT 'PENDING',
    outcome text COLLATE "C" NOT NULL DEFAULT 'open'
        CONSTRAINT element_outcome CHECK (outcome IN ('open', 'done', 'failed', 'skipped')),
    -- What it waits for, before it is queued.
    waits_for text COLLATE "C",
    -- When its message is published again, if it is queued; when its end is announced, if it ended. Null after that.
    due_at timestamptz,
    -- How often its message was overdue.
    repeats integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    -- Who runs it, or ran it last, until when, and the fence of the lease of its device.
    owner text COLLATE "C",
    worker text,
    until timestamptz,
    fence bigint,
    started_at timestamptz,
    ended_at timestamptz,
    changed boolean NOT NULL DEFAULT false,
    reason text,
    message text,
    -- The result of the provider, as JSON.
    data text,
    CONSTRAINT element_waits CHECK (waits_for IS NULL OR state = 'PENDING' AND due_at IS NULL)
);

CREATE INDEX element_execution ON element (execution, outcome, number);
CREATE INDEX element_device ON element (device_id, execution) WHERE device_id IS NOT NULL;
CREATE INDEX element_waiting ON element (waits_for, number) WHERE waits_for IS NOT NULL;
-- Without the number, so that no plan looks for numbers in these indexes.
CREATE INDEX element_queued ON element (due_at) WHERE due_at IS NOT NULL AND outcome = 'open';
CREATE INDEX element_unannounced ON element (due_at) WHERE due_at IS NOT NULL AND outcome <> 'open';
-- Renewals change `until` only, which no index contains, so they are heap-only.
CREATE INDEX element_running ON element (owner) WHERE state = 'RUNNING';

-- What providers found out about entities: the newest value of each key.
CREATE TABLE fact (
    entity_type text NOT NULL,
    entity_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL,
    at timestamptz NOT NULL,
    -- The element that found it, which retention may have deleted.
    element bigint NOT NULL,
    PRIMARY KEY (entity_type, entity_id, key)
);
