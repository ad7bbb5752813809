use lockstep_execution::{ProviderProperties, ProviderType};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde_json::{Value, json};

const DESCRIPTION: &str = "Lists the pending tasks of a CloudVision cluster, reads each of them twice, and cancels those that have nothing left to \
    do. docs/how-to/cvp-sweeps.md has the details, and the README of `worker/cvp` each condition. A dry run reads as much, and writes nothing.\n\n\
    Each task is an element with the result `action` (`cancelled`, `kept`, `failed`, `gone`), `reasons`, `code`, and CloudVision's `answer`. The \
    result of the whole has `counts`. CloudVision does not create a cancelled task again by itself.";

pub(crate) fn properties() -> ProviderProperties {
    let names = |title: &str, description: &str| {
        json!({
            "title": title,
            "description": description,
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 255},
            "maxItems": 1000,
            "uniqueItems": true,
        })
    };
    let text = |title: &str, description: &str| json!({"title": title, "description": description, "type": "string", "maxLength": 255});
    ProviderProperties {
        name: "cvp_sweep".into(),
        short_description: "Cancels pending tasks of CloudVision that have nothing left to do.".into(),
        description: DESCRIPTION.into(),
        provider_type: ProviderType::Execute,
        run_on: Some(ExecuteOn::Global),
        run_on_strict: true,
        run_on_all_if_empty: true,
        run_on_result: None,
        facts_for: Vec::new(),
        lane: Lane::Cvp,
        success_message: None,
        repeatable: true,
        deprecated: None,
        ui_schema: Some(ui_schema()),
        run_input_ui_schema: None,
        json_schema: json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Sweep of CloudVision",
            "type": "object",
            "properties": {
                "cluster": {
                    "title": "Cluster",
                    "description": "The name of the cluster in the configuration of the workers: NAME of [cvp.NAME].",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 255,
                },
                "devices": names("Devices", "Only tasks of devices with one of these hostnames, serial numbers or MAC addresses."),
                "tasks": names("Tasks", "Only tasks with these numbers."),
                "look_again": {
                    "title": "Look again",
                    "description": "Instead of a sweep: check once more whether these devices are compliant, some time after a task of theirs was cancelled.",
                    "type": "array",
                    "maxItems": 10_000,
                    "items": {
                        "type": "object",
                        "properties": {
                            "task_id": text("Task", "The number of the task that was cancelled."),
                            "net_element_id": text("Device", "CloudVision's id of the device."),
                            "hostname": text("Hostname", "The hostname of the device."),
                        },
                        "required": ["task_id", "net_element_id"],
                    },
                },
            },
            "required": ["cluster"],
            "additionalProperties": false,
        }),
        run_input_json_schema: json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Run of a sweep",
            "type": "object",
            "additionalProperties": false,
        }),
    }
}

/// A sweep, or another look at devices.
fn ui_schema() -> Value {
    let control_unless = |name: &str, given: &[&str]| {
        let given: Vec<Value> = given.iter().map(|name| json!({"required": [name]})).collect();
        json!({
            "type": "Control",
            "scope": format!("#/properties/{name}"),
            "rule": {
                "effect": "HIDE",
                "condition": {"scope": "#", "schema": {"type": "object", "anyOf": given}, "failWhenUndefined": true},
            },
        })
    };
    json!({
        "type": "VerticalLayout",
        "elements": [
            {"type": "Control", "scope": "#/properties/cluster"},
            control_unless("devices", &["look_again"]),
            control_unless("tasks", &["look_again"]),
            control_unless("look_again", &["devices", "tasks"]),
        ],
    })
}

#[cfg(test)]
mod tests {
    use lockstep_execution::check_arguments;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn arguments_that_the_schema_accepts_are_read() {
        let properties = properties();
        let look = json!({"task_id": "1", "net_element_id": "aa"});
        let accepted = [
            json!({"cluster": "oslo"}),
            json!({"cluster": "oslo", "devices": ["leaf1"], "tasks": ["1811"]}),
            json!({"cluster": "oslo", "look_again": [look]}),
        ];
        for arguments in accepted {
            assert!(
                check_arguments(&properties.json_schema, &arguments).is_ok(),
                "{arguments}"
            );
            assert_eq!(Arguments::read(&arguments).unwrap().cluster, "oslo");
        }
        let refused = [
            Value::Null,
            json!({}),
            json!({"cluster": ""}),
            json!({"cluster": "oslo", "devices": "leaf1"}),
            json!({"cluster": "oslo", "look_again": [{"task_id": "1"}]}),
            json!({"cluster": "oslo", "more": 1}),
        ];
        for arguments in refused {
            assert!(
                check_arguments(&properties.json_schema, &arguments).is_err(),
                "{arguments}"
            );
        }
        assert!(check_arguments(&properties.run_input_json_schema, &Value::Null).is_ok());
    }
}
