use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::simulator::{Fault, Flavor, Seen, State, lock, shown};

type Answer = Response<Full<Bytes>>;

pub(super) async fn respond(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let fault = {
        let mut state = lock(&state);
        let authorization = request.headers().get(AUTHORIZATION);
        let authorization = authorization
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let target = request
            .uri()
            .path_and_query()
            .map_or("", |target| target.as_str());
        state.seen.push(Seen {
            target: target.to_owned(),
            authorization: authorization.to_owned(),
        });
        state.fault.clone()
    };
    if fault == Fault::Hang {
        std::future::pending::<()>().await;
    }
    Ok(answer(&lock(&state), &fault, &request))
}

fn answer(state: &State, fault: &Fault, request: &Request<Incoming>) -> Answer {
    match fault {
        Fault::Status(status) => return empty(*status),
        Fault::Garbage => return text(200, "<html>Welcome</html>"),
        Fault::Redirect(to) => {
            let mut answer = empty(302);
            answer
                .headers_mut()
                .insert(LOCATION, to.parse().expect("it is an address"));
            return answer;
        }
        _ => {}
    }
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if given != Some(&format!("Token {}", state.token)) {
        return json(403, &json!({"detail": "Invalid token"}));
    }
    let path = request
        .uri()
        .path()
        .trim_start_matches("/api/")
        .trim_end_matches('/')
        .to_owned();
    let query = query(request.uri().query().unwrap_or_default());
    let log = match state.flavor {
        Flavor::NetBox => "core/object-changes",
        Flavor::NetBox40 | Flavor::Nautobot => "extras/object-changes",
    };
    let found = match path.as_str() {
        path if path == log => Some(changes(state, fault, &query)),
        "core/object-types" if state.flavor == Flavor::NetBox => Some(list(&[json!({"id": 55})])),
        path => state.objects.get(path).cloned(),
    };
    let Some(found) = found else {
        return json(404, &json!({"detail": "Not found."}));
    };
    let whole = found.to_string();
    if *fault == Fault::Truncated {
        return text(200, &whole[..whole.len() / 2]);
    }
    text(200, &whole)
}

/// A page of the change log, filtered and ordered as the query says.
fn changes(state: &State, fault: &Fault, query: &BTreeMap<String, String>) -> Value {
    let of = |name: &str| query.get(name).map(String::as_str);
    let time = |entry: &Value| entry["time"].as_str().unwrap_or_default().to_owned();
    let from = of("time_after").or(of("time__gte"));
    let until = of("time_before").or(of("time__lte"));
    let mut entries: Vec<&Value> = state
        .log
        .iter()
        .filter(|entry| from.is_none_or(|from| *time(entry) >= *from))
        .filter(|entry| until.is_none_or(|until| *time(entry) <= *until))
        .filter(|entry| of("time__lt").is_none_or(|before| *time(entry) < *before))
        .filter(|entry| of("changed_object_id").is_none_or(|id| shown(&entry["changed_object_id"]) == id))
        .collect();
    entries.sort_by_key(|entry| time(entry));
    if of("ordering").or(of("sort")) != Some("time") {
        entries.reverse();
    }
    let number = |name: &str, default: usize| of(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (offset, limit) = (number("offset", 0), number("limit", 50));
    let offset = if *fault == Fault::Endless { 0 } else { offset };
    let page: Vec<Value> = entries
        .iter()
        .skip(offset)
        .take(limit)
        .map(|entry| (*entry).clone())
        .collect();
    let more = offset + page.len() < entries.len();
    let mut answer = list(&page);
    answer["count"] = entries.len().into();
    match fault {
        Fault::NextAt(address) => answer["next"] = address.as_str().into(),
        Fault::Endless => answer["next"] = "/api/more/".into(),
        _ if more => answer["next"] = "/api/more/".into(),
        _ => {}
    }
    answer
}

fn list(results: &[Value]) -> Value {
    json!({"count": results.len(), "next": null, "previous": null, "results": results})
}

fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.replace("%3A", ":").replace('+', " ")))
        .collect()
}

fn json(status: u16, value: &Value) -> Answer {
    text(status, &value.to_string())
}

fn text(status: u16, text: &str) -> Answer {
    let mut answer = empty(status);
    *answer.body_mut() = Full::new(Bytes::from(text.to_owned()));
    let headers = answer.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, "application/json".parse().expect("it is a type"));
    answer
}

fn empty(status: u16) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::from_u16(status).expect("it is a status");
    answer
}
