//! The rights of each role at the database. This table is their only source: `lockstep migrate` grants them, `lockstep doctor`
//! checks them, `docker/README.md` shows them, and the tests run with them. Pure.

use std::fmt;

use super::quote::{identifier, table};

/// A role at the database. Each is a login of its own, named `PREFIX-ROLE`. A gateway has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseRole {
    /// Owns the schema, and changes it: `lockstep migrate`.
    Migrate,
    /// Processes messages.
    Worker,
    /// Reads what the HTTP API shows, and writes who may use it and what they did.
    Console,
}

/// A privilege on a table or a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    Select,
    /// Only these columns.
    SelectOf(&'static [&'static str]),
    Insert,
    Update,
    /// Only these columns.
    UpdateOf(&'static [&'static str]),
    Delete,
    /// Taking numbers from a sequence.
    Usage,
}

use Privilege::{Delete, Insert, Select, SelectOf, Update, UpdateOf, Usage};

/// A table or a sequence, and what the roles may do with it. Its owner, the role `migrate`, may do everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRights {
    /// Its name.
    pub name: &'static str,
    /// The privileges of a worker.
    pub worker: &'static [Privilege],
    /// The privileges of a console.
    pub console: &'static [Privilege],
}

/// Every table and sequence of the schema.
pub const OBJECTS: &[ObjectRights] = &[
    // Whole, because a broad refresh locks the table, for which columns are not enough.
    rights("device", &[Select, Insert, Update, Delete], &[Select]),
    rights(
        "interface",
        &[Select, Insert, UpdateOf(&["configuration"])],
        &[SelectOf(&["id", "device_id", "name"])],
    ),
    rights(
        "device_group",
        &[
            Select,
            Insert,
            UpdateOf(&["location", "regex", "priority", "position"]),
            Delete,
        ],
        &[Select],
    ),
    rights("group_member", &[Select, Insert, Update, Delete], &[Select]),
    // Whole, because it is locked.
    rights("group_rules", &[Select, Update], &[Select]),
    rights("group_rule_device", &[Select, Insert, Delete], &[Select]),
    rights(
        "client",
        &[
            Select,
            Insert,
            UpdateOf(&["name", "ip", "interface_id", "group_id"]),
        ],
        &[Select],
    ),
    rights(
        "linknet",
        &[Select, Insert, Update, Delete],
        &[SelectOf(&[
            "id",
            "one_id",
            "other_id",
            "present",
            "one_address",
            "other_address",
        ])],
    ),
    rights("management_domain", &[Select, Insert, Update, Delete], &[Select]),
    rights("former_hostname", &[Select, Insert, Update, Delete], &[]),
    rights("device_history", &[Select, Insert, Delete], &[Select]),
    rights("cause_block", &[Usage], &[]),
    rights("cause", &[Select, Insert, Delete], &[Select]),
    rights("broad_cause", &[Select, Insert, Delete], &[Select]),
    rights("inbox", &[Select, Insert, Delete], &[Select]),
    rights(
        "lease",
        &[Select, Insert, UpdateOf(&["owner", "fence", "until"])],
        &[],
    ),
    rights(
        "repository",
        &[
            Select,
            Insert,
            UpdateOf(&[
                "branch",
                "revision",
                "accepted",
                "accepted_at",
                "listing",
                "seen",
                "seen_at",
                "asked_at",
                "problem",
                "problem_since",
                "warnings",
            ]),
        ],
        &[SelectOf(&[
            "name",
            "branch",
            "revision",
            "accepted",
            "accepted_at",
            "seen",
            "seen_at",
            "asked_at",
            "problem",
            "problem_since",
            "warnings",
        ])],
    ),
    rights(
        "repository_failure",
        &[Select, Insert, UpdateOf(&["reason", "at"]), Delete],
        &[Select],
    ),
    rights(
        "inventory_source",
        &[
            Select,
            Insert,
            UpdateOf(&[
                "begins",
                "read_until",
                "succeeded_at",
                "error",
                "error_since",
                "error_at",
            ]),
        ],
        &[Select],
    ),
    rights(
        "delivery_attempt",
        &[Select, Insert, UpdateOf(&["attempts", "at"]), Delete],
        &[],
    ),
    rights(
        "dead_letter",
        &[
            Select,
            Insert,
            UpdateOf(&[
                "state",
                "settled_at",
                "settled_by",
                "request_source",
                "request_id",
                "due_at",
                "published",
            ]),
            Delete,
        ],
        &[Select],
    ),
    rights(
        "follow_up",
        &[Select, Insert, UpdateOf(&["due_at", "published"]), Delete],
        &[],
    ),
    rights(
        "task",
        &[
            Select,
            Insert,
            UpdateOf(&[
                "description",
                "provider",
                "arguments",
                "saved_at",
                "saved_by",
                "pre_tasks",
                "post_tasks",
                "run_input_json_schema",
                "run_input_ui_schema",
            ]),
            Delete,
        ],
        &[Select],
    ),
    rights(
        "schedule",
        &[
            Select,
            Insert,
            UpdateOf(&[
                "cron",
                "time_zone",
                "request",
                "enabled",
                "next_at",
                "last_at",
                "saved_at",
                "saved_by",
            ]),
            Delete,
        ],
        &[Select],
    ),
    rights(
        "execution",
        &[
            Select,
            Insert,
            UpdateOf(&[
                "state",
                "reason",
                "started_at",
                "ended_at",
                "paused",
                "halt",
                "in_canary",
                "elements",
                "done",
                "failed",
                "skipped",
                "stage",
                "stage_elements",
                "stage_ended",
            ]),
            Delete,
        ],
        &[Select],
    ),
    rights("execution_selection", &[Select, Insert], &[Select]),
    rights("cancelled_execution", &[Select, Insert, Delete], &[]),
    rights(
        "execution_stop",
        &[Select, UpdateOf(&["at", "actor", "note"])],
        &[Select],
    ),
    rights("cap_scope", &[Select, Insert, UpdateOf(&["name"])], &[]),
    rights(
        "element",
        &[
            Select,
            Insert,
            UpdateOf(&[
                "state",
                "outcome",
                "waits_for",
                "due_at",
                "repeats",
                "attempts",
                "owner",
                "worker",
                "until",
                "fence",
                "started_at",
                "ended_at",
                "changed",
                "reason",
                "message",
                "data",
                "stage",
                "earlier_attempts",
                "other_leases",
                "hostname",
                "resume_at",
                "expires_at",
            ]),
            Delete,
        ],
        &[Select],
    ),
    rights("sync_element", &[Select, Insert, Update, Delete], &[Select]),
    rights(
        "plan_approval",
        &[Select, Insert, UpdateOf(&["at", "expires_at", "note"]), Delete],
        &[Select],
    ),
    rights("sync_intent", &[Select, Insert, Update, Delete], &[]),
    rights("sync_key", &[Select, Insert], &[]),
    rights("execution_target", &[Select, Insert, Delete], &[]),
    rights(
        "entity_result",
        &[
            Select,
            Insert,
            UpdateOf(&[
                "element",
                "name",
                "parent_id",
                "state",
                "reason",
                "message",
                "changed",
                "pre_run",
                "data",
            ]),
            Delete,
        ],
        &[Select],
    ),
    rights(
        "step_journal",
        &[Select, Insert, UpdateOf(&["result"]), Delete],
        &[],
    ),
    rights("fact_history", &[Select, Insert, Delete], &[Select]),
    rights(
        "entity_check",
        &[Select, Insert, UpdateOf(&["newest"]), Delete],
        &[Select],
    ),
    rights(
        "fact",
        &[Select, Insert, UpdateOf(&["value", "at", "element"]), Delete],
        &[Select],
    ),
    rights(
        "access_token",
        &[Select],
        &[
            Select,
            Insert,
            UpdateOf(&[
                "prefix",
                "digest",
                "former_digest",
                "former_until",
                "expires_at",
                "rotated_at",
                "revoked_at",
                "used_at",
            ]),
        ],
    ),
    rights("access_binding", &[Select], &[Select, Insert]),
    rights(
        "session",
        // What it deletes, it selects by.
        &[SelectOf(&["digest", "expires_at"]), Delete],
        &[Select, Insert, UpdateOf(&["used_at"]), Delete],
    ),
    rights(
        "oidc_login",
        &[SelectOf(&["principal", "device_groups", "tasks", "expires_at"])],
        &[
            Select,
            Insert,
            UpdateOf(&[
                "issuer",
                "subject",
                "role",
                "device_groups",
                "tasks",
                "begun_at",
                "expires_at",
            ]),
        ],
    ),
    rights("oidc_state", &[], &[Select, Insert, Delete]),
    // Nobody changes an entry, and only retention deletes some.
    rights("audit", &[Select, Insert, Delete], &[Select, Insert]),
    rights("fleet_sample", &[Select, Insert, Delete], &[Select]),
    rights("schema_compatibility", &[Select], &[Select]),
    // Made by the migrations' library.
    rights("refinery_schema_history", &[Select], &[Select]),
];

