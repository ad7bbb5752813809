//! The OpenAPI document of the console, with the schemas of the types that the routes answer with. It is committed as
//! `worker/api/openapi.json`; tests compare it with the routes, and its parameters with what the routes take.

mod access;

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use bytes::Bytes;
use lockstep_http::ReadScope;
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_protocol::rest::{
    Accepted, AgeOf, CheckList, DeadLetterCounts, DeadLetterDetail, DeadLetterPage, DevicePage, DeviceView,
    ElementDetail, ElementPage, EntityResultPage, ExecutionPage, ExecutionView, FactList, FleetAges,
    GroupDetail, GroupPage, HistoryPage, MessageView, Problem, ProviderList, ProviderView, RepositoryList,
    SchedulePage, SelectionPage, StopView, SurroundingsView, SyncConfigurationView, SyncDevicePage,
    SyncDeviceView, TaskForm, TaskPage, TaskValidation, TaskView,
};
use lockstep_protocol::{
    DeadLetterState, DeviceState, DeviceType, ExecutionState, GroupName, Hostname, Level,
};
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
    fn messages(&mut self) {
        let accepted = self.schema::<Accepted>();
        let answer = json!({"oneOf": [accepted, {"type": "array", "items": accepted}]});
        let object = json!({"schema": {"type": "object"}});
        let list = json!({"schema": {"type": "array", "items": {"type": "object"}}});
        let mut publish = operation("publish", "Publishes events and commands", None, &answer, &[]);
        publish["requestBody"] = json!({
            "description": format!(
                "CloudEvents HTTP binding: structured, batch, or binary (attributes in ce- headers, data in the body), at most \
                 {MAX_BODY_BYTES} bytes. `lockstep schema messages` prints the schemas of the types."
            ),
            "required": true,
            "content": {
                "application/cloudevents+json": object, "application/cloudevents-batch+json": list, "application/json": object,
            },
        });
        let accepted = publish["responses"]
            .as_object_mut()
            .and_then(|all| all.remove("200"));
        let responses = &mut publish["responses"];
        responses["202"] = accepted.unwrap_or_default();
        responses["202"]["description"] = "The broker confirmed the messages".into();
        for status in ["408", "413", "415", "502"] {
            responses[status] = response_of(status);
        }
        self.add("/v1/events", "post", publish);

        let parameters = [
            required(self.query::<String>("source", "The `source` of the message.")),
            required(self.query::<String>("id", "The `id` of the message.")),
            self.query::<String>(
                "by",
                "The sender of the message; the caller, or the forge of a webhook, if absent.",
            ),
            self.query::<bool>(
                "anonymous",
                "Whether the message has no sender that the broker validated.",
            ),
            self.query::<String>("digest", "The digest of its content, in hexadecimal."),
            self.query::<u64>(
                "wait",
                "How many seconds to wait for the outcome, at most 60; 0 if absent.",
            ),
        ];
        self.get::<MessageView>(
            "/v1/messages",
            "outcome",
            "The outcome of a message; of others than the caller's own with `messages`",
            None,
            &parameters,
        );
    }

    fn fleet(&mut self) {
        let parameters = [
            self.query::<bool>("synchronized", "Only devices that are synchronized, or are not."),
            self.query::<DeviceState>("state", "Only devices in this state."),
            self.query::<DeviceType>("device_type", "Only devices of this type."),
            self.query::<GroupName>("group", "Only members of this group."),
            self.query::<Hostname>("after", "The end of the page before: its `next`."),
            self.limit(),
            self.total(),
        ];
        let scope = Some(ReadScope::Devices);
        self.get::<DevicePage>(
            "/v1/devices",
            "list_devices",
            "Devices, ordered by hostname",
            scope,
            &parameters,
        );
        self.get::<DeviceView>("/v1/devices/{hostname}", "device", "One device", scope, &[]);
        let mut events = self.query::<u32>("limit", "The most events, 1 to 100; 20 if absent.");
        events["schema"] = json!({"type": "integer", "minimum": 1, "maximum": 100});
        let pages = [
            self.query::<String>("before", "The end of the page before: its `next`."),
            events,
        ];
        self.get::<HistoryPage>(
            "/v1/devices/{hostname}/history",
            "device_history",
            "What happened to a device, newest first: its states and names, why it was not synchronized, and what closed that",
            scope,
            &pages,
        );
        let mut limit = self.query::<u32>("limit", "The most entries of one key, 1 to 100; 20 if absent.");
        limit["schema"] = json!({"type": "integer", "minimum": 1, "maximum": 100});
        let history = [
            self.query::<String>("key", "Only this key, with its history."),
            limit,
        ];
        self.get::<FactList>(
            "/v1/devices/{hostname}/facts",
            "device_facts",
            "What providers found out about a device; with `key`, the values that one fact had, the newest first",
            Some(ReadScope::DeviceOutput),
            &history,
        );
        self.get::<CheckList>(
            "/v1/devices/{hostname}/checks",
            "device_checks",
            "The newest checks of a device; with `key`, the results that one check had, the newest first",
            Some(ReadScope::DeviceOutput),
            &history,
        );
        self.groups();
        self.get::<SurroundingsView>(
            "/v1/devices/{hostname}/surroundings",
            "device_surroundings",
            "What belongs to a device, and where its links lead",
            scope,
            &[],
        );
        let mut limit = self.limit();
        limit["description"] = "The most devices of each list; 100 if absent.".into();
        let ages = [
            required(self.query::<AgeOf>("of", "Which age is measured.")),
            required(self.query::<u64>("warning", "The lower threshold, in seconds.")),
            required(self.query::<u64>("critical", "The upper threshold, in seconds.")),
            self.query::<DeviceType>("device_type", "Only devices of this type."),
            self.query::<GroupName>("group", "Only members of this group."),
            limit,
        ];
        self.get::<FleetAges>(
            "/v1/fleet/ages",
            "fleet_ages",
            "How long devices have been unsynchronized or UNMANAGED, and whose state should have ended",
            scope,
            &ages,
        );
        self.get::<RepositoryList>(
            "/v1/repositories",
            "list_repositories",
            "Repositories and their accepted commits",
            Some(ReadScope::Repositories),
            &[],
        );
    }

    fn groups(&mut self) {
        let scope = Some(ReadScope::Devices);
        let pages = [
            self.query::<GroupName>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<GroupPage>(
            "/v1/groups",
            "list_groups",
            "Groups with the numbers of their members, ordered by name",
            scope,
            &pages,
        );
        self.get::<GroupDetail>(
            "/v1/groups/{name}",
            "group",
            "One group, with its first members",
            scope,
            &[],
        );
        let parameters = [
            self.query::<bool>("all", "Whether every device is the target."),
            self.query::<Hostname>("hostname", "The device that is the target, whatever its flag."),
            self.query::<DeviceType>("device_type", "The type whose devices are the target."),
            self.query::<GroupName>("group", "The group whose members are the target."),
            self.query::<bool>("resync", "Whether to contact synchronized devices, too."),
            self.query::<Hostname>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<SelectionPage>(
            "/v1/sync/selection",
            "select_devices",
            "The devices that a sync run would contact, and those that it would skip, with the reason; name exactly one target",
            scope,
            &parameters,
        );
    }

    fn dead_letters(&mut self) {
        let [code, lane, kind] = [
            self.query::<String>("code", "Only dead letters with this code."),
            self.query::<String>("lane", "Only dead letters of this lane."),
            self.query::<String>("type", "Only dead letters of messages of this type."),
        ];
        let states: Vec<Value> = [DeadLetterState::Dead, DeadLetterState::Requeued]
            .into_iter()
            .chain([DeadLetterState::Processed, DeadLetterState::Dropped])
            .map(|state| state.to_string().into())
            .chain(["all".into()])
            .collect();
        let mut state = self.query::<String>("state", "Only dead letters in this state; `dead` if absent.");
        state["schema"] = json!({"type": "string", "enum": states});
        let parameters = [
            state,
            code.clone(),
            lane.clone(),
            kind.clone(),
            self.query::<u64>("before", "The end of the page before: its `next`."),
            self.limit(),
            self.total(),
        ];
        let scope = Some(ReadScope::DeadLetters);
        self.get::<DeadLetterPage>(
            "/v1/dead",
            "list_dead_letters",
            "Dead letters, newest first",
            scope,
            &parameters,
        );
        self.get::<DeadLetterCounts>(
            "/v1/dead/counts",
            "count_dead_letters",
            "How many dead letters are unsettled, by lane, type and code",
            scope,
            &[code, lane, kind],
        );
        self.get::<DeadLetterDetail>(
            "/v1/dead/{number}",
            "dead_letter",
            "One dead letter, with its body",
            Some(ReadScope::DeadLetterBodies),
            &[],
        );
    }

    fn tasks(&mut self) {
        let scope = Some(ReadScope::Tasks);
        self.get::<ProviderList>("/v1/providers", "list_providers", "Providers", scope, &[]);
        self.get::<ProviderView>(
            "/v1/providers/{name}",
            "provider",
            "One provider, with the schemas of its arguments",
            scope,
            &[],
        );
        let pages = [
            self.query::<String>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<TaskPage>("/v1/tasks", "list_tasks", "Tasks, ordered by name", scope, &pages);
        self.get::<TaskView>(
            "/v1/tasks/{task}",
            "task",
            "The task with this number, else the one with this name",
            scope,
            &[],
        );
        self.get::<TaskForm>(
            "/v1/tasks/{task}/form",
            "task_form",
            "The forms of a task and of its runs: JSON Schemas and UI schemas of JSON Forms",
            scope,
            &[],
        );
        self.paths["/v1/tasks/{task}/form"]["get"]["responses"]["409"] = response_of("409");
        self.get::<SchedulePage>(
            "/v1/schedules",
            "list_schedules",
            "Schedules, ordered by name",
            scope,
            &pages,
        );
        let answer = self.schema::<TaskValidation>();
        let mut validate = operation(
            "validate_task",
            "Everything that is wrong in a task, which is not saved",
            scope,
            &answer,
            &[],
        );
        validate["requestBody"] = json!({
            "description": "A task: the data of `lockstep.task.save-requested`.",
            "required": true,
            "content": {"application/json": {"schema": self.schema::<lockstep_protocol::commands::TaskSaveRequested>()}},
        });
        for status in ["408", "413"] {
            validate["responses"][status] = response_of(status);
        }
        self.add("/v1/tasks/validate", "post", validate);
        let view = self.schema::<TaskView>();
        let mut named = operation(
            "task_named_validate",
            "The task with the name `validate`",
            scope,
            &view,
            &[],
        );
        named["responses"]["404"] = response_of("404");
        self.add("/v1/tasks/validate", "get", named);
    }

    fn executions(&mut self) {
        let scope = Some(ReadScope::Executions);
        let parameters = [
            self.query::<ExecutionState>("state", "Only executions in this state."),
            self.query::<String>("task", "Only executions of the task with this name."),
            self.query::<Hostname>("hostname", "Only executions with an element on this device."),
            self.query::<u64>(
                "parent",
                "Only the steps of the workflow whose execution has this number.",
            ),
            self.query::<u64>("before", "The end of the page before: its `next`."),
            self.limit(),
            self.total(),
        ];
        self.get::<ExecutionPage>(
            "/v1/executions",
            "list_executions",
            "Executions, newest first",
            scope,
            &parameters,
        );
        self.get::<StopView>(
            "/v1/executions/stopped",
            "stopped",
            "Whether all executions are stopped",
            scope,
            &[],
        );
        self.get::<ExecutionView>(
            "/v1/executions/{execution}",
            "execution",
            "The execution with this number or id",
            scope,
            &[],
        );
        let mut outcome = self.query::<String>(
            "outcome",
            "Only elements of which this became; `open` are those that have not ended.",
        );
        outcome["schema"] = json!({"type": "string", "enum": ["done", "failed", "skipped", "open"]});
        let parameters = [
            outcome,
            self.query::<u64>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<ElementPage>(
            "/v1/executions/{execution}/elements",
            "list_elements",
            "The elements of an execution, ordered by number",
            scope,
            &parameters,
        );
        let parameters = [
            self.query::<u8>(
                "phase",
                "The index of the phase: the pre-tasks first, then the task itself, then the post-tasks; the task itself if absent.",
            ),
            self.query::<Level>("level", "The level of the entities; that on which the task runs, if absent."),
            self.query::<String>(
                "of",
                "Only what is directly below the entity with this id, or this name: devices of a group, interfaces of a device, clients of \
                 an interface (hostname and name with a space between them) or of a group.",
            ),
            self.query::<u64>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<EntityResultPage>(
            "/v1/executions/{execution}/results",
            "list_results",
            "What the steps of a task came to for entities: the elements, where these are all that ran",
            Some(ReadScope::DeviceOutput),
            &parameters,
        );
        self.get::<ElementDetail>(
            "/v1/elements/{number}",
            "element",
            "One element, with what its provider returned",
            Some(ReadScope::DeviceOutput),
            &[],
        );
    }

    fn syncs(&mut self) {
        let parameters = [
            self.query::<u64>("after", "Only elements with a larger number."),
            self.limit(),
        ];
        self.get::<SyncDevicePage>(
            "/v1/executions/{execution}/devices",
            "list_sync_devices",
            "What a sync found on each device; empty for another execution",
            Some(ReadScope::DeviceOutput),
            &parameters,
        );
        self.get::<SyncDeviceView>(
            "/v1/executions/{execution}/devices/{hostname}",
            "sync_device",
            "What a sync found on one device",
            Some(ReadScope::DeviceOutput),
            &[],
        );
        self.get::<SyncConfigurationView>(
            "/v1/executions/{execution}/devices/{hostname}/configuration",
            "sync_configuration",
            "The whole difference, the rendered configuration and the one before the push, with their secrets",
            Some(ReadScope::Configurations),
            &[],
        );
    }

    fn probes(&mut self) {
        let readiness = json!({
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": {"type": "string", "enum": ["alive", "ready", "not-ready"]},
                "away": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "The dependencies that are unavailable.",
                },
            },
        });
        let table = [
            (
                "/healthz",
                "alive",
                "Liveness probe",
                "application/json",
                &readiness,
            ),
            (
                "/readyz",
                "ready",
                "Readiness probe",
                "application/json",
                &readiness,
            ),
            (
                "/metrics",
                "metrics",
                "Metrics in the text format of Prometheus",
                "text/plain",
                &json!({"type": "string"}),
            ),
            (
                "/openapi.json",
                "openapi",
                "This document",
                "application/json",
                &json!({"type": "object"}),
            ),
        ];
        for (path, id, summary, media_type, schema) in table {
            let content = json!({media_type: {"schema": schema}});
            let mut responses = json!({"200": {"description": summary, "content": content}});
            if path == "/readyz" {
                responses["503"] = json!({"description": "Not ready", "content": content});
            }
            let operation =
                json!({"operationId": id, "summary": summary, "security": [], "responses": responses});
            self.add(path, "get", operation);
        }
    }

    fn graphql(&mut self) {
        let answer = json!({
            "type": "object",
            "properties": {"data": {"type": ["object", "null"]}, "errors": {"type": "array", "items": {"type": "object"}}},
        });
        let mut operation = operation("graphql", "Answers a request of GraphQL", None, &answer, &[]);
        operation["description"] = "`lockstep schema graphql` prints the schema. What a field needs is what the same resource under `/v1` \
                                    needs. With `Accept: text/event-stream` a subscription is answered by server-sent events. \
                                    `GET` upgrades to a WebSocket with the protocol `graphql-transport-ws`."
            .into();
        let request = json!({
            "type": "object",
            "required": ["query"],
            "properties": {
                "query": {"type": "string"},
                "operationName": {"type": ["string", "null"]},
                "variables": {"type": ["object", "null"]},
            },
        });
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": request}}});
        let content = &mut operation["responses"]["200"]["content"];
        content["application/graphql-response+json"] = json!({"schema": answer});
        content["text/event-stream"] = json!({"schema": {"type": "string"}});
        operation["responses"]["400"] = json!({
            "description": "The request is invalid: `errors` of GraphQL, or a problem if it is not a request at all",
            "content": {"application/json": {"schema": answer}, "application/problem+json": {"schema": self.schema::<Problem>()}},
        });
        for status in ["406", "408", "413", "415"] {
            operation["responses"][status] = response_of(status);
        }
        self.add("/graphql", "post", operation);
    }

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

    fn add(&mut self, path: &str, method: &str, operation: Value) {
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation;
    }

    fn finish(mut self) -> Value {
        let problem = self.schema::<Problem>();
        let responses: Map<String, Value> = PROBLEMS
            .iter()
            .map(|(status, description)| {
                let mut response = json!({
                    "description": description,
                    "content": {"application/problem+json": {"schema": problem}},
                });
                if matches!(*status, "429" | "503") {
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
                                stable code. The description of an operation says what `reads` of the token must have. The header `Lockstep-Reason` says \
                                why a request is sent, for the audit: percent-encoded UTF-8, at most 1000 characters.",
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

/// The problems, by status. Those of every operation come first.
const PROBLEMS: [(&str, &str); 13] = [
    (
        "400",
        "The parameters or the body are invalid; `place` tells where",
    ),
    ("401", "The token is missing or invalid"),
    ("403", "The token may not do this"),
    ("429", "Too many concurrent requests"),
    ("500", "The server failed; its log has the details"),
    ("503", "The store or the broker is unavailable"),
    ("404", "It does not exist"),
    (
        "409",
        "It contradicts what is stored: a task that does not fit its provider any more, a name that is taken, a token that is revoked",
    ),
    ("406", "None of the forms of the answer is accepted"),
    ("408", "The body took too long to arrive"),
    ("413", "The body is too large"),
    ("415", "The format of the body is not supported"),
    ("502", "The broker refused the message"),
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
        .map(|(status, _)| ((*status).to_owned(), response_of(status)))
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
