//! GraphQL: requests and their bounds, mutations as messages, subscriptions.

mod mutations;
mod requests;
mod schema;
mod subscriptions;
mod websockets;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{Answer, Scene, request};

impl Scene {
    /// Sends a request of GraphQL with the token for everything.
    async fn graphql(&self, query: &str) -> Answer {
        self.graphql_as("all", &json!({"query": query})).await
    }

    async fn graphql_as(&self, token: &str, body: &Value) -> Answer {
        self.send(posted(token, &body.to_string())).await
    }
}

impl Answer {
    /// The extensions of the only error.
    fn error(&self) -> &Value {
        let errors = self.body["errors"].as_array().expect("errors");
        assert_eq!(errors.len(), 1, "{}", self.body);
        &errors[0]["extensions"]
    }

    /// Status, and code of the only error.
    fn refused(&self) -> (u16, &str) {
        let code = self.error()["code"].as_str().expect("a code");
        (self.status.as_u16(), code)
    }
}

fn posted(token: &str, body: &str) -> Request<Body> {
    let request = request("POST", "/graphql", token).header("content-type", "application/json");
    request.body(Body::from(body.to_owned())).unwrap()
}
