//! The OpenAPI document of the gateway. It is committed as `producer/openapi.json`; a test compares it with the routes.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use lockstep_dcim::System;
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use serde_json::{Value, json};
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    ArrayBuilder, Components, Object, ObjectBuilder, OneOfBuilder, SchemaType, Type,
};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, OpenApiBuilder, PathItem, PathsBuilder,
    Ref, Required, Response, ResponseBuilder,
};

use super::Forge;

const PROBLEM: &str = "application/problem+json";

/// The OpenAPI document of the gateway.
#[expect(
    clippy::missing_panics_doc,
    reason = "unreachable; the message of `expect` gives the reason"
)]
pub fn document() -> Value {
    let paths = PathsBuilder::new()
        .path(
            "/webhooks/{forge}/{repository}",
            PathItem::new(HttpMethod::Post, webhook()),
        )
        .path(
            "/webhooks/netbox/{source}",
            PathItem::new(HttpMethod::Post, inventory_webhook(System::NetBox)),
        )
        .path(
            "/webhooks/nautobot/{source}",
            PathItem::new(HttpMethod::Post, inventory_webhook(System::Nautobot)),
        )
        .path("/v1/events", PathItem::new(HttpMethod::Post, events()))
        .path("/healthz", PathItem::new(HttpMethod::Get, alive()))
        .path("/readyz", PathItem::new(HttpMethod::Get, ready()))
        .path("/metrics", PathItem::new(HttpMethod::Get, metrics()))
        .path("/openapi.json", PathItem::new(HttpMethod::Get, this()));
    let info = InfoBuilder::new()
        .title("Lockstep gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Accepts webhooks of forges and events of services. 202 means that the broker confirmed the messages.",
        ));
    let document = OpenApiBuilder::new()
        .info(info.build())
        .paths(paths.build())
        .components(Some(components()))
        .build();
    serde_json::to_value(document).expect("the document has string keys and no failing serializers")
}

/// `GET /openapi.json`. The document is made once: anybody may ask for it, as often as they like.
pub(super) async fn serve() -> impl IntoResponse {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    ([(CONTENT_TYPE, "application/json")], TEXT.clone())
}

fn webhook() -> Operation {
    let forges = Forge::ALL.map(Forge::as_str);
    let forge = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(forges));
    let repository = text("The repository's name in the configuration. It selects the secret.");
    let body = ContentBuilder::new().schema(Some(Object::with_type(Type::Object)));
    let body = RequestBodyBuilder::new()
        .description(Some(
            "The forge's payload, signed in the forge's way. Each branch of a push becomes one \
             lockstep.repository.changed; other events are ignored.",
        ))
        .required(Some(Required::True))
        .content("application/json", body.build());
    let operation = OperationBuilder::new()
        .operation_id(Some("receive_webhook"))
        .summary(Some("Receives a webhook of a forge"))
        .parameter(in_path("forge", forge.build()))
        .parameter(in_path("repository", repository))
        .request_body(Some(body.build()));
    with_responses(operation)
        .response("401", problem("Not signed with a secret of this repository"))
        .response("404", problem("The forge or the repository is unknown"))
        .build()
}

fn inventory_webhook(system: System) -> Operation {
    let source = text("The name of the source in the configuration. It selects the secret.");
    let body = ContentBuilder::new().schema(Some(Object::with_type(Type::Object)));
    let body = RequestBodyBuilder::new()
        .description(Some(
            "The default payload of the system, with its HMAC-SHA512 in X-Hook-Signature. A change of a device, an interface, a cable or an \
             IP address becomes events; other webhooks are ignored.",
        ))
        .required(Some(Required::True))
        .content("application/json", body.build());
    let operation = OperationBuilder::new()
        .operation_id(Some(format!("receive_webhook_of_{system}")))
        .summary(Some(format!("Receives a webhook of {system}")))
        .parameter(in_path("source", source))
        .request_body(Some(body.build()));
    with_responses(operation)
        .response("401", problem("Not signed with a secret of this source"))
        .response("404", problem("The source is unknown, or another system"))
        .build()
}

/// The responses to webhooks of all senders.
fn with_responses(operation: OperationBuilder) -> OperationBuilder {
    operation
        .response(
            "202",
            response("Published or ignored", Ref::from_schema_name("Received")),
        )
        .response(
            "400",
            problem("The headers or the payload are invalid; `place` tells where"),
        )
        .response("408", problem("The body took too long to arrive"))
        .response("413", problem("The body is too large"))
        .response("415", problem("The content type is not application/json"))
        .response("429", temporary_problem("Too many concurrent requests"))
        .response(
            "503",
            temporary_problem("The broker is unavailable, or its queue is full"),
        )
}

