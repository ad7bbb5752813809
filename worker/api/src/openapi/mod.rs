//! The OpenAPI document of the console, with the schemas of the types that the routes answer with. It is committed as
//! `worker/api/openapi.json`; tests compare it with the routes, and its parameters with what the routes take.

mod access;
mod dead_letters;
mod examples;
mod executions;
mod fleet;
mod graphql;
mod groups;
mod messages;
#[cfg(test)]
mod page;
mod probes;
mod syncs;
mod tasks;

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use bytes::Bytes;
use lockstep_http::ReadScope;
use lockstep_protocol::rest::Problem;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// `GET /openapi.json`. The document is made once: anybody may ask for it, as often as they like.
pub(crate) async fn serve() -> impl IntoResponse {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    ([(CONTENT_TYPE, "application/json")], TEXT.clone())
}

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut document = Document {
        generator: settings.into_generator(),
        paths: Map::new(),
    };
    document.messages();
    document.fleet();
    document.groups();
    document.dead_letters();
    document.tasks();
    document.executions();
    document.syncs();
    document.access();
    document.graphql();
    document.probes();
    document.finish()
}

/// The document, as far as it is made.
struct Document {
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Document {
    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// An optional parameter of a query.
    fn query<T: JsonSchema>(&mut self, name: &str, description: &str) -> Value {
        json!({"name": name, "in": "query", "description": description, "schema": self.schema::<T>()})
    }

    fn limit(&mut self) -> Value {
        let mut limit = self.query::<u32>("limit", "The most entries of the page; 100 if absent.");
        limit["schema"] = json!({"type": "integer", "minimum": 1, "maximum": 1000});
        limit
    }

    fn total(&mut self) -> Value {
        self.query::<bool>("total", "Whether to count all entries that match.")
    }

    /// Adds a route for reading. `T` is the answer.
    fn get<T: JsonSchema>(
        &mut self,
        path: &str,
        id: &str,
        summary: &str,
        scope: Option<ReadScope>,
        query: &[Value],
    ) {
        let in_path = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut parameters: Vec<Value> = in_path
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        let is_one = !parameters.is_empty() || matches!(path, "/v1/messages" | "/v1/sync/selection");
        parameters.extend_from_slice(query);
        let answer = self.schema::<T>();
        let mut operation = operation(id, summary, scope, &answer, &parameters);
        if is_one {
            operation["responses"]["404"] = response_of("404");
        }
        self.add(path, "get", operation);
    }

    fn add(&mut self, path: &str, method: &str, mut operation: Value) {
        examples::add_to(&mut operation);
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation;
    }

    fn finish(mut self) -> Value {
        let problem = self.schema::<Problem>();
        let responses: Map<String, Value> = PROBLEMS
            .iter()
            .map(|(status, code, description)| {
                let example = Problem::new(*status, code, description);
                let mut response = json!({
                    "description": description,
                    "content": {"application/problem+json": {"schema": problem, "example": example}},
                });
                if matches!(*status, 429 | 503) {
                    let schema = json!({"type": "integer"});
                    response["headers"] = json!({
                        "Retry-After": {"description": "Seconds to wait before the request is sent again.", "schema": schema},
                    });
                }
                (format!("Problem{status}"), response)
            })
            .collect();
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Lockstep console",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Publishes events and commands, and shows what is stored. Every error is a problem (RFC 9457) with a \
                                stable code. The description of an operation says what `reads` of the token must have. The header \
                                `Lockstep-Reason` says why a request is sent, for the audit: percent-encoded UTF-8, at most 1000 characters.",
            },
            "paths": self.paths,
            "components": {
                "schemas": self.generator.take_definitions(true),
                "responses": responses,
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer", "description": "One of console.tokens, or one that `POST /v1/tokens` created."},
                },
            },
            "security": [{"token": []}],
        })
    }
}

/// The problems by status, each with one of its codes. Those of every operation come first.
const PROBLEMS: [(u16, &str, &str); 13] = [
    (
        400,
        "invalid-query",
        "The parameters or the body are invalid; `place` tells where",
    ),
    (401, "unauthorized", "The token is missing or invalid"),
    (403, "not-allowed", "The token may not do this"),
    (429, "too-many-requests", "Too many concurrent requests"),
    (500, "internal", "The server failed; its log has the details"),
    (503, "stopping", "The store or the broker is unavailable"),
    (404, "unknown-execution", "It does not exist"),
    (
        409,
        "task-outdated",
        "It contradicts what is stored: a task that does not fit its provider any more, a name that is taken, a token that is revoked",
    ),
    (
        406,
        "not-acceptable",
        "None of the forms of the answer is accepted",
    ),
    (408, "timeout", "The body took too long to arrive"),
    (413, "too-large", "The body is too large"),
    (
        415,
        "unsupported-media-type",
        "The format of the body is not supported",
    ),
    (502, "broker-refused", "The broker refused the message"),
];
/// How many of [`PROBLEMS`] every operation may answer with.
const COMMON: usize = 6;

fn response_of(status: &str) -> Value {
    json!({"$ref": format!("#/components/responses/Problem{status}")})
}

fn required(mut parameter: Value) -> Value {
    parameter["required"] = true.into();
    parameter
}

/// An operation that answers 200.
fn operation(
    id: &str,
    summary: &str,
    scope: Option<ReadScope>,
    answer: &Value,
    parameters: &[Value],
) -> Value {
    let mut responses: Map<String, Value> = PROBLEMS[..COMMON]
        .iter()
        .map(|(status, ..)| (status.to_string(), response_of(&status.to_string())))
        .collect();
    let content = json!({"application/json": {"schema": answer}});
    responses.insert(
        "200".to_owned(),
        json!({"description": summary, "content": content}),
    );
    let scope = scope.map(|scope| format!("Needs `{scope}`."));
    let mut operation = json!({"operationId": id, "summary": summary, "responses": responses});
    if let Some(scope) = scope {
        operation["description"] = scope.into();
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    operation
}
