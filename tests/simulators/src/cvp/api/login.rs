use serde_json::{Value, json};

use super::{Call, SimulatedResponse, State};
use crate::cvp::world::BASE_TIME_MS;

/// Answers `authenticate.do`: user and password in the body, or as HTTP basic authentication under `/cvpservice`.
pub(crate) fn login(state: &mut State, call: &Call) -> SimulatedResponse {
    if state.version.is_cvaas() {
        // CVaaS accepts only tokens; its answer to a password is unknown.
        return SimulatedResponse::page(401, "401 Unauthorized");
    }
    let body = call.field("userId").zip(call.field("password"));
    let basic = call
        .basic
        .clone()
        .filter(|_| call.path.starts_with("/cvpservice/"));
    let expected = (state.accounts.username.clone(), state.accounts.password.clone());
    if body.or(basic) != Some(expected) {
        return SimulatedResponse::error("112498", "Unauthorized User");
    }
    let session = state.sessions.begin(state.knobs.session_requests);
    let mut answer = greeting(&state.accounts.username, &session);
    if state.version.has_token_cookie() {
        answer["cookie"] =
            json!({"Name": "access_token", "Value": session, "Path": "/", "Secure": true, "HttpOnly": true});
        let cookie = format!("access_token={session}; Path=/; Secure; HttpOnly");
        return SimulatedResponse::json(&answer).with("set-cookie", cookie);
    }
    SimulatedResponse::json(&answer)
        .with("set-cookie", format!("session_id={session}; Path=/web/"))
        .with(
            "set-cookie",
            format!("JSESSIONID=J{session}; Path=/web/; Secure; HttpOnly"),
        )
        .with("set-cookie", "permissionList=\"[]\"; Path=/web/".to_owned())
}

pub(crate) fn logout(state: &mut State, call: &Call) -> SimulatedResponse {
    if let Some(secret) = &call.secret {
        state.sessions.end(secret);
    }
    SimulatedResponse::json(&json!({"data": "success"}))
}

fn greeting(username: &str, session: &str) -> Value {
    json!({
        "sessionId": session,
        "username": username,
        "authorizationType": "LOCAL",
        "authenticationType": "LOCAL",
        "user": {
            "userId": username, "email": "admin@example.net", "userStatus": "Enabled", "currentStatus": "Online",
            "firstName": null, "lastName": null, "contactNumber": null, "password": null, "lastAccessed": BASE_TIME_MS,
            "factoryId": 1, "id": 28,
        },
        "permissionList": [{"factoryId": 1, "id": 1, "name": "task", "mode": "rw"}],
        "roles": [{
            "key": "network-admin", "name": "network-admin", "moduleList": [], "moduleListSize": 0, "createdBy": "cvp system",
            "createdOn": BASE_TIME_MS, "classId": 67, "factoryId": 1, "id": 27, "description": "",
        }],
    })
}
