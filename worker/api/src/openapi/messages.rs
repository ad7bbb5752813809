//! Messages: publishing them, and their outcomes.

use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_protocol::rest::{Accepted, ExplanationView, MessageMatches, MessageView};
use serde_json::json;

use super::{Document, operation, required, response_of};

impl Document {
    pub(super) fn messages(&mut self) {
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
        let parameters = [
            self.query::<String>("source", "The `source` of the message; all if absent."),
            self.query::<String>(
                "by",
                "The sender of the message; all whose messages the token may read, if absent.",
            ),
        ];
        self.get::<MessageMatches>(
            "/v1/messages/{id}",
            "find_messages",
            "The processed messages with this id; those of others than the caller with `messages`",
            None,
            &parameters,
        );
        let mut of = self.query::<String>(
            "of",
            "What the id names. If absent: a number names an execution, or else an element; another text a message, or else an execution.",
        );
        of["schema"] = json!({"type": "string", "enum": ["message", "execution", "element"]});
        let [source, by] = parameters;
        self.get::<ExplanationView>(
            "/v1/explain/{id}",
            "explain",
            "How one thing led to the next: message, causes and rules, devices, executions, results. What the token may not read is left out \
             and named",
            None,
            &[of, source, by],
        );
    }
}