fn events() -> Operation {
    let event = || Object::with_type(Type::Object);
    let content =
        |schema: utoipa::openapi::schema::Schema| ContentBuilder::new().schema(Some(schema)).build();
    let batch = ArrayBuilder::new().items(event());
    let body = RequestBodyBuilder::new()
        .description(Some(format!(
            "CloudEvents HTTP binding: structured, batch, or binary (attributes in ce- headers, data in the body), \
             at most {MAX_BODY_BYTES} bytes. `lockstep schema messages` prints the schemas of the types."
        )))
        .required(Some(Required::True))
        .content("application/cloudevents+json", content(event().into()))
        .content("application/cloudevents-batch+json", content(batch.build().into()))
        .content("application/json", content(event().into()));
    OperationBuilder::new()
        .operation_id(Some("publish_events"))
        .summary(Some("Publishes events; send commands to the console"))
        .request_body(Some(body.build()))
        .security(SecurityRequirement::new("token", Vec::<String>::new()))
        .response(
            "202",
            response(
                "The broker confirmed the messages",
                Ref::from_schema_name("Published"),
            ),
        )
        .response("400", problem("The event is invalid; `place` tells where"))
        .response("401", problem("The token is missing or invalid"))
        .response(
            "403",
            problem("The token does not allow this type, or the message is a command"),
        )
        .response("408", problem("The body took too long to arrive"))
        .response("413", problem("The body is too large"))
        .response("415", problem("The format of the body is not supported"))
        .response("429", temporary_problem("Too many concurrent requests"))
        .response("502", problem("The broker refused the message"))
        .response(
            "503",
            temporary_problem("The broker is unavailable, or its queue is full"),
        )
        .build()
}

fn alive() -> Operation {
    OperationBuilder::new()
        .operation_id(Some("alive"))
        .summary(Some("Liveness probe"))
        .response(
            "200",
            response("The process is alive", Ref::from_schema_name("Readiness")),
        )
        .build()
}

fn ready() -> Operation {
    OperationBuilder::new()
        .operation_id(Some("ready"))
        .summary(Some("Readiness probe"))
        .response(
            "200",
            response("Messages can be published", Ref::from_schema_name("Readiness")),
        )
        .response(
            "503",
            response("Messages cannot be published", Ref::from_schema_name("Readiness")),
        )
        .build()
}

fn metrics() -> Operation {
    let body = ContentBuilder::new().schema(Some(Object::with_type(Type::String)));
    let response = ResponseBuilder::new()
        .description("Metrics in the text format of Prometheus")
        .content("text/plain", body.build());
    OperationBuilder::new()
        .operation_id(Some("metrics"))
        .summary(Some("Metrics of the process"))
        .response("200", response.build())
        .build()
}

fn this() -> Operation {
    let document = ContentBuilder::new().schema(Some(Object::with_type(Type::Object)));
    OperationBuilder::new()
        .operation_id(Some("openapi"))
        .summary(Some("This document"))
        .response(
            "200",
            ResponseBuilder::new()
                .description("OpenAPI")
                .content("application/json", document.build()),
        )
        .build()
}

fn components() -> Components {
    let accepted = ObjectBuilder::new()
        .description(Some(
            "The identity of a message. The console's /v1/messages returns its outcome.",
        ))
        .property("source", text("The origin of the message."))
        .required("source")
        .property(
            "id",
            text("The id, unique within the source. A redelivered webhook has the same id."),
        )
        .required("id");
    let list = || ArrayBuilder::new().items(Ref::from_schema_name("Accepted"));
    let messages = ObjectBuilder::new()
        .property("messages", list())
        .required("messages");
    let ignored = ObjectBuilder::new()
        .property("ignored", text("Why the webhook was ignored."))
        .required("ignored");
    let received = OneOfBuilder::new().item(messages).item(ignored);
    let published = OneOfBuilder::new()
        .item(Ref::from_schema_name("Accepted"))
        .item(list());
    let status =
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["alive", "ready", "not-ready"]));
    let readiness = ObjectBuilder::new()
        .property("status", status)
        .required("status")
        .property(
            "away",
            ArrayBuilder::new().items(text("A dependency that is unavailable.")),
        );
    let problem = ObjectBuilder::new()
        .description(Some("An error (RFC 9457)."))
        .property("type", text("`urn:lockstep:problem:` followed by a stable code."))
        .required("type")
        .property(
            "title",
            text("A short title, the same for every problem of this kind."),
        )
        .required("title")
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .required("status")
        .property(
            "detail",
            text("What happened in this case, and what to do about it."),
        )
        .property("place", text("The JSON path of the error in the request body."));
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("One of gateway.tokens."));
    ComponentsBuilder::new()
        .schema("Accepted", accepted)
        .schema("Received", received)
        .schema("Published", published)
        .schema("Readiness", readiness)
        .schema("Problem", problem)
        .security_scheme("token", SecurityScheme::Http(token.build()))
        .build()
}

fn text(description: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .description(Some(description))
        .build()
}

fn in_path(name: &str, schema: Object) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}

fn response(description: &str, schema: Ref) -> Response {
    let content = ContentBuilder::new().schema(Some(schema));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content.build())
        .build()
}

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM, content.build())
        .build()
}

/// A problem that is temporary; the response has the header `Retry-After`.
fn temporary_problem(description: &str) -> Response {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("Seconds to wait before the request is sent again."))
        .examples([json!(1)]);
    let mut response = problem(description);
    let header = HeaderBuilder::new().schema(Some(seconds));
    response
        .headers
        .insert("Retry-After".to_owned(), header.build().into());
    response
}
