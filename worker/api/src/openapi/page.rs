//! `docs/reference/api.md` lists every request of the document, and `docs/reference/device-model.md` every attribute of a device.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::document;

const PAGE: &str = "docs/reference/api.md";
/// What the page has above the tables.
const BEGIN: &str = "<!-- made of worker/api/openapi.json -->\n";
const METHODS: [&str; 2] = ["get", "post"];

/// The resource of a path: its first segment below `/v1`, or what is beside that.
fn resource(path: &str) -> &str {
    path.strip_prefix("/v1/")
        .map_or("beside /v1", |path| path.split('/').next().unwrap())
}

fn names(operation: &Value, place: &str) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let named = parameters.filter(|parameter| parameter["in"] == place);
    let texts: Vec<_> = named
        .map(|parameter| format!("`{}`", parameter["name"].as_str().unwrap()))
        .collect();
    texts.join(", ")
}

fn tables(document: &Value) -> String {
    let mut rows: BTreeMap<&str, String> = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            let Some(operation) = operations.get(method) else {
                continue;
            };
            let needs = if operation.get("security").is_some() {
                "No token."
            } else {
                operation["description"].as_str().unwrap_or_default()
            };
            writeln!(
                rows.entry(resource(path)).or_default(),
                "| `{} {path}` | {} | {} | {} |",
                method.to_uppercase(),
                operation["summary"].as_str().unwrap(),
                names(operation, "query"),
                needs.replace('\n', " "),
            )
            .unwrap();
        }
    }
    let mut page = String::new();
    for (resource, rows) in rows {
        write!(page, "\n## {resource}\n\n| request | what it does | parameters | notes |\n| --- | --- | --- | --- |\n{rows}")
            .unwrap();
    }
    page
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test asks for it by a variable"
)]
fn the_page_about_the_api_has_every_request() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, written) = page.split_once(BEGIN).expect("the mark above the tables");
    let document = document();
    let methods = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().keys());
    for method in methods {
        assert!(METHODS.contains(&method.as_str()), "the page leaves out {method}");
    }
    let expected = tables(&document);
    if written.trim() != expected.trim() {
        assert!(
            std::env::var_os("LOCKSTEP_WRITE_PAGES").is_some(),
            "{PAGE} is outdated; run this test with LOCKSTEP_WRITE_PAGES=1, which writes it"
        );
        std::fs::write(&path, format!("{head}{BEGIN}{expected}")).unwrap();
    }
}

#[test]
fn the_page_about_the_device_model_has_every_attribute() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/device-model.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (_, attributes) = page.split_once("\n## Attributes of a device\n").unwrap();
    let (attributes, _) = attributes.split_once("\n## ").unwrap();
    let mut rows: Vec<&str> = Vec::new();
    for row in attributes.lines().filter(|line| line.starts_with("| `")) {
        let (names, _) = row[2..].split_once(" |").unwrap();
        rows.extend(names.split(", ").map(|name| name.trim_matches('`')));
    }
    rows.sort_unstable();
    let document = document();
    let properties = document["components"]["schemas"]["DeviceView"]["properties"]
        .as_object()
        .unwrap();
    let mut attributes: Vec<&str> = properties.keys().map(String::as_str).collect();
    attributes.sort_unstable();
    assert_eq!(rows, attributes);
}