const fn rights(
    name: &'static str,
    worker: &'static [Privilege],
    console: &'static [Privilege],
) -> ObjectRights {
    ObjectRights {
        name,
        worker,
        console,
    }
}

impl DatabaseRole {
    /// Every role.
    pub const ALL: &[Self] = &[Self::Migrate, Self::Worker, Self::Console];

    /// The role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Worker => "worker",
            Self::Console => "console",
        }
    }

    /// The name of its login.
    pub fn login(self, prefix: &str) -> String {
        format!("{prefix}-{self}")
    }

    /// Its privileges on an object. The owner needs none.
    const fn privileges(self, object: &ObjectRights) -> &'static [Privilege] {
        match self {
            Self::Migrate => &[],
            Self::Worker => object.worker,
            Self::Console => object.console,
        }
    }
}

impl fmt::Display for DatabaseRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Privilege {
    const fn keyword(self) -> &'static str {
        match self {
            Self::Select | Self::SelectOf(_) => "SELECT",
            Self::Insert => "INSERT",
            Self::Update | Self::UpdateOf(_) => "UPDATE",
            Self::Delete => "DELETE",
            Self::Usage => "USAGE",
        }
    }

    const fn columns(self) -> Option<&'static [&'static str]> {
        match self {
            Self::SelectOf(columns) | Self::UpdateOf(columns) => Some(columns),
            Self::Select | Self::Insert | Self::Update | Self::Delete | Self::Usage => None,
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())?;
        match self.columns() {
            Some(columns) => write!(f, " ({})", columns.join(", ")),
            None => Ok(()),
        }
    }
}

