use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::Description;
use crate::document::{FromProgram, ToProgram};

/// The JSON Schema of the protocol: `description`, which a program prints, and the documents `to_program` and `from_program`, one a line.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let description = generator.subschema_for::<Description>();
    // A worker writes what the schema of serialization says, and reads what that of deserialization says; both are the same here.
    let to_program = generator.subschema_for::<ToProgram<'static>>();
    let from_program = generator.subschema_for::<FromProgram>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Lockstep's protocol of external providers, version 1",
        "type": "object",
        "description": "A program prints `description` when it is started with the argument `describe`. Started with `run`, it reads \
                        documents `to_program` from its standard input and writes documents `from_program` to its standard output: JSON in UTF-8, \
                        one document a line.",
        "properties": {
            "description": description,
            "to_program": to_program,
            "from_program": from_program,
        },
        "$defs": generator.take_definitions(true),
    })
}
