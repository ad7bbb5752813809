-- The file of the embedded bus, version 1 (PRAGMA user_version).

CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- Messages with an id up to this may have been delivered before.
    mark INTEGER NOT NULL DEFAULT 0,
    -- On reply queues: since when there is no consumer, in milliseconds. NULL while there is one.
    unread_since INTEGER
);

CREATE TABLE message (
    -- Assigned by the bus in ascending order, which is the order of the queue.
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL REFERENCES queue (id),
    -- When the message expires in this queue, in milliseconds. NULL: never.
    due INTEGER,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    message_id TEXT,
    type TEXT,
    content_type TEXT,
    correlation_id TEXT,
    reply_to TEXT,
    -- In seconds.
    timestamp INTEGER,
    -- A JSON object of strings. NULL if there are no headers.
    headers TEXT,
    body BLOB NOT NULL
);

CREATE INDEX message_by_queue ON message (queue, id);
CREATE INDEX message_by_due ON message (due, id) WHERE due IS NOT NULL;

PRAGMA user_version = 1;
