-- A worker without this version would run the elements of an execution of several stages as if there were one.
UPDATE schema_compatibility SET oldest = 6;

-- The device that is connected to instead of this one.
ALTER TABLE device ADD COLUMN controller_id bigint REFERENCES device ON DELETE SET NULL;
CREATE INDEX device_controller ON device (controller_id) WHERE controller_id IS NOT NULL;

-- Lists of names as JSON.
ALTER TABLE task ADD COLUMN pre_tasks text NOT NULL DEFAULT '[]';
ALTER TABLE task ADD COLUMN post_tasks text NOT NULL DEFAULT '[]';

-- The pre- and post-tasks as they were when it was requested, and the stages that it goes through: JSON.
ALTER TABLE execution ADD COLUMN pre_tasks text NOT NULL DEFAULT '[]';
ALTER TABLE execution ADD COLUMN post_tasks text NOT NULL DEFAULT '[]';
ALTER TABLE execution ADD COLUMN plan text NOT NULL DEFAULT '[{"phase":0,"stage":"devices"}]';
ALTER TABLE execution ADD COLUMN lane text NOT NULL DEFAULT 'devices';
-- The index of the stage that it is in, how many elements take part in that, and how many of these ended it.
ALTER TABLE execution ADD COLUMN stage integer NOT NULL DEFAULT 0;
ALTER TABLE execution ADD COLUMN stage_elements bigint NOT NULL DEFAULT 0;
ALTER TABLE execution ADD COLUMN stage_ended bigint NOT NULL DEFAULT 0;
UPDATE execution SET stage_elements = elements, stage_ended = done + failed + skipped;

-- The stage in which it runs next.
ALTER TABLE element ADD COLUMN stage integer NOT NULL DEFAULT 0;
-- How many attempts were those of earlier stages.
ALTER TABLE element ADD COLUMN earlier_attempts integer NOT NULL DEFAULT 0;
-- Whether all below the entity is run on; otherwise only the rows of `execution_target`.
ALTER TABLE element ADD COLUMN whole boolean NOT NULL DEFAULT true;
ALTER TABLE element ADD COLUMN lane text NOT NULL DEFAULT 'devices';
-- What step 1 returned about an item, as JSON.
ALTER TABLE element ADD COLUMN item text;
-- The leases of the devices that it stands for as a controller while it runs: a list of hostnames and fences as JSON.
ALTER TABLE element ADD COLUMN other_leases text;

-- The entities that an execution runs on, if some of its elements do not run on all below them: devices (also those of a group),
-- interfaces or clients, by the kind of entity that it runs on.
CREATE TABLE execution_target (
    execution bigint NOT NULL,
    entity_id bigint NOT NULL,
    PRIMARY KEY (execution, entity_id)
);

-- What the steps of a phase came to for one entity, if the row of the element is not the result by itself.
CREATE TABLE entity_result (
    execution bigint NOT NULL,
    phase integer NOT NULL,
    level text COLLATE "C" NOT NULL,
    entity_id bigint NOT NULL,
    element bigint NOT NULL,
    name text NOT NULL,
    parent_id bigint,
    state text COLLATE "C" NOT NULL,
    reason text,
    message text,
    changed boolean NOT NULL,
    -- What the pre-run step and the run step returned, as JSON.
    pre_run text NOT NULL,
    data text NOT NULL,
    PRIMARY KEY (execution, phase, level, entity_id)
);

CREATE INDEX entity_result_element ON entity_result (element);
CREATE INDEX entity_result_parent ON entity_result (execution, phase, level, parent_id, entity_id);

-- The steps of elements that may not be repeated: begun, and ended with the result and the facts as JSON.
CREATE TABLE step_journal (
    element bigint NOT NULL,
    stage integer NOT NULL,
    level text COLLATE "C" NOT NULL,
    entity_id bigint NOT NULL,
    pre_run boolean NOT NULL,
    result text,
    PRIMARY KEY (element, stage, level, entity_id, pre_run)
);

-- The values that facts had before.
CREATE TABLE fact_history (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_type text NOT NULL,
    entity_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL,
    at timestamptz NOT NULL,
    element bigint NOT NULL
);

CREATE INDEX fact_history_key ON fact_history (entity_type, entity_id, key, number);
CREATE INDEX fact_history_at ON fact_history (at);

-- The checks that providers performed on entities; `newest` is the last one of its key.
CREATE TABLE entity_check (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_type text NOT NULL,
    entity_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    result text NOT NULL CONSTRAINT entity_check_result CHECK (result IN ('ok', 'nok', 'failed')),
    reason text,
    metrics text NOT NULL,
    at timestamptz NOT NULL,
    -- The element that performed it, which retention may have deleted.
    element bigint NOT NULL,
    newest boolean NOT NULL
);

CREATE UNIQUE INDEX entity_check_newest ON entity_check (entity_type, entity_id, key) WHERE newest;
CREATE INDEX entity_check_key ON entity_check (entity_type, entity_id, key, number);
CREATE INDEX entity_check_at ON entity_check (at) WHERE NOT newest;
