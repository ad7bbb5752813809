-- A program without this version does not know that elements wait for the end of an execution.
UPDATE schema_compatibility SET oldest = 12;

-- The number of the execution that began it as a step of a workflow, the phase of that and the step, from 0.
ALTER TABLE execution ADD COLUMN parent bigint;
ALTER TABLE execution ADD COLUMN parent_phase integer;
ALTER TABLE execution ADD COLUMN parent_step integer;

CREATE INDEX execution_parent ON execution (parent, number) WHERE parent IS NOT NULL;
