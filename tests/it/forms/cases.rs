//! Arguments of each provider: whether they are valid, and what rules make of the form.

use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Arguments, and whether they are valid.
    pub(super) arguments: Vec<(Value, bool)>,
    /// Arguments, and the properties whose controls they hide.
    pub(super) shown: Vec<(Value, &'static [&'static str])>,
}

impl Tables {
    /// The data of each case: none first, then those of both tables.
    pub(super) fn data(&self) -> impl Iterator<Item = Value> + '_ {
        let arguments = self.arguments.iter().map(|(arguments, _)| arguments);
        let shown = self.shown.iter().map(|(arguments, _)| arguments);
        [json!({})].into_iter().chain(arguments.chain(shown).cloned())
    }
}

/// The cases of a form: `PROVIDER, task`, or `PROVIDER, run`, or that of a task of the documentation.
pub(super) fn of(form: &str) -> Tables {
    match form {
        "check_aggregation, task" => check_aggregation(),
        "command, task" => command(),
        "command, run" => Tables {
            arguments: vec![
                (json!({}), true),
                (json!({"timeout_seconds": 5}), true),
                (json!({"timeout_seconds": 0}), false),
                (json!({"timeout_seconds": 1.5}), false),
                (json!({"timeout": 5}), false),
            ],
            ..Tables::default()
        },
        "cvp_sweep, task" => cvp_sweep(),
        "ping, task" => Tables {
            arguments: vec![
                (json!({}), true),
                (json!({"timeout_seconds": 300}), true),
                (json!({"timeout_seconds": 301}), false),
                (json!({"timeout_seconds": "5"}), false),
            ],
            ..Tables::default()
        },
        "check_aggregation, run" | "cvp_sweep, run" | "ping, run" | "sync, run" => Tables {
            arguments: vec![(json!({}), true), (json!({"a": 1}), false), (json!([]), false)],
            ..Tables::default()
        },
        "rest_facts, task" => rest_facts(),
        "sync, task" => sync(),
        "template_check, task" => template_check(),
        "template_facts, task" => template_facts(),
        "rest_facts, run" | "template_check, run" | "template_facts, run" | "workflow, run" => Tables {
            arguments: vec![
                (json!({}), true),
                (json!({"any": [1]}), true),
                (json!("any"), false),
            ],
            ..Tables::default()
        },
        "vlan is there, run" => vlan_is_there(),
        "workflow, task" => workflow(),
        other => panic!("no table of cases for {other}"),
    }
}

fn check_aggregation() -> Tables {
    let valid = json!({"run_on": "GROUP", "check_key": "up", "of": "DEVICE", "of_check": "up"});
    Tables {
        arguments: vec![
            (valid.clone(), true),
            (with(&valid, "percent", json!(99.5)), true),
            (with(&valid, "percent", json!(101)), false),
            (with(&valid, "missing", json!("maybe")), false),
            (with(&valid, "check_key", json!("")), false),
            (with(&valid, "of", json!("CLIENT")), false),
            (json!({"run_on": "INTERFACE"}), false),
            (with(&valid, "other", json!(1)), false),
        ],
        ..Tables::default()
    }
}

fn command() -> Tables {
    Tables {
        arguments: vec![
            (
                json!({"commands": ["show version", "show ip bgp regexp ^65000_"]}),
                true,
            ),
            (
                json!({"commands": ["show version"], "format": "text", "facts_key": "v-1"}),
                true,
            ),
            (json!({}), false),
            (json!({"commands": []}), false),
            (
                json!({"commands": ["show version", "reload", "show a | b", "show a\nreload", 7]}),
                false,
            ),
            (json!({"commands": ["show a", "show a"]}), false),
            (json!({"commands": ["show a\u{85}"]}), false),
            (json!({"commands": [format!("show {}", "x".repeat(1000))]}), false),
            (json!({"commands": ["show version"], "facts_key": "a.b"}), false),
            (
                json!({"commands": ["show version"], "max_output_bytes": 16_777_217}),
                false,
            ),
        ],
        ..Tables::default()
    }
}

fn cvp_sweep() -> Tables {
    let look = json!([{"task_id": "1", "net_element_id": "aa"}]);
    Tables {
        arguments: vec![
            (
                json!({"cluster": "oslo", "devices": ["leaf1"], "tasks": ["1811"]}),
                true,
            ),
            (json!({"cluster": "oslo", "look_again": look}), true),
            (
                json!({"cluster": "oslo", "look_again": [{"task_id": "1"}]}),
                false,
            ),
            (json!({"devices": ["leaf1", "leaf1", ""]}), false),
            (json!({"cluster": ["oslo"]}), false),
        ],
        shown: vec![
            (json!({"cluster": "oslo"}), &[]),
            (json!({"cluster": "oslo", "devices": []}), &["look_again"]),
            (json!({"tasks": ["1811"]}), &["look_again"]),
            (json!({"look_again": look}), &["devices", "tasks"]),
        ],
    }
}

