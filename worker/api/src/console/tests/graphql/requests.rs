//! Requests: their form, their bounds, and the status of the answer.

use axum::body::Body;
use lockstep_http::{ReadScope, Token};
use lockstep_protocol::TypePattern;
use serde_json::json;

use super::super::executions::filled;
use super::super::{request, scene};
use super::posted;

const QUERY: &str = "{ execution(id: 1) { id state } }";

#[tokio::test]
async fn a_request_is_answered_in_the_form_that_the_client_accepts() {
    let scene = filled();
    for (accept, expected) in [
        (None, "application/json"),
        (Some("*/*"), "application/json"),
        (
            Some("application/graphql-response+json"),
            "application/graphql-response+json",
        ),
    ] {
        let mut request = request("POST", "/graphql", "all").header("content-type", "application/json");
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let body = json!({"query": QUERY}).to_string();
        let answer = scene.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["content-type"]),
            (200, &expected.parse().unwrap())
        );
        assert_eq!(
            answer.body,
            json!({"data": {"execution": {"id": "1", "state": "FAILED"}}})
        );
    }
    let request = request("POST", "/graphql", "all")
        .header("content-type", "application/json")
        .header("accept", "text/html");
    let answer = scene.send(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!(answer.problem(), (406, "not-acceptable"));
}

#[tokio::test]
async fn an_operation_is_chosen_by_its_name_and_takes_variables() {
    let scene = filled();
    let query = "query a($id: ID!) { execution(id: $id) { id } } query b { execution(id: 3) { id } }";
    for (name, expected) in [("a", "2"), ("b", "3")] {
        let body = json!({"query": query, "operationName": name, "variables": {"id": 2}});
        let answer = scene.graphql_as("all", &body).await;
        assert_eq!(
            answer.body["data"]["execution"]["id"], expected,
            "{}",
            answer.body
        );
    }
    let without = scene.graphql_as("all", &json!({"query": query})).await;
    assert_eq!(without.refused(), (400, "invalid-query"));
}

#[tokio::test]
async fn what_is_no_request_is_a_problem() {
    let scene = scene();
    let table = [
        ("[{\"query\": \"{__typename}\"}]", (400, "batch-refused")),
        ("{", (400, "invalid-request")),
        ("{}", (400, "invalid-request")),
    ];
    for (body, expected) in table {
        assert_eq!(
            scene.send(posted("all", body)).await.problem(),
            expected,
            "{body}"
        );
    }
    let text = request("POST", "/graphql", "all")
        .body(Body::from(QUERY))
        .unwrap();
    assert_eq!(scene.send(text).await.problem(), (415, "unsupported-media-type"));
    let huge = format!("{{\"query\": \"{}\"}}", " ".repeat(5 * 1024 * 1024));
    assert_eq!(
        scene.send(posted("all", &huge)).await.problem(),
        (413, "too-large")
    );
    let nobody = scene.send(posted("wrong", "{}")).await;
    assert_eq!(nobody.problem(), (401, "unauthorized"));
    for method in ["GET", "PUT", "DELETE"] {
        let answer = scene
            .send(request(method, "/graphql", "all").body(Body::empty()).unwrap())
            .await;
        assert_eq!(answer.problem(), (405, "wrong-method"), "{method}");
    }
}

/// Each ends with 400 and errors, soon, and without a trace in the stack.
#[tokio::test]
async fn a_request_that_costs_too_much_is_refused_before_it_runs() {
    let scene = filled();
    let deep = |levels: usize| {
        format!(
            "{{{}__typename{}}}",
            "execution(id: 1) {".repeat(levels),
            "}".repeat(levels)
        )
    };
    let aliases: Vec<String> = (0..10_000).map(|index| format!("a{index}: __typename")).collect();
    let doubling: Vec<String> = (0..30)
        .map(|level| format!("fragment f{level} on Query {{ ...f{0} ...f{0} }}", level + 1))
        .collect();
    let directives = "@include(if: true) ".repeat(100);
    let table = [
        ("absurd depth", deep(50_000), "query-too-large"),
        ("depth", deep(30), "invalid-query"),
        (
            "brackets",
            format!("{{execution(id: {}", "[".repeat(100_000)),
            "query-too-large",
        ),
        ("aliases", format!("{{{}}}", aliases.join(" ")), "query-too-large"),
        (
            "a cycle",
            "{...a} fragment a on Query {...b} fragment b on Query {...a}".to_owned(),
            "query-too-large",
        ),
        (
            "doubling",
            format!(
                "{{...f0}} {} fragment f30 on Query {{__typename}}",
                doubling.join(" ")
            ),
            "query-too-large",
        ),
        (
            "directives",
            format!("{{__typename {directives}}}"),
            "invalid-query",
        ),
        ("no query", "{".to_owned(), "invalid-query"),
        ("an unknown field", "{ nothing }".to_owned(), "invalid-query"),
        (
            "a wrong type",
            "{ execution(id: [1]) { id } }".to_owned(),
            "invalid-query",
        ),
        (
            "a subscription",
            "subscription { execution(id: 1) { id } }".to_owned(),
            "invalid-query",
        ),
    ];
    for (what, query, code) in table {
        let answer = scene.graphql(&query).await;
        let errors = answer.body["errors"].as_array().expect(what);
        assert_eq!(answer.status, 400, "{what} {}", answer.body);
        assert_eq!(errors[0]["extensions"]["code"], code, "{what} {}", answer.body);
        assert!(answer.body.get("data").is_none(), "{what} {}", answer.body);
    }
}

#[tokio::test]
async fn clients_may_read_the_schema_with_their_introspection() {
    let scene = scene();
    let of_type = "ofType { kind name ".repeat(9) + &"}".repeat(9);
    let query = format!(
        "{{ __schema {{ queryType {{ name }} types {{ kind name fields(includeDeprecated: true) {{ name args {{ name type {{ kind name \
         {of_type} }} }} type {{ kind name {of_type} }} }} }} }} }}"
    );
    let answer = scene.graphql(&query).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["data"]["__schema"]["queryType"]["name"], "Query");
}

#[tokio::test]
async fn a_token_reads_and_does_only_what_it_may() {
    let types = |pattern: &str| vec![pattern.parse::<TypePattern>().unwrap()];
    let scene = filled().with_tokens([
        Token::new("reader", &"reads".into(), types("lockstep.device.*")).with_reads([ReadScope::Executions]),
        Token::new("writer", &"writes".into(), types("*")).with_reads([ReadScope::Devices]),
    ]);
    let run = json!({"query": "mutation { neopsTaskExecute(neopsTaskId: 1, executeOnType: DEVICE) { execution { id } } }"});
    let abort = json!({"query": "mutation { abortExecution(id: 1) { message } }"});
    let read = json!({"query": QUERY});
    assert_eq!(
        scene.graphql_as("reads", &read).await.body["data"]["execution"]["id"],
        "1"
    );
    for (token, body) in [
        ("reads", &run),
        ("reads", &abort),
        ("writes", &run),
        ("writes", &abort),
        ("writes", &read),
    ] {
        let answer = scene.graphql_as(token, body).await;
        assert_eq!(answer.refused(), (200, "not-allowed"), "{token} {body}");
    }
    assert_eq!(scene.published(), []);
}

#[tokio::test]
async fn a_query_without_the_store_has_an_error_with_a_code() {
    let scene = filled();
    scene
        .store
        .unavailable
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = scene.graphql(QUERY).await;
    assert_eq!(answer.refused(), (200, "store-away"));
    assert!(!answer.body.to_string().contains("secret"), "{}", answer.body);
}
