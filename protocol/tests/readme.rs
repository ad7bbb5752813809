//! The README's examples, tables and limits match the code.

use lockstep_protocol::{Class, Envelope, Kind, bounds, envelope, schema};
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

/// The rows of the table with this heading: the type with its mark, and its fields.
fn table(heading: Class) -> Vec<(String, Vec<String>)> {
    let start = format!("| {heading} | `data` |\n| --- | --- |\n");
    let (_, rest) = README
        .split_once(&start)
        .unwrap_or_else(|| panic!("the README has no table of {heading}s"));
    let rows = rest.lines().map_while(|line| {
        let (name, fields) = line.strip_prefix("| ")?.split_once(" | ")?;
        let fields = fields.trim_end_matches(" |").split(", ");
        let fields = fields.filter(|field| *field != "—");
        let mut fields: Vec<String> = fields.map(|field| field.replace('`', "")).collect();
        fields.sort();
        Some((name.to_owned(), fields))
    });
    rows.collect()
}

/// The fields of the `data` of a kind, required ones in bold.
fn fields(schema: &Value, kind: Kind) -> Vec<String> {
    let data = &schema["$defs"][kind.as_str()]["properties"]["data"]["$ref"];
    let body = schema
        .pointer(
            data.as_str()
                .expect("bodies are references")
                .trim_start_matches('#'),
        )
        .expect("references resolve");
    let required = body["required"].as_array().cloned().unwrap_or_default();
    assert_eq!(body["type"], "object", "{kind}");
    let properties = body["properties"].as_object();
    let mut fields: Vec<String> = properties
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .map(|name| {
            if required.iter().any(|one| one == name) {
                format!("**{name}**")
            } else {
                name.clone()
            }
        })
        .collect();
    fields.sort();
    fields
}

#[test]
fn its_tables_are_the_table_of_kinds() {
    let schema = schema::messages();
    for class in [Class::Event, Class::Command, Class::Result] {
        let kinds = Kind::ALL.iter().filter(|kind| kind.class() == class);
        let expected: Vec<(String, Vec<String>)> = kinds
            .map(|kind| {
                let mark = if kind.is_planned() { " *planned*" } else { "" };
                (format!("`{kind}`{mark}"), fields(&schema, *kind))
            })
            .collect();
        assert_eq!(table(class), expected);
    }
}

#[test]
fn the_rules_mark_planned_types_too() {
    let rules = include_str!("../../docs/reference/sync-rules.md");
    for kind in Kind::ALL {
        let name = format!("`{kind}`");
        for row in rules
            .lines()
            .filter(|line| line.starts_with('|') && line.contains(&name))
        {
            assert_eq!(row.contains("*planned*"), kind.is_planned(), "{row}");
        }
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
            bounds::MAX_CHUNK_LINKS,
            bounds::MAX_CHUNK_DOMAINS,
            bounds::MAX_OBJECT,
            bounds::MAX_ENTITIES,
        ]
    );
}
