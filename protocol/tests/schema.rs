//! The committed schemas are the generated ones, and they accept the same messages as the decoder.

mod support;

use jsonschema::Validator;
use lockstep_protocol::{Envelope, Kind, schema};
use serde_json::{Value, json};
use support::{Golden, goldens};

const GENERATE: &str = "cargo run -p lockstep-protocol --features schema --example generate_schema";

fn validator(document: &Value) -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(document)
        .unwrap_or_else(|error| panic!("the schema is invalid: {error}"))
}

/// The golden files of the kinds that the public schemas have.
fn public_goldens() -> impl Iterator<Item = Golden> {
    goldens()
        .into_iter()
        .filter(|golden| !golden.name.starts_with(Kind::INTERNAL_PREFIX))
}

/// The schema of one type, taken out of the document as a reader in another language would.
fn validator_of(kind: &str) -> Validator {
    let mut document = schema::messages();
    let members = document.as_object_mut().expect("the document is an object");
    members.remove("oneOf");
    members.insert("$ref".to_owned(), format!("#/$defs/{kind}").into());
    validator(&document)
}

#[test]
fn the_committed_schemas_are_the_generated_ones() {
    for (name, committed, generated) in [
        (
            "messages",
            include_str!("../schema/messages.json"),
            schema::messages(),
        ),
        (
            "asyncapi",
            include_str!("../schema/asyncapi.json"),
            schema::asyncapi(),
        ),
    ] {
        let committed: Value = serde_json::from_str(committed).unwrap_or_default();
        assert!(
            committed == generated,
            "protocol/schema/{name}.json is not the generated one; review the difference after\n  \
             {GENERATE} {name} > protocol/schema/{name}.json"
        );
    }
}

#[test]
fn the_committed_broker_definitions_are_the_generated_ones() {
    let committed = include_str!("../../docker/rabbitmq/definitions.json");
    let committed: Value = serde_json::from_str(committed).unwrap_or_default();
    assert!(
        committed == schema::broker_definitions("lockstep", "lockstep"),
        "docker/rabbitmq/definitions.json is not the generated one; review the difference after\n  \
         {GENERATE} broker > docker/rabbitmq/definitions.json"
    );
}

#[test]
fn every_golden_file_matches_exactly_one_schema() {
    let any = validator(&schema::messages());
    for golden in public_goldens() {
        let json = golden.json();
        let of_type = validator_of(json["type"].as_str().unwrap());
        let errors: Vec<String> = of_type.iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", golden.name);
        assert!(
            any.is_valid(&json),
            "{}: does not match exactly one type",
            golden.name
        );
    }
}

#[test]
fn public_documents_name_no_internal_type() {
    for document in [schema::messages(), schema::asyncapi()] {
        assert!(!document.to_string().contains(Kind::INTERNAL_PREFIX));
    }
}

#[test]
fn planned_types_are_marked_in_both_documents() {
    let (messages, asyncapi) = (schema::messages(), schema::asyncapi());
    let kinds = Kind::ALL.iter().filter(|kind| kind.is_public());
    for kind in kinds {
        let name = kind.as_str();
        for marked in [
            &messages["$defs"][name],
            &asyncapi["components"]["schemas"][name],
            &asyncapi["components"]["messages"][name],
        ] {
            assert!(marked.is_object(), "{kind}");
            let description = marked["description"].as_str().unwrap_or_default();
            let said = description.contains("Planned: this version of Lockstep does not");
            let mark = marked["x-lockstep-planned"].as_bool().unwrap_or_default();
            assert_eq!(
                (said, mark),
                (kind.is_planned(), kind.is_planned()),
                "{kind}: {description}"
            );
        }
    }
}

#[test]
fn every_reference_of_the_asyncapi_document_resolves() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    found.push(target);
                }
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = schema::asyncapi();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > Kind::ALL.len());
    for target in found {
        assert!(
            document.pointer(target.trim_start_matches('#')).is_some(),
            "{target}"
        );
    }
}

