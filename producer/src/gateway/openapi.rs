//! The OpenAPI document. Committed as `producer/openapi.json`; a test holds document and routes together.

use axum::Json;
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
#[expect(clippy::missing_panics_doc, reason = "it cannot happen, as the message says")]
pub fn document() -> Value {
    let paths = PathsBuilder::new()
        .path(
            "/webhooks/{forge}/{repository}",
            PathItem::new(HttpMethod::Post, webhook()),
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
            "Takes webhooks of forges, and events. 202 means that the broker has them.",
        ));
    let document = OpenApiBuilder::new()
        .info(info.build())
        .paths(paths.build())
        .components(Some(components()))
        .build();
    serde_json::to_value(document).expect("the document has string keys and no failing serializers")
}

/// `GET /openapi.json`.
pub(super) async fn serve() -> Json<Value> {
    Json(document())
}

fn webhook() -> Operation {
    let forges = Forge::ALL.map(Forge::as_str);
    let forge = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(forges));
    let repository = text("The repository's name in the configuration; it chooses the secret.");
    let body = ContentBuilder::new().schema(Some(Object::with_type(Type::Object)));
    let body = RequestBodyBuilder::new()
        .description(Some(
            "What the forge sends, signed as the forge signs. Of a push, each branch becomes one \
             lockstep.repository.changed; all else is ignored.",
        ))
        .required(Some(Required::True))
        .content("application/json", body.build());
    OperationBuilder::new()
        .operation_id(Some("receive_webhook"))
        .summary(Some("Takes a webhook of a forge"))
        .parameter(in_path("forge", forge.build()))
        .parameter(in_path("repository", repository))
        .request_body(Some(body.build()))
        .response(
            "202",
            answer("Published or ignored", Ref::from_schema_name("Received")),
        )
        .response("400", problem("Not what this forge sends; says where"))
        .response("401", problem("Not signed with a secret of this repository"))
        .response("404", problem("No such forge or repository"))
        .response("408", problem("The body took too long to arrive"))
        .response("413", problem("The body is too large"))
        .response("415", problem("The content type is not application/json"))
        .response("429", heal("Too many requests at once"))
        .response("503", heal("The broker is away, or its queue full"))
        .build()
}

fn events() -> Operation {
    let event = || Object::with_type(Type::Object);
    let content =
        |schema: utoipa::openapi::schema::Schema| ContentBuilder::new().schema(Some(schema)).build();
    let batch = ArrayBuilder::new().items(event());
    let body = RequestBodyBuilder::new()
        .description(Some(format!(
            "By the CloudEvents HTTP binding: structured, batch, or binary (attributes in ce- headers, data in the body), \
             at most {MAX_BODY_BYTES} bytes. `lockstep schema messages` has the types."
        )))
        .required(Some(Required::True))
        .content("application/cloudevents+json", content(event().into()))
        .content("application/cloudevents-batch+json", content(batch.build().into()))
        .content("application/json", content(event().into()));
    OperationBuilder::new()
        .operation_id(Some("publish_events"))
        .summary(Some("Publishes events; commands go to the console"))
        .request_body(Some(body.build()))
        .security(SecurityRequirement::new("token", Vec::<String>::new()))
        .response(
            "202",
            answer("The broker has them", Ref::from_schema_name("Published")),
        )
        .response("400", problem("No event; says where"))
        .response("401", problem("No valid token"))
        .response(
            "403",
            problem("The token does not allow this type, or it is no event"),
        )
        .response("408", problem("The body took too long to arrive"))
        .response("413", problem("The body is too large"))
        .response("415", problem("The body is in no format of the binding"))
        .response("429", heal("Too many requests at once"))
        .response(
            "502",
            problem("The broker does not take this type from the gateway"),
        )
        .response("503", heal("The broker is away, or its queue full"))
        .build()
}

fn alive() -> Operation {
    OperationBuilder::new()
        .operation_id(Some("alive"))
        .summary(Some("Whether the process answers"))
        .response("200", answer("It does", Ref::from_schema_name("Readiness")))
        .build()
}

fn ready() -> Operation {
    OperationBuilder::new()
        .operation_id(Some("ready"))
        .summary(Some("Whether the broker takes messages"))
        .response("200", answer("It does", Ref::from_schema_name("Readiness")))
        .response("503", answer("It does not", Ref::from_schema_name("Readiness")))
        .build()
}

fn metrics() -> Operation {
    let body = ContentBuilder::new().schema(Some(Object::with_type(Type::String)));
    let answer = ResponseBuilder::new()
        .description("Numbers, in the text format of Prometheus")
        .content("text/plain", body.build());
    OperationBuilder::new()
        .operation_id(Some("metrics"))
        .summary(Some("What the process counted, and how things are"))
        .response("200", answer.build())
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
            "A message; the console's /v1/messages tells what becomes of it.",
        ))
        .property("source", text("Where it comes from."))
        .required("source")
        .property(
            "id",
            text("Its id there. The same webhook sent again has the same."),
        )
        .required("id");
    let list = || ArrayBuilder::new().items(Ref::from_schema_name("Accepted"));
    let messages = ObjectBuilder::new()
        .property("messages", list())
        .required("messages");
    let ignored = ObjectBuilder::new()
        .property("ignored", text("Why there is nothing to do."))
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
        .property("away", ArrayBuilder::new().items(text("What is not there.")));
    let problem = ObjectBuilder::new()
        .description(Some("An error (RFC 9457)."))
        .property("type", text("urn:lockstep:problem: and a stable code."))
        .required("type")
        .property("title", text("The kind of problem in a few words."))
        .required("title")
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .required("status")
        .property("detail", text("What happened this time, and what to do."))
        .property("place", text("Where in the body, as a JSON path."));
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

fn answer(description: &str, schema: Ref) -> Response {
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

/// A problem that passes: the answer says when to try again.
fn heal(description: &str) -> Response {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("In how many seconds to try again."))
        .examples([json!(1)]);
    let mut response = problem(description);
    let header = HeaderBuilder::new().schema(Some(seconds));
    response
        .headers
        .insert("Retry-After".to_owned(), header.build().into());
    response
}