impl ObjectRights {
    /// Whether it is a sequence. Only those have numbers to take.
    fn is_sequence(&self) -> bool {
        self.worker.contains(&Usage)
    }

    fn word(&self) -> &'static str {
        if self.is_sequence() { "SEQUENCE" } else { "TABLE" }
    }
}

/// The statements that give a login exactly the rights of its role in this schema, and take every other one there.
pub(super) fn grants(role: DatabaseRole, login: &str, schema: &str) -> Vec<String> {
    let (login, in_schema) = (identifier(login), identifier(schema));
    let mut statements = vec![
        format!("REVOKE ALL ON SCHEMA {in_schema} FROM {login}"),
        format!("GRANT USAGE ON SCHEMA {in_schema} TO {login}"),
    ];
    for object in OBJECTS {
        let (word, place) = (object.word(), table(schema, object.name));
        // Takes the privileges on columns too.
        statements.push(format!("REVOKE ALL ON {word} {place} FROM {login}"));
        let privileges = role.privileges(object);
        if !privileges.is_empty() {
            let privileges: Vec<String> = privileges.iter().map(ToString::to_string).collect();
            statements.push(format!(
                "GRANT {} ON {word} {place} TO {login}",
                privileges.join(", ")
            ));
        }
    }
    statements
}

/// A question to the database about a privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) about: About,
    pub(super) object: &'static str,
    /// Empty unless it is about one column.
    pub(super) column: &'static str,
    pub(super) privilege: &'static str,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Table,
    Column,
    AnyColumn,
    Sequence,
}

impl About {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Column => "column",
            Self::AnyColumn => "any column",
            Self::Sequence => "sequence",
        }
    }
}

