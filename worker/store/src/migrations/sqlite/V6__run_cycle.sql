-- A worker without this version would run the elements of an execution of several stages as if there were one.
UPDATE schema_compatibility SET oldest = 6;

-- The device that is connected to instead of this one.
ALTER TABLE device ADD COLUMN controller_id INTEGER REFERENCES device (id) ON DELETE SET NULL;
CREATE INDEX device_controller ON device (controller_id) WHERE controller_id IS NOT NULL;

-- Lists of names as JSON.
ALTER TABLE task ADD COLUMN pre_tasks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE task ADD COLUMN post_tasks TEXT NOT NULL DEFAULT '[]';

-- The pre- and post-tasks as they were when it was requested, and the stages that it goes through: JSON.
ALTER TABLE execution ADD COLUMN pre_tasks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE execution ADD COLUMN post_tasks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE execution ADD COLUMN plan TEXT NOT NULL DEFAULT '[{"phase":0,"stage":"devices"}]';
ALTER TABLE execution ADD COLUMN lane TEXT NOT NULL DEFAULT 'devices';
-- The index of the stage that it is in, how many elements take part in that, and how many of these ended it.
ALTER TABLE execution ADD COLUMN stage INTEGER NOT NULL DEFAULT 0;
ALTER TABLE execution ADD COLUMN stage_elements INTEGER NOT NULL DEFAULT 0;
ALTER TABLE execution ADD COLUMN stage_ended INTEGER NOT NULL DEFAULT 0;
UPDATE execution SET stage_elements = elements, stage_ended = done + failed + skipped;

-- The stage in which it runs next.
ALTER TABLE element ADD COLUMN stage INTEGER NOT NULL DEFAULT 0;
-- How many attempts were those of earlier stages.
ALTER TABLE element ADD COLUMN earlier_attempts INTEGER NOT NULL DEFAULT 0;
-- Whether all below the entity is run on; otherwise only the rows of `execution_target`.
ALTER TABLE element ADD COLUMN whole INTEGER NOT NULL DEFAULT 1;
ALTER TABLE element ADD COLUMN lane TEXT NOT NULL DEFAULT 'devices';
-- What step 1 returned about an item, as JSON.
ALTER TABLE element ADD COLUMN item TEXT;
-- The leases of the devices that it stands for as a controller while it runs: a list of hostnames and fences as JSON.
ALTER TABLE element ADD COLUMN other_leases TEXT;

-- The entities that an execution runs on, if some of its elements do not run on all below them: devices (also those of a group),
-- interfaces or clients, by the kind of entity that it runs on.
CREATE TABLE execution_target (
    execution INTEGER NOT NULL,
    entity_id INTEGER NOT NULL,
    PRIMARY KEY (execution, entity_id)
) STRICT, WITHOUT ROWID;

-- What the steps of a phase came to for one entity, if the row of the element is not the result by itself.
CREATE TABLE entity_result (
    execution INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    level TEXT NOT NULL,
    entity_id INTEGER NOT NULL,
    element INTEGER NOT NULL,
    name TEXT NOT NULL,
    parent_id INTEGER,
    state TEXT NOT NULL,
    reason TEXT,
    message TEXT,
    changed INTEGER NOT NULL,
    -- What the pre-run step and the run step returned, as JSON.
    pre_run TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (execution, phase, level, entity_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX entity_result_element ON entity_result (element);
CREATE INDEX entity_result_parent ON entity_result (execution, phase, level, parent_id, entity_id);

-- The steps of elements that may not be repeated: begun, and ended with the result and the facts as JSON.
CREATE TABLE step_journal (
    element INTEGER NOT NULL,
    stage INTEGER NOT NULL,
    level TEXT NOT NULL,
    entity_id INTEGER NOT NULL,
    pre_run INTEGER NOT NULL,
    result TEXT,
    PRIMARY KEY (element, stage, level, entity_id, pre_run)
) STRICT, WITHOUT ROWID;

-- The values that facts had before.
CREATE TABLE fact_history (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entity_type TEXT NOT NULL,
    entity_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    at INTEGER NOT NULL,
    element INTEGER NOT NULL
) STRICT;

CREATE INDEX fact_history_key ON fact_history (entity_type, entity_id, key, number);
CREATE INDEX fact_history_at ON fact_history (at);

-- The checks that providers performed on entities; `newest` is the last one of its key.
CREATE TABLE entity_check (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entity_type TEXT NOT NULL,
    entity_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    result TEXT NOT NULL CHECK (result IN ('ok', 'nok', 'failed')),
    reason TEXT,
    metrics TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- The element that performed it, which retention may have deleted.
    element INTEGER NOT NULL,
    newest INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX entity_check_newest ON entity_check (entity_type, entity_id, key) WHERE newest;
CREATE INDEX entity_check_key ON entity_check (entity_type, entity_id, key, number);
CREATE INDEX entity_check_at ON entity_check (at) WHERE NOT newest;
