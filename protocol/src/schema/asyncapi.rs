//! The AsyncAPI document: channels, operations and messages of Lockstep at the broker.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::messages::{PLANNED, definitions};
use crate::envelope::CONTENT_TYPE;
use crate::topology::{EVENTS, REPLIES, REPLY_PREFIX, RESULTS};
use crate::{Class, Kind};

/// One AsyncAPI 3.0 document from the workers' point of view: they receive events and commands, and send results. Schemas are in AsyncAPI's default format, which is JSON Schema draft 07.
pub fn asyncapi() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let (schemas, kinds) = definitions(settings);
    let kinds = &kinds[..];
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lockstep",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Lockstep keeps network devices in lockstep with their intended configuration. Other services \
                            publish events and commands, and receive results. Every message is a CloudEvents 1.0 envelope in \
                            structured JSON, delivered at least once; the same (source, id) twice is the same message.",
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "broker": {
                "host": "{host}:5671",
                "protocol": "amqps",
                "protocolVersion": "0.9.1",
                "variables": {"host": {"description": "The RabbitMQ node or load balancer.", "default": "localhost"}},
            },
        },
        "channels": {
            EVENTS: {
                "address": "{type}",
                "title": "Events and commands",
                "description": "Services with the right to do so publish here. The routing key is the type of the message.",
                "messages": references("messages", requests(kinds)),
                "parameters": {"type": type_parameter(requests(kinds))},
                "bindings": topic(EVENTS),
            },
            REPLIES: {
                "address": null,
                "title": "Results for the requester",
                "description": format!(
                    "Bind your own queue `{REPLY_PREFIX}USER.RANDOM` here under its name, and send that name as `reply_to`."
                ),
                "messages": references("messages", results(kinds)),
                "bindings": topic(REPLIES),
            },
            RESULTS: {
                "address": "{type}",
                "title": "Results without a reply queue",
                "description": "Results of messages without `reply_to`, or whose reply queue does not exist any more. The \
                                queue of the same name keeps the newest results; bind your own queue for those you want.",
                "messages": references("messages", results(kinds)),
                "parameters": {"type": type_parameter(results(kinds))},
                "bindings": topic(RESULTS),
            },
        },
        "operations": {
            "receiveEvents": {
                "action": "receive",
                "channel": reference("channels", EVENTS),
                "summary": "Process an event, and answer with its result.",
                "messages": channel_messages(EVENTS, of_class(kinds, Class::Event)),
                "bindings": delivery(),
                "reply": reply(kinds),
            },
            "receiveCommands": {
                "action": "receive",
                "channel": reference("channels", EVENTS),
                "summary": "Process a command, and answer with its result.",
                "messages": channel_messages(EVENTS, of_class(kinds, Class::Command)),
                "bindings": delivery(),
                "reply": reply(kinds),
            },
            "sendResults": {
                "action": "send",
                "channel": reference("channels", RESULTS),
                "summary": "Publish the result of a message without a reply queue.",
                "messages": channel_messages(RESULTS, results(kinds)),
                "bindings": delivery(),
            },
        },
        "components": {
            "messages": messages(kinds),
            "schemas": schemas,
        },
    })
}

fn requests(kinds: &[Kind]) -> impl Iterator<Item = Kind> {
    kinds.iter().copied().filter(|kind| kind.ingress().is_some())
}

fn results(kinds: &[Kind]) -> impl Iterator<Item = Kind> {
    of_class(kinds, Class::Result)
}

fn of_class(kinds: &[Kind], class: Class) -> impl Iterator<Item = Kind> {
    kinds.iter().copied().filter(move |kind| kind.class() == class)
}

fn reference(section: &str, name: &str) -> Value {
    json!({"$ref": format!("#/{section}/{name}")})
}

fn references(section: &str, kinds: impl Iterator<Item = Kind>) -> Map<String, Value> {
    kinds
        .map(|kind| {
            (
                kind.as_str().to_owned(),
                reference(&format!("components/{section}"), kind.as_str()),
            )
        })
        .collect()
}

fn channel_messages(channel: &str, kinds: impl Iterator<Item = Kind>) -> Vec<Value> {
    kinds
        .map(|kind| reference(&format!("channels/{channel}/messages"), kind.as_str()))
        .collect()
}

fn type_parameter(kinds: impl Iterator<Item = Kind>) -> Value {
    let names: Vec<&str> = kinds.map(Kind::as_str).collect();
    json!({"description": "The type of the message.", "enum": names, "location": "$message.payload#/type"})
}

fn topic(exchange: &str) -> Value {
    json!({"amqp": {
        "is": "routingKey",
        "exchange": {"name": exchange, "type": "topic", "durable": true, "autoDelete": false},
        "bindingVersion": "0.3.0",
    }})
}

fn delivery() -> Value {
    json!({"amqp": {"deliveryMode": 2, "timestamp": true, "bindingVersion": "0.3.0"}})
}

fn reply(kinds: &[Kind]) -> Value {
    json!({
        "address": {
            "description": "The property `reply_to` of the request, which is also the routing key of the result.",
            "location": "$message.header#/reply_to",
        },
        "channel": reference("channels", REPLIES),
        "messages": channel_messages(REPLIES, results(kinds)),
    })
}

fn messages(kinds: &[Kind]) -> Map<String, Value> {
    kinds
        .iter()
        .map(|kind| (kind.as_str().to_owned(), message(*kind)))
        .collect()
}

fn message(kind: Kind) -> Value {
    let example: Value = serde_json::from_str(kind.example()).expect("golden files are JSON, and tested");
    let mut message = json!({
        "name": kind.as_str(),
        "title": kind.as_str(),
        "summary": kind.description(),
        "contentType": CONTENT_TYPE,
        "payload": reference("components/schemas", kind.as_str()),
        "correlationId": {
            "description": "The `correlation_id` of a result is the `message_id` of the message it is about.",
            "location": "$message.header#/correlation_id",
        },
        "bindings": {"amqp": {"messageType": kind.as_str(), "bindingVersion": "0.3.0"}},
        "examples": [{"name": "golden", "payload": example}],
    });
    if let Some(limitation) = kind.limitation() {
        message["description"] = limitation.into();
        message["tags"] = json!([{"name": "planned"}]);
        message[PLANNED] = true.into();
    }
    message
}
