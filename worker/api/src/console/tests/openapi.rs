//! The OpenAPI document: committed, complete and true.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use super::super::resources;
use super::scene;
use crate::openapi;

#[tokio::test]
async fn the_document_is_committed_and_served_to_everybody() {
    let scene = scene();
    let request = Request::builder().uri("/openapi.json").body(Body::empty());
    let served = scene.send(request.unwrap()).await;
    assert_eq!(served.status, 200);
    let committed: Value = serde_json::from_str(include_str!("../../../openapi.json")).unwrap_or_default();
    assert!(
        committed == served.body && committed == openapi::document(),
        "worker/api/openapi.json is outdated; regenerate it and check the difference:\n  \
         cargo run -- schema openapi console > worker/api/openapi.json"
    );
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other() {
    let document = openapi::document();
    let documented: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let others = [
        "/graphql",
        "/v1/messages",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
    ];
    let routes = resources();
    let routes: BTreeSet<&str> = routes.iter().map(|(path, _)| *path).chain(others).collect();
    assert_eq!(documented, routes);
    let scene = scene();
    for (path, item) in document["paths"].as_object().unwrap() {
        // Without metrics there is no such route here.
        if path == "/metrics" {
            continue;
        }
        for method in ["get", "post"] {
            let request = Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(path);
            let status = scene.send(request.body(Body::empty()).unwrap()).await.status;
            assert_eq!(
                item.get(method).is_none(),
                status == 405,
                "{method} {path} {status}"
            );
        }
    }
}

#[tokio::test]
async fn the_parameters_are_those_that_the_routes_take() {
    let scene = scene();
    let document = openapi::document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let in_query: BTreeSet<String> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        if in_query.is_empty() {
            continue;
        }
        let path = path.replace("{execution}", "1").replace("{id}", "1");
        let required = match path.as_str() {
            "/v1/messages" => "&source=urn:test&id=1",
            "/v1/fleet/ages" => "&of=unmanaged&warning=1&critical=2",
            _ => "",
        };
        let answer = scene.get(&format!("{path}?no-parameter=1{required}")).await;
        assert_eq!(answer.problem(), (400, "invalid-query"), "{path}");
        let detail = answer.body["detail"].as_str().unwrap();
        let (_, known) = detail.split_once("expected one of ").unwrap();
        let taken: BTreeSet<String> = known.split(", ").map(str::to_owned).collect();
        assert_eq!(in_query, taken, "{path}");
    }
}

#[test]
fn every_reference_leads_to_a_component() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = openapi::document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50, "{}", found.len());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

/// What every operation under `/v1` may answer with, beside its answer.
const COMMON: [&str; 6] = ["400", "401", "403", "429", "500", "503"];

/// The operations of the document, with their paths and methods.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    operations.collect()
}

#[test]
fn every_operation_has_its_parameters_an_answer_and_its_problems() {
    let document = openapi::document();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{name}");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in &parameters {
            let described = parameter["in"] == "path" || parameter["description"].is_string();
            assert!(
                described && parameter["schema"].is_object(),
                "{name}: {parameter}"
            );
        }
        let (_, path) = name.split_once(' ').unwrap();
        for part in path.split('/').filter_map(|part| part.strip_prefix('{')) {
            let part = part.trim_end_matches('}');
            let named = |parameter: &&Value| parameter["name"] == part && parameter["in"] == "path";
            assert_eq!(parameters.iter().filter(named).count(), 1, "{name}: {part}");
        }
        let responses = operation["responses"].as_object().unwrap();
        let answers = ["200", "201", "202"]
            .iter()
            .filter(|status| responses.contains_key(**status));
        assert_eq!(answers.count(), 1, "{name}");
        if path.starts_with("/v1/") {
            for status in COMMON {
                let expected = format!("#/components/responses/Problem{status}");
                assert_eq!(responses[status]["$ref"], expected, "{name}");
            }
        }
    }
}

/// Every body that the document describes, with the name of the place.
fn bodies(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (name, operation) in operations(document) {
        let answers = operation["responses"].as_object().unwrap().iter();
        let answers = answers.filter(|(status, _)| status.starts_with('2'));
        let contents = answers.map(|(status, response)| (status.clone(), &response["content"]));
        let request = ("request".to_owned(), &operation["requestBody"]["content"]);
        for (place, content) in contents.chain([request]) {
            for (media_type, body) in content.as_object().into_iter().flatten() {
                found.push((format!("{name} {place} {media_type}"), body));
            }
        }
    }
    for (name, response) in document["components"]["responses"].as_object().unwrap() {
        found.push((name.clone(), &response["content"]["application/problem+json"]));
    }
    found
}

#[test]
fn every_answer_has_an_example_and_every_example_fits_its_schema() {
    let document = openapi::document();
    let bodies = bodies(&document);
    assert!(bodies.len() > 50, "{}", bodies.len());
    for (name, body) in bodies {
        let Some(example) = body.get("example").filter(|example| !example.is_null()) else {
            let may_have_none = name.ends_with("text/event-stream") || name.contains(" request ");
            assert!(may_have_none, "{name} has no example");
            continue;
        };
        let mut schema = body["schema"].clone();
        schema["components"] = document["components"].clone();
        let validator = jsonschema::options().should_validate_formats(true).build(&schema);
        let validator = validator.unwrap_or_else(|error| panic!("{name}: {error}"));
        let problems: Vec<String> = validator
            .iter_errors(example)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{name}: {problems:#?}");
    }
}
