//! Tokens and the audit in the OpenAPI document.

use jiff::Timestamp;
use lockstep_http::ReadScope;
use lockstep_protocol::rest::{
    AuditPage, SessionsEnd, SessionsEnded, TokenPage, TokenRequest, TokenRevocation, TokenRotation,
    TokenSecret, TokenView,
};
use lockstep_protocol::{AuditKind, AuditOutcome};
use schemars::JsonSchema;
use serde_json::json;

use super::{Document, operation, response_of};

/// What the routes of tokens need.
const ADMIN: &str = "Needs the role `admin`.";

impl Document {
    pub(super) fn access(&mut self) {
        let pages = [
            self.query::<String>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<TokenPage>(
            "/v1/tokens",
            "list_tokens",
            "Stored tokens, ordered by name, without their secrets",
            None,
            &pages,
        );
        self.get::<TokenView>("/v1/tokens/{name}", "token", "One stored token", None, &[]);
        for path in ["/v1/tokens", "/v1/tokens/{name}"] {
            self.paths[path]["get"]["description"] = ADMIN.into();
        }
        self.change::<TokenRequest, TokenSecret>(
            "/v1/tokens",
            "create_token",
            "Creates a token, and returns its secret this once",
        );
        let post = &mut self.paths["/v1/tokens"]["post"];
        let created = post["responses"]
            .as_object_mut()
            .and_then(|all| all.remove("200"));
        post["responses"]["201"] = created.unwrap_or_default();
        self.change::<TokenRotation, TokenSecret>(
            "/v1/tokens/{name}/rotate",
            "rotate_token",
            "Gives a token a new secret, and returns it this once; the former one is accepted for a while",
        );
        self.change::<TokenRevocation, TokenView>(
            "/v1/tokens/{name}/revoke",
            "revoke_token",
            "Revokes a token for good",
        );
        self.change::<SessionsEnd, SessionsEnded>(
            "/v1/sessions/{name}/end",
            "end_sessions",
            "Ends every session of a person or a service in browsers",
        );
        let parameters = [
            self.query::<u64>("before", "The end of the page before: its `next`."),
            self.query::<Timestamp>("since", "Only entries from this time on."),
            self.query::<Timestamp>("until", "Only entries before this time."),
            self.query::<String>("principal", "Only entries about this person or service."),
            self.query::<AuditKind>("kind", "Only entries of this kind."),
            self.query::<String>("message", "Only entries about messages with this `id`."),
            self.query::<AuditOutcome>("outcome", "Only entries with this outcome."),
            self.query::<String>(
                "subject",
                "Only entries about this device, task or token, as it is written there.",
            ),
            self.limit(),
        ];
        self.get::<AuditPage>(
            "/v1/audit",
            "audit",
            "What people did or tried, and what workers decided about it, the newest first",
            Some(ReadScope::Audit),
            &parameters,
        );
    }

    /// Adds a route of tokens that changes something.
    fn change<B: JsonSchema, A: JsonSchema>(&mut self, path: &str, id: &str, summary: &str) {
        let (body, answer) = (self.schema::<B>(), self.schema::<A>());
        let of_one = path.contains("{name}");
        let parameters =
            [json!({"name": "name", "in": "path", "required": true, "schema": {"type": "string"}})];
        let parameters = if of_one { &parameters[..] } else { &[] };
        let mut operation = operation(id, summary, None, &answer, parameters);
        operation["description"] = ADMIN.into();
        operation["requestBody"] = json!({
            "required": !of_one,
            "content": {"application/json": {"schema": body}},
        });
        for status in ["408", "409", "413"] {
            operation["responses"][status] = response_of(status);
        }
        if of_one {
            operation["responses"]["404"] = response_of("404");
        }
        self.add(path, "post", operation);
    }
}
