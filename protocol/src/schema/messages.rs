//! The JSON Schemas of all messages, as one document.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::texts::{JSON_CONTENT_TYPE, Label, Note, Time};
use crate::{Kind, MessageId, Source, TraceParent};

/// The keyword that marks planned types for programs.
pub(super) const PLANNED: &str = "x-lockstep-planned";

/// All public messages as one JSON Schema (draft 2020-12). `$defs` has one entry for each message type under its name, a whole
/// CloudEvents envelope, next to the shapes they share; the document itself accepts any of them.
pub fn messages() -> Value {
    let (definitions, kinds) = definitions(SchemaSettings::draft2020_12());
    let any: Vec<Value> = kinds
        .iter()
        .map(|kind| json!({"$ref": format!("#/$defs/{kind}")}))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:lockstep:schema:messages",
        "title": "Messages of Lockstep",
        "description": "CloudEvents 1.0 in structured JSON. A receiver ignores unknown keys. The README of the protocol has \
                        the rules that a schema cannot express: the size of a message, duplicate keys, U+0000.",
        "oneOf": any,
        "$defs": definitions,
    })
}

/// The definitions of all public messages and of what they share, with references in the style of these settings.
pub(super) fn definitions(settings: SchemaSettings) -> (Map<String, Value>, Vec<Kind>) {
    let mut generator = settings
        .with_transform(RecursiveTransform(bound_integers))
        .into_generator();
    let kinds: Vec<Kind> = Kind::ALL
        .iter()
        .copied()
        .filter(|kind| kind.is_public())
        .collect();
    let attributes = Attributes::new(&mut generator);
    let envelopes: Vec<(Kind, Value)> = kinds
        .iter()
        .map(|kind| {
            (
                *kind,
                attributes.envelope(*kind, &kind.data_schema(&mut generator)),
            )
        })
        .collect();
    let mut definitions = generator.take_definitions(true);
    for (kind, envelope) in envelopes {
        definitions.insert(kind.as_str().to_owned(), envelope);
    }
    (definitions, kinds)
}

/// The CloudEvents attributes that all messages share.
struct Attributes {
    id: Schema,
    source: Schema,
    subject: Schema,
    time: Schema,
    traceparent: Schema,
    causationid: Schema,
    actor: Schema,
}

impl Attributes {
    fn new(generator: &mut SchemaGenerator) -> Self {
        Self {
            id: generator.subschema_for::<MessageId>(),
            source: generator.subschema_for::<Source>(),
            subject: generator.subschema_for::<Option<Label>>(),
            time: generator.subschema_for::<Option<Time>>(),
            traceparent: generator.subschema_for::<Option<TraceParent>>(),
            causationid: generator.subschema_for::<Option<Note>>(),
            actor: generator.subschema_for::<Option<Label>>(),
        }
    }

    fn envelope(&self, kind: Kind, data: &Schema) -> Value {
        let mut envelope = json!({
            "title": kind.as_str(),
            "description": kind.description(),
            "type": "object",
            "required": ["specversion", "id", "source", "type", "data"],
            "properties": {
                "specversion": {"const": "1.0"},
                "id": self.id,
                "source": self.source,
                "type": {"const": kind.as_str()},
                "subject": self.subject,
                "time": self.time,
                "datacontenttype": {"type": ["string", "null"], "pattern": JSON_CONTENT_TYPE},
                "traceparent": self.traceparent,
                "causationid": self.causationid,
                "actor": self.actor,
                "data": data,
                "data_base64": {"type": "null", "description": "Not supported: the body is JSON, in `data`."},
            },
        });
        if let Some(limitation) = kind.limitation() {
            envelope["description"] = format!("{} {limitation}", kind.description()).into();
            envelope[PLANNED] = true.into();
        }
        envelope
    }
}

/// Adds the bound of 64-bit integers; schemars only gives a `format` that other validators do not know.
fn bound_integers(schema: &mut Schema) {
    let unsigned = schema.get("format").and_then(Value::as_str) == Some("uint64");
    if unsigned {
        schema.insert("maximum".to_owned(), u64::MAX.into());
        schema.remove("format");
    }
}
