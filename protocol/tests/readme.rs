//! The README's examples, tables and limits match the code.

use lockstep_protocol::{Envelope, Kind, bounds, envelope, schema};
use serde_json::Value;

const README: &str = include_str!("../README.md");

#[test]
fn its_examples_are_valid_messages() {
    let examples: Vec<&str> = README
        .split("```json\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let decoded =
            Envelope::decode(example.as_bytes()).unwrap_or_else(|error| panic!("{error}: {example}"));
        let written: Value = serde_json::from_slice(&decoded.envelope.encode()).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(example).unwrap());
    }
}

#[test]
fn its_tables_name_every_type_and_field() {
    let schema = schema::messages();
    for kind in Kind::ALL {
        let start = format!("| `{kind}` | ");
        let row = README
            .lines()
            .find_map(|line| line.strip_prefix(&start))
            .unwrap_or_else(|| panic!("the README has no row for {kind}"));
        let mut listed: Vec<String> = row
            .trim_end_matches(" |")
            .split(", ")
            .map(|field| field.replace('`', ""))
            .collect();
        listed.sort();

        let data = &schema["$defs"][kind.as_str()]["properties"]["data"]["$ref"];
        let body = schema
            .pointer(data.as_str().unwrap().trim_start_matches('#'))
            .unwrap();
        let required = body["required"].as_array().cloned().unwrap_or_default();
        let mut fields: Vec<String> = body["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(|name| {
                if required.iter().any(|one| one == name) {
                    format!("**{name}**")
                } else {
                    name.clone()
                }
            })
            .collect();
        fields.sort();
        assert_eq!(listed, fields, "{kind}");
    }
}

#[test]
fn its_limits_equal_those_of_the_code() {
    assert_eq!(envelope::MAX_BODY_BYTES, 4 << 20);
    let limits = README
        .split("Limits: ")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let numbers: Vec<usize> = limits
        .split(|c: char| !c.is_ascii_digit() && c != ',')
        .filter_map(|word| word.replace(',', "").parse().ok())
        .collect();
    assert_eq!(
        numbers,
        [
            bounds::MAX_LABEL,
            bounds::MAX_NOTE,
            bounds::MAX_PATH,
            bounds::MAX_INTERFACES,
            bounds::MAX_PATHS,
            bounds::MAX_CHUNK_DEVICES,
            bounds::MAX_CHUNK_GROUPS,
            bounds::MAX_CHUNK_INTERFACES,
            bounds::MAX_CHUNK_CLIENTS,
            bounds::MAX_ENTITIES,
        ]
    );
}