fn rest_facts() -> Tables {
    let valid = json!({"run_on": "DEVICE", "facts_key": "site", "service": "cmdb", "path": "/devices/{{ device.hostname }}"});
    Tables {
        arguments: vec![
            (valid.clone(), true),
            (with(&valid, "not_found", json!("keep")), true),
            (with(&valid, "timeout_seconds", json!(0)), false),
            (with(&valid, "retries", json!("3")), false),
            (json!({"run_on": "DEVICE"}), false),
            (with(&valid, "url", json!("https://cmdb.example.org")), false),
        ],
        ..Tables::default()
    }
}

fn workflow() -> Tables {
    Tables {
        arguments: vec![
            (json!({"steps": [{"task": "first"}, {"task": "second"}]}), true),
            (json!({"steps": [{"name": "first"}]}), false),
            (json!({"steps": []}), false),
            (json!({}), false),
        ],
        ..Tables::default()
    }
}

fn sync() -> Tables {
    Tables {
        arguments: vec![
            (json!({}), true),
            (json!({"action": "render", "commit": "4b82", "note": null}), true),
            (json!({"targets": {"hostname": "leaf1"}, "resync": true}), true),
            (
                json!({"action": "push", "force": "yes", "plan": 7, "session": "x".repeat(256)}),
                false,
            ),
        ],
        shown: vec![
            (json!({}), &["commit", "session"]),
            (json!({"action": "synchronize"}), &["commit", "session"]),
            (
                json!({"action": "render"}),
                &["force", "plan", "rollback", "session"],
            ),
            (
                json!({"action": "drift"}),
                &["commit", "force", "plan", "rollback", "session"],
            ),
            (
                json!({"action": "abort-session"}),
                &["commit", "force", "plan", "rollback"],
            ),
        ],
    }
}

fn template_check() -> Tables {
    let least = json!({"run_on": "DEVICE", "check_key": "version"});
    let valid = with(&least, "expression", json!("true"));
    Tables {
        arguments: vec![
            (valid.clone(), true),
            (with(&least, "template", json!("{{ true }}")), true),
            (with(&valid, "metrics", json!({"a": "1", "b": "2"})), true),
            (least, false),
            (with(&valid, "template", json!("{{ true }}")), false),
            (with(&valid, "metrics", json!({"a": 1, "b": ""})), false),
            (with(&valid, "run_on", json!("GLOBAL")), false),
            (json!({"check_key": 7, "expression": ""}), false),
        ],
        shown: vec![
            (json!({"run_on": "DEVICE"}), &[]),
            (valid, &["template"]),
            (json!({"template": "x"}), &["expression"]),
        ],
    }
}

fn template_facts() -> Tables {
    let least = json!({"run_on": "GLOBAL", "facts_key": "count"});
    let valid = with(&least, "expressions", json!({"a": "1"}));
    Tables {
        arguments: vec![
            (valid.clone(), true),
            (with(&least, "template", json!("{{ 1 }}")), true),
            (least.clone(), false),
            (with(&valid, "template", json!("{{ 1 }}")), false),
            (with(&least, "expressions", json!({})), false),
            (with(&least, "expressions", json!({"a": ["1"]})), false),
        ],
        shown: vec![
            (least, &[]),
            (valid, &["template"]),
            (json!({"template": "x"}), &["expressions"]),
        ],
    }
}

/// The task of the documentation.
fn vlan_is_there() -> Tables {
    Tables {
        arguments: vec![
            (json!({"vlan": 7}), true),
            (json!({"vlan": 7, "mode": "trunk", "native": 1}), true),
            (json!({"mode": "trunk"}), false),
            (json!({"vlan": 0, "native": 5000, "mode": 1}), false),
            (json!({"vlan": 7, "vlna": 7}), false),
        ],
        shown: vec![
            (json!({"vlan": 7}), &["native"]),
            (json!({"vlan": 7, "mode": "access"}), &["native"]),
            (json!({"vlan": 7, "mode": "trunk"}), &[]),
        ],
    }
}

fn with(arguments: &Value, name: &str, value: Value) -> Value {
    let mut arguments = arguments.clone();
    arguments[name] = value;
    arguments
}
