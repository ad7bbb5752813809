use lockstep_execution::{ProviderProperties, ProviderType};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde_json::{Value, json};

const DESCRIPTION: &str = "Renders the intended configuration of each device from the accepted commits, loads it in a configuration session, and shows the \
    difference. If it is no dry run, the session is committed with a timer, read back over a new connection, and confirmed; a device \
    whose commit is not confirmed rolls back by itself. The sync flag is set only if the device has its intended configuration. \
    docs/how-to/sync.md has the details.\n\n\
    It runs by the command `lockstep.sync.requested` (`lockstep sync`), which binds each device to a generation and to commits; as an \
    ordinary task it finds nothing to do.\n\n\
    Result: `stage`, `diff` (without secrets), `change_score`, `hash`, `generation`, `drifted`, `sessions`.";

pub(crate) fn properties() -> ProviderProperties {
    ProviderProperties {
        name: "sync".into(),
        short_description: "Brings devices in lockstep with their intended configuration.".into(),
        description: DESCRIPTION.into(),
        provider_type: ProviderType::Configure,
        run_on: Some(ExecuteOn::Device),
        run_on_strict: true,
        run_on_all_if_empty: false,
        run_on_result: None,
        facts_for: Vec::new(),
        lane: Lane::Devices,
        success_message: None,
        // A repeated run finds what the one before it left, by its intent.
        repeatable: true,
        deprecated: None,
        ui_schema: Some(ui_schema()),
        run_input_ui_schema: None,
        json_schema: arguments(),
        run_input_json_schema: json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Run of sync",
            "type": "object",
            "additionalProperties": false,
        }),
    }
}

fn arguments() -> Value {
    let text = |title: &str, description: &str, longest: u32| json!({"title": title, "description": description, "type": ["string", "null"], "maxLength": longest});
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Sync",
        "type": "object",
        "properties": {
            "action": {
                "title": "Action",
                "description": "What is done with the configuration of each device: render it, show the difference and push it unless it is a dry \
                    run (synchronize); render it without contact (render); compare it with the one of the last synchronization (drift); accept \
                    it as the one to compare with (accept-drift); list or abort configuration sessions.",
                "type": "string",
                "enum": ["synchronize", "render", "drift", "accept-drift", "list-sessions", "abort-session"],
                "default": "synchronize",
            },
            "force": {
                "title": "Force",
                "description": "Overwrite changes that were made outside of Lockstep.",
                "type": "boolean",
                "default": false,
            },
            "plan": text("Plan", "The execution whose differences are applied.", 64),
            "rollback": text("Rollback", "The execution whose previous configurations are restored.", 64),
            "commit": text("Commit", "For render: a commit of the settings or of the templates, instead of the accepted one.", 64),
            "session": text("Session", "For abort-session: the name of the session.", 255),
            "targets": {"title": "Targets", "description": "Which devices were asked for; not part of the form.", "readOnly": true},
            "resync": {"title": "Resync", "description": "Whether synchronized devices were asked for, too.", "type": "boolean"},
            "note": text("Note", "Why, for people.", 1000),
        },
        "additionalProperties": false,
    })
}

/// What goes with an action is there for this action only. An absent action is the default.
fn ui_schema() -> Value {
    let control = |name: &str| json!({"type": "Control", "scope": format!("#/properties/{name}")});
    let with = |name: &str, action: &str| {
        let mut control = control(name);
        let mut condition = json!({"scope": "#", "schema": {"properties": {"action": {"const": action}}}});
        if action != "synchronize" {
            condition["schema"]["required"] = json!(["action"]);
            condition["failWhenUndefined"] = true.into();
        }
        control["rule"] = json!({"effect": "SHOW", "condition": condition});
        control
    };
    json!({
        "type": "VerticalLayout",
        "elements": [
            control("action"),
            with("force", "synchronize"),
            with("plan", "synchronize"),
            with("rollback", "synchronize"),
            with("commit", "render"),
            with("session", "abort-session"),
            control("resync"),
            {"type": "Control", "scope": "#/properties/note", "options": {"multi": true}},
        ],
    })
}

#[cfg(test)]
mod tests {
    use lockstep_execution::check_arguments;
    use lockstep_protocol::commands::SyncAction;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn arguments_that_the_schema_accepts_are_read() {
        let schema = properties().json_schema;
        let commit = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let plan = "0198f0c4-9a8e-7cc0-b5bb-6f8b3f1f6f05";
        let accepted = [
            json!({}),
            json!({"action": "synchronize", "force": true, "plan": plan, "rollback": null, "commit": null, "session": null}),
            json!({"action": "render", "commit": commit}),
            json!({"action": "abort-session", "session": "anna", "targets": {"hostname": "leaf1"}, "resync": true, "note": "why"}),
        ];
        for arguments in accepted {
            assert!(check_arguments(&schema, &arguments).is_ok(), "{arguments}");
            assert!(Arguments::read(&arguments).is_ok(), "{arguments}");
        }
        for arguments in [
            json!({"action": "push"}),
            json!({"force": "yes"}),
            json!({"frce": true}),
        ] {
            assert!(check_arguments(&schema, &arguments).is_err(), "{arguments}");
        }
    }

    #[test]
    fn the_schema_has_every_action() {
        use SyncAction::{AbortSession, AcceptDrift, Drift, ListSessions, Render, Synchronize};

        let schema = properties().json_schema;
        let every = schema["properties"]["action"]["enum"].as_array().unwrap();
        let read: Vec<SyncAction> = every
            .iter()
            .map(|action| serde_json::from_value(action.clone()).unwrap())
            .collect();
        assert_eq!(
            read,
            [
                Synchronize,
                Render,
                Drift,
                AcceptDrift,
                ListSessions,
                AbortSession
            ]
        );
    }
}