#[test]
fn the_asyncapi_document_accepts_the_golden_files() {
    let document = schema::asyncapi();
    for golden in public_goldens() {
        let mut json = golden.json();
        let kind = json["type"].as_str().unwrap().to_owned();
        let root = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": format!("#/components/schemas/{kind}"),
            "components": document["components"].clone(),
        });
        let of_type = validator(&root);
        assert!(of_type.is_valid(&json), "{}", golden.name);
        json.as_object_mut().unwrap().remove("id");
        assert!(!of_type.is_valid(&json), "{}", golden.name);
    }
}

/// Puts each value at a place of a golden message, and checks that decoder and schema agree on it.
fn agree(golden: &str, pointer: &str, values: &[(Value, bool)]) {
    let golden = goldens()
        .into_iter()
        .find(|one| one.name == golden)
        .expect("there is that golden file");
    let mut json = golden.json();
    let of_type = validator_of(json["type"].as_str().expect("types are texts"));
    for (value, accepted) in values {
        *json.pointer_mut(pointer).expect("the golden file has that place") = value.clone();
        let decoded = Envelope::decode(json.to_string().as_bytes());
        assert_eq!(
            decoded.is_ok(),
            *accepted,
            "decoder, {pointer} = {value}: {decoded:?}"
        );
        assert_eq!(of_type.is_valid(&json), *accepted, "schema, {pointer} = {value}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn decoder_and_schema_agree_on_texts() {
    let interface = "lockstep.interface.updated";
    let no_text = [(json!(7), false), (json!(true), false), (json!(["x"]), false)];
    let line = [
        (json!("x"), true),
        (json!("ä".repeat(255)), true),
        (json!("ä".repeat(256)), false),
        (json!(""), false),
        (json!("a\nb"), false),
        (json!("a\u{7f}"), false),
        (json!("a\u{85}"), false),
        (json!("\u{0}"), false),
    ];
    for pointer in ["/data/interfaces/0/name", "/subject"] {
        agree(interface, pointer, &line);
        agree(interface, pointer, &no_text);
    }
    agree(interface, "/id", &no_text);
    agree(
        interface,
        "/id",
        &[
            (json!("order 17"), true),
            (json!("x".repeat(255)), true),
            (json!("x".repeat(256)), false),
            (json!(""), false),
            (json!("a\tb"), false),
            (Value::Null, false),
        ],
    );
    agree(
        interface,
        "/source",
        &[
            (json!("/a?b#c"), true),
            (json!("a b"), false),
            (json!("ä"), false),
            (json!(""), false),
        ],
    );
    agree(
        interface,
        "/data/hostname",
        &[
            (json!("sw1"), true),
            (json!("SW1.example.org."), true),
            (json!("a".repeat(63)), true),
            (json!("a".repeat(64)), false),
            (json!(format!("{}a", "a.".repeat(126))), true),
            (json!(format!("{}aa", "a.".repeat(126))), false),
            (json!("a.".repeat(127)), false),
            (json!("a_b"), false),
            (json!("-a"), false),
            (json!("a-"), false),
            (json!("a..b"), false),
            (json!("."), false),
            (json!("sw1\n"), false),
            (json!(""), false),
            (Value::Null, false),
        ],
    );
    agree(
        interface,
        "/data/kind",
        &[
            (json!("status"), true),
            (json!("Status"), false),
            (json!({"status": null}), false),
        ],
    );
    agree(
        interface,
        "/datacontenttype",
        &[
            (json!("application/json; charset=utf-8"), true),
            (json!("Application/JSON"), true),
            (json!("application/vnd.example+json"), true),
            (json!("text/json ;x"), true),
            (json!("application/xml"), false),
            (json!("application/jsonx"), false),
            (json!("json"), false),
            (json!("/json"), false),
        ],
    );
    agree(
        interface,
        "/time",
        &[
            (json!("2026-03-01T12:00:00.123456789+01:00"), true),
            (json!("2026-03-01t12:00:00z"), true),
            (json!("2026-02-30T12:00:00Z"), false),
            (json!("2026-03-01T25:00:00Z"), false),
            (json!("2026-03-01 12:00:00Z"), false),
            (json!("2026-03-01"), false),
            (json!(1_772_366_400), false),
        ],
    );
    agree(
        "lockstep.repository.changed",
        "/data/branch",
        &[
            (json!("feature/x"), true),
            (json!("refs/heads/main"), false),
            (json!(""), false),
        ],
    );
    agree(
        "lockstep.repository.changed",
        "/data/after",
        &[
            (json!("0".repeat(40)), true),
            (json!("A".repeat(64)), true),
            (json!("0".repeat(41)), false),
            (json!("main"), false),
        ],
    );
    agree(
        "lockstep.device.provisioned",
        "/data/mac",
        &[
            (json!("444c.a800.0001"), true),
            (json!("44-4C-A8-00-00-01"), true),
            (json!("44:4c:a8:00:00"), false),
            (json!("44 4c a8 00 00 01"), false),
            (Value::Null, true),
        ],
    );
    agree(
        "lockstep.device.provisioned",
        "/data/management_ip",
        &[
            (json!("2001:db8::1"), true),
            (json!("10.0.0.256"), false),
            (json!("10.0.0.1/24"), false),
            (json!("fe80::1%eth0"), false),
        ],
    );
    agree(
        "lockstep.device.state-requested",
        "/data/note",
        &[
            (json!("two\nlines"), true),
            (json!(""), true),
            (json!("x".repeat(1001)), false),
            (json!("\u{7}"), false),
        ],
    );
    agree(
        "lockstep.execution.cancel-requested",
        "/data/execution",
        &[
            (json!("0195518F-3C11-7D3E-8A4B-5C6D7E8F9012"), true),
            (json!("0195518f3c117d3e8a4b5c6d7e8f9012"), false),
            (json!("urn:uuid:0195518f-3c11-7d3e-8a4b-5c6d7e8f9012"), false),
        ],
    );
}

#[test]
fn decoder_and_schema_agree_on_lists_choices_and_numbers() {
    let interfaces = |count: usize| json!(vec![json!({"name": "Ethernet1"}); count]);
    agree(
        "lockstep.interface.updated",
        "/data/interfaces",
        &[
            (interfaces(1), true),
            (interfaces(4096), true),
            (interfaces(4097), false),
            (json!([]), false),
            (Value::Null, false),
            (json!({}), false),
            (json!([["Ethernet1", null]]), false),
            (json!([{}]), false),
        ],
    );
    let devices = |count: usize| {
        let device = |number| json!({"hostname": format!("sw{number}"), "device_type": "ACCESS"});
        json!((0..count).map(device).collect::<Vec<_>>())
    };
    agree(
        "lockstep.inventory.imported",
        "/data/devices",
        &[(devices(0), true), (devices(1000), true), (devices(1001), false)],
    );
    agree(
        "lockstep.inventory.imported",
        "/data/devices/0/groups",
        &[
            (json!([]), true),
            (Value::Null, true),
            (json!(vec!["g"; 1001]), false),
        ],
    );
    agree(
        "lockstep.repository.changed",
        "/data/paths",
        &[
            (json!(["a"]), true),
            (Value::Null, true),
            (json!(["x".repeat(4097)]), false),
            (json!(vec!["a"; 10_001]), false),
        ],
    );
    agree(
        "lockstep.sync.requested",
        "/data/targets",
        &[
            (json!("all"), true),
            (json!({"hostname": "sw1"}), true),
            (json!({"device_type": "DIST"}), true),
            (json!({"hostname": "sw1", "group": "g"}), false),
            (json!({"device_type": "SPINE"}), true),
            (json!({"device_type": "spine"}), false),
            (json!("group"), false),
            (json!({}), false),
            (json!([]), false),
        ],
    );
    agree(
        "lockstep.dead-letter.drop-requested",
        "/data/dead_letter",
        &[
            (json!(u64::MAX), true),
            (json!(-1), false),
            (json!(1.5), false),
            (json!("42"), false),
        ],
    );
    agree(
        "lockstep.element.finished",
        "/data/change_score",
        &[(json!(100), true), (json!(101), false), (json!(-1), false)],
    );
}
