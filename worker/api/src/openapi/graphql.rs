//! GraphQL.

use lockstep_protocol::rest::Problem;
use serde_json::json;

use super::{Document, operation, response_of};

impl Document {
    pub(super) fn graphql(&mut self) {
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
}