/// The privileges that the role needs.
pub(super) fn needed(role: DatabaseRole) -> Vec<Question> {
    let mut questions = Vec::new();
    for object in OBJECTS {
        for privilege in role.privileges(object) {
            let question = |about, column| Question {
                about,
                object: object.name,
                column,
                privilege: privilege.keyword(),
            };
            match privilege.columns() {
                Some(columns) => {
                    questions.extend(columns.iter().map(|column| question(About::Column, column)));
                }
                None if object.is_sequence() => questions.push(question(About::Sequence, "")),
                None => questions.push(question(About::Table, "")),
            }
        }
    }
    questions
}

/// The privileges that the role should not have.
pub(super) fn excess(role: DatabaseRole) -> Vec<Question> {
    let mut questions = Vec::new();
    for object in OBJECTS {
        let all: &[&str] = if object.is_sequence() {
            &["USAGE", "UPDATE"]
        } else {
            &[
                "SELECT",
                "INSERT",
                "UPDATE",
                "DELETE",
                "TRUNCATE",
                "REFERENCES",
                "TRIGGER",
            ]
        };
        for privilege in all {
            let has = role
                .privileges(object)
                .iter()
                .find(|one| one.keyword() == *privilege);
            let about = match has {
                // The whole table, instead of some columns.
                Some(one) if one.columns().is_some() => About::Table,
                Some(_) => continue,
                None if object.is_sequence() => About::Sequence,
                None if matches!(*privilege, "SELECT" | "INSERT" | "UPDATE" | "REFERENCES") => {
                    About::AnyColumn
                }
                None => About::Table,
            };
            questions.push(Question {
                about,
                object: object.name,
                column: "",
                privilege,
            });
        }
    }
    questions
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.privilege, self.object)?;
        if self.column.is_empty() {
            Ok(())
        } else {
            write!(f, ".{}", self.column)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_writes_only_who_may_use_it_and_nobody_but_the_owner_truncates() {
        let writes = |object: &&ObjectRights| {
            let mut privileges = object.console.iter();
            privileges.any(|privilege| privilege.keyword() != "SELECT")
        };
        let written: Vec<&str> = OBJECTS.iter().filter(writes).map(|object| object.name).collect();
        assert_eq!(
            written,
            [
                "access_token",
                "access_binding",
                "session",
                "oidc_login",
                "oidc_state",
                "audit"
            ]
        );
        let audit = OBJECTS.iter().find(|object| object.name == "audit").unwrap();
        assert_eq!(audit.console, [Select, Insert]);
        assert!(
            !audit
                .worker
                .iter()
                .any(|privilege| privilege.keyword() == "UPDATE")
        );
        let of_worker = excess(DatabaseRole::Worker);
        let truncating = of_worker
            .iter()
            .filter(|question| question.privilege == "TRUNCATE");
        let sequences = OBJECTS.iter().filter(|object| object.is_sequence()).count();
        assert_eq!(truncating.count(), OBJECTS.len() - sequences);
    }

    #[test]
    fn no_privilege_is_both_needed_and_excess() {
        for role in [DatabaseRole::Worker, DatabaseRole::Console] {
            let needed = needed(role);
            assert!(needed.len() > 8, "{role}");
            let excess = excess(role);
            assert!(excess.iter().all(|question| !needed.contains(question)), "{role}");
        }
    }

    #[test]
    fn grants_begin_with_a_revocation_and_quote_every_name() {
        let statements = grants(DatabaseRole::Worker, "a\"b-worker", "public");
        assert_eq!(
            statements[0],
            "REVOKE ALL ON SCHEMA \"public\" FROM \"a\"\"b-worker\""
        );
        let lease = "GRANT SELECT, INSERT, UPDATE (owner, fence, until) ON TABLE \"public\".\"lease\" TO \"a\"\"b-worker\"";
        assert!(statements.iter().any(|one| one == lease), "{statements:#?}");
        let console = grants(DatabaseRole::Console, "c", "public");
        let of_lease: Vec<&String> = console.iter().filter(|one| one.contains("\"lease\"")).collect();
        assert_eq!(of_lease, ["REVOKE ALL ON TABLE \"public\".\"lease\" FROM \"c\""]);
    }
}
