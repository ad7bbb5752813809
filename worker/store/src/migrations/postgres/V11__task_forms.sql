-- A worker without this version would run tasks without a check of their own arguments of a run.
UPDATE schema_compatibility SET oldest = 11;

-- The task's own arguments of a run, beside those of its provider: a JSON Schema, and the UI schema of JSON Forms for all arguments of a
-- run. Both are JSON objects.
ALTER TABLE task ADD COLUMN run_input_json_schema text;
ALTER TABLE task ADD COLUMN run_input_ui_schema text;

-- The schema that the task had when it was requested: a relaunch checks with the same one.
ALTER TABLE execution ADD COLUMN run_input_json_schema text;
