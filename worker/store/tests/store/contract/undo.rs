//! What undoes migrations, the newest first: tests migrate from older versions.

/// What undoes version 18 of the schema, on both databases.
pub(crate) const AUDIT_DECISIONS: &[&str] = &[
    "DROP INDEX audit_message",
    "ALTER TABLE audit DROP COLUMN outcome",
    "ALTER TABLE audit DROP COLUMN code",
    "ALTER TABLE audit DROP COLUMN broker_user",
    "ALTER TABLE audit DROP COLUMN trace_id",
];

/// What undoes version 17 of the schema, on both databases.
pub(crate) const OIDC: &[&str] = &[
    "DROP TABLE oidc_state",
    "DROP TABLE oidc_login",
    "DROP INDEX session_principal",
    "ALTER TABLE session DROP COLUMN reads",
    "ALTER TABLE session DROP COLUMN device_groups",
    "ALTER TABLE session DROP COLUMN tasks",
];

/// What undoes version 16 of the schema, on both databases.
pub(crate) const FLEET_SAMPLES: &[&str] = &["DROP TABLE fleet_sample", "DROP INDEX audit_subject"];

/// What undoes version 15 of the schema, on both databases.
pub(crate) const TRACES: &[&str] = &[
    "DROP TABLE plan_approval",
    "DROP INDEX cause_message",
    "ALTER TABLE inbox DROP COLUMN trace_id",
];

/// What undoes version 14 of the schema, on both databases.
pub(crate) const ACCESS: &[&str] = &[
    "DROP TABLE audit",
    "DROP TABLE session",
    "DROP TABLE access_binding",
    "DROP TABLE access_token",
];

/// What undoes version 12 of the schema, on both databases.
pub(crate) const WORKFLOW: &[&str] = &[
    "DROP INDEX execution_parent",
    "ALTER TABLE execution DROP COLUMN parent",
    "ALTER TABLE execution DROP COLUMN parent_phase",
    "ALTER TABLE execution DROP COLUMN parent_step",
    "UPDATE schema_compatibility SET oldest = 9",
];

/// What undoes version 11 of the schema, on both databases.
pub(crate) const TASK_FORMS: &[&str] = &[
    "ALTER TABLE task DROP COLUMN run_input_json_schema",
    "ALTER TABLE task DROP COLUMN run_input_ui_schema",
    "ALTER TABLE execution DROP COLUMN run_input_json_schema",
    "UPDATE schema_compatibility SET oldest = 9",
];

/// What undoes version 10 of the schema, on both databases.
pub(crate) const PAGES: &[&str] = &[
    "DROP INDEX group_member_group",
    "CREATE INDEX group_member_group ON group_member (group_id)",
    "DROP INDEX client_interface",
    "CREATE INDEX client_interface ON client (interface_id)",
    "DROP INDEX client_group",
    "CREATE INDEX client_group ON client (group_id)",
];

/// What undoes version 9 of the schema, on both databases.
pub(crate) const SYNC: &[&str] = &[
    "DROP TABLE sync_key",
    "DROP TABLE sync_intent",
    "DROP TABLE sync_element",
    "DROP TABLE management_domain",
    "DROP INDEX element_parked",
    "DROP INDEX element_parked_of",
    "DROP INDEX device_core",
    "ALTER TABLE element DROP COLUMN resume_at",
    "ALTER TABLE element DROP COLUMN expires_at",
    "ALTER TABLE linknet DROP COLUMN one_address",
    "ALTER TABLE linknet DROP COLUMN other_address",
    "ALTER TABLE linknet DROP COLUMN addressed_time",
    "ALTER TABLE linknet DROP COLUMN addressed_id",
    "ALTER TABLE repository DROP COLUMN asked_at",
    "ALTER TABLE device DROP COLUMN configuration_hash",
    "ALTER TABLE device DROP COLUMN checked_at",
    "ALTER TABLE device DROP COLUMN data",
    "UPDATE schema_compatibility SET oldest = 8",
];

/// What undoes the tables of version 6 of the schema, on both databases.
pub(crate) const RUN_CYCLE: &[&str] = &[
    "DROP TABLE execution_target",
    "DROP TABLE entity_result",
    "DROP TABLE step_journal",
    "DROP TABLE fact_history",
    "DROP TABLE entity_check",
    "ALTER TABLE element DROP COLUMN stage",
    "ALTER TABLE element DROP COLUMN earlier_attempts",
    "ALTER TABLE element DROP COLUMN whole",
    "ALTER TABLE element DROP COLUMN lane",
    "ALTER TABLE element DROP COLUMN item",
    "ALTER TABLE element DROP COLUMN other_leases",
    "ALTER TABLE execution DROP COLUMN pre_tasks",
    "ALTER TABLE execution DROP COLUMN post_tasks",
    "ALTER TABLE execution DROP COLUMN plan",
    "ALTER TABLE execution DROP COLUMN lane",
    "ALTER TABLE execution DROP COLUMN stage",
    "ALTER TABLE execution DROP COLUMN stage_elements",
    "ALTER TABLE execution DROP COLUMN stage_ended",
    "ALTER TABLE task DROP COLUMN pre_tasks",
    "ALTER TABLE task DROP COLUMN post_tasks",
    "DROP INDEX device_controller",
    "ALTER TABLE device DROP COLUMN controller_id",
    "UPDATE schema_compatibility SET oldest = 2",
];

/// What undoes version 5 of the schema, on both databases.
pub(crate) const EXECUTIONS: &[&str] = &[
    "DROP TABLE task",
    "DROP TABLE schedule",
    "DROP TABLE execution_selection",
    "DROP TABLE execution",
    "DROP TABLE cancelled_execution",
    "DROP TABLE execution_stop",
    "DROP TABLE cap_scope",
    "DROP TABLE element",
    "DROP TABLE fact",
];
