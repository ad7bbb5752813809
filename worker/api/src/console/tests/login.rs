//! Sessions of browsers: the login, what a session may do, and requests of other pages.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use jiff::SignedDuration;
use lockstep_http::Token;
use lockstep_protocol::{AuditKind, Role};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use super::{STRUCTURED, Scene, removed, scene};
use crate::fakes::device;

pub(super) const HOST: &str = "lockstep.example.org";

pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

fn login_scene() -> Scene {
    let token = |name: &str| Token::new(name, &name.into(), vec!["*".parse().unwrap()]);
    scene().with_tokens([token("root").with_role(Role::Admin), token("plain")])
}

pub(super) async fn send(
    scene: &Scene,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Page {
    let mut request = Request::builder().method(method).uri(path).header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = scene.router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    Page {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.into()).unwrap(),
    }
}

pub(super) async fn form(scene: &Scene, path: &str, headers: &[(&str, &str)], body: &str) -> Page {
    let mut headers = headers.to_vec();
    headers.push(("content-type", "application/x-www-form-urlencoded"));
    send(scene, "POST", path, &headers, body).await
}

/// The cookie of a new session.
async fn logged_in(scene: &Scene, token: &str) -> String {
    let page = form(scene, "/login", &[], &format!("token={token}&next=/devices")).await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert_eq!(page.headers["location"], "/devices");
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.contains("; HttpOnly; SameSite=Lax; Secure") && cookie.starts_with("__Host-lockstep="),
        "{cookie}"
    );
    cookie.split(';').next().unwrap().to_owned()
}

pub(super) fn csrf(cookie: &str) -> String {
    let (_, id) = cookie.split_once('=').unwrap();
    hex::encode(Sha256::digest(format!("lockstep csrf:{id}")))
}

fn audited(scene: &Scene) -> Vec<AuditKind> {
    let audit = scene.store.access.audit.lock().unwrap();
    audit.iter().map(|entry| entry.kind).collect()
}

/// Publishes an event with a session and these headers.
pub(super) async fn publish(scene: &Scene, cookie: &str, headers: &[(&str, &str)]) -> u16 {
    let mut headers = headers.to_vec();
    headers.extend([("cookie", cookie), ("content-type", STRUCTURED)]);
    let event = removed("sw1").to_string();
    send(scene, "POST", "/v1/events", &headers, &event)
        .await
        .status
        .as_u16()
}

#[tokio::test]
async fn a_session_reads_and_changes_only_with_its_token() {
    let scene = login_scene();
    let cookie = logged_in(&scene, "root").await;
    for path in ["/v1/devices", "/v1/audit"] {
        let page = send(&scene, "GET", path, &[("cookie", &cookie)], "").await;
        assert_eq!(page.status, 200, "{path}");
    }
    let (own, other) = (csrf(&cookie), csrf("__Host-lockstep=other"));
    let origin = format!("https://{HOST}");
    for headers in [
        vec![],
        vec![("x-csrf-token", other.as_str())],
        vec![
            ("x-csrf-token", own.as_str()),
            ("origin", "https://evil.example.org"),
        ],
        vec![("x-csrf-token", own.as_str()), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(publish(&scene, &cookie, &headers).await, 403, "{headers:?}");
    }
    assert!(scene.published().is_empty());
    let headers = [("x-csrf-token", own.as_str()), ("origin", origin.as_str())];
    assert_eq!(publish(&scene, &cookie, &headers).await, 202);
    assert_eq!(scene.only_published()["actor"], "root");
}

#[tokio::test(start_paused = true)]
async fn pages_lead_to_the_login_and_their_forms_repeat_the_token_of_the_session() {
    let scene = login_scene();
    *scene.store.devices.lock().unwrap() = vec![device(1, "sw1", true)];
    for (method, path, next) in [
        ("GET", "/devices?state=MANAGED", "%2Fdevices%3Fstate%3DMANAGED"),
        ("POST", "/devices/sw1", "%2Fdevices%2Fsw1"),
    ] {
        let media = [("content-type", "application/x-www-form-urlencoded")];
        let answer = send(&scene, method, path, &media, "command=unsynchronized").await;
        assert_eq!(answer.status, 303, "{path}");
        assert_eq!(answer.headers["location"], format!("/login?next={next}"));
    }
    let cookie = logged_in(&scene, "root").await;
    let (own, headers) = (csrf(&cookie), [("cookie", cookie.as_str())]);
    let page = send(&scene, "GET", "/devices/sw1", &headers, "").await;
    assert_eq!(page.status, 200);
    let forms = page.text.matches("<form method=\"post\"").count();
    assert_eq!(page.text.matches(&own).count(), forms, "{}", page.text);
    let mark = "command=unsynchronized&note=looked&reason=ticket+7";
    for body in [mark.to_owned(), format!("{mark}&csrf={}", csrf("a=b"))] {
        assert_eq!(
            form(&scene, "/devices/sw1", &headers, &body).await.status,
            403,
            "{body}"
        );
    }
    let elsewhere = [headers[0], ("origin", "https://evil.example.org")];
    let body = format!("{mark}&csrf={own}");
    assert_eq!(form(&scene, "/devices/sw1", &elsewhere, &body).await.status, 403);
    assert!(scene.published().is_empty());

    let sent = form(&scene, "/devices/sw1", &headers, &body).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert_eq!(scene.only_published()["actor"], "root");
    let audit = scene.store.access.audit.lock().unwrap();
    let entry = audit.last().unwrap();
    assert_eq!(
        (entry.kind, entry.reason.as_deref()),
        (AuditKind::Command, Some("ticket 7"))
    );
}

#[tokio::test]
async fn a_wrong_token_and_a_login_of_another_page_begin_no_session() {
    let scene = login_scene();
    for _ in 0..12 {
        let page = form(&scene, "/login", &[], "token=%3Cscript%3E&next=/%3Cscript%3E").await;
        assert_eq!(page.status, 401);
        assert!(page.text.contains("does not accept this token"));
        assert!(!page.text.contains("<script>"), "{}", page.text);
        assert!(page.headers.get("set-cookie").is_none());
    }
    assert_eq!(audited(&scene), [AuditKind::LoginFailed; 10]);
    let forged = [("origin", "https://evil.example.org")];
    assert_eq!(form(&scene, "/login", &forged, "token=root").await.status, 403);
    let not_a_form = send(&scene, "POST", "/login", &[], "token=root").await;
    assert_eq!(not_a_form.status, 415);
    assert!(scene.store.access.sessions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_page_of_the_login_returns_to_paths_of_the_console_only() {
    let scene = login_scene();
    let page = send(&scene, "GET", "/login?next=%2Fdevices%3Fa%3D%22b", &[], "").await;
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains(r#"value="&#x2f;devices?a=&quot;b""#),
        "{}",
        page.text
    );
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let elsewhere = form(&scene, "/login", &[], "token=root&next=//evil.example.org").await;
    assert_eq!(elsewhere.headers["location"], "/");
}

#[tokio::test]
async fn a_logout_ends_the_session_and_needs_its_token() {
    let scene = login_scene();
    let cookie = logged_in(&scene, "plain").await;
    let headers = [("cookie", cookie.as_str())];
    let forged = form(&scene, "/logout", &headers, "csrf=x").await;
    assert_eq!(forged.status, 403);
    let page = send(&scene, "GET", "/logout", &headers, "").await;
    assert!(page.text.contains("plain is logged in") && page.text.contains(&csrf(&cookie)));
    let body = format!("csrf={}", csrf(&cookie));
    let ended = form(&scene, "/logout", &headers, &body).await;
    assert_eq!(
        (ended.status.as_u16(), &ended.headers["location"]),
        (303, &"/login".parse().unwrap())
    );
    assert!(
        ended.headers["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    let after = send(&scene, "GET", "/v1/devices", &headers, "").await;
    assert_eq!(after.status, 401);
    assert_eq!(audited(&scene), [AuditKind::Login, AuditKind::Logout]);
    assert_eq!(send(&scene, "GET", "/logout", &headers, "").await.status, 401);
}

#[tokio::test]
async fn a_session_ends_with_its_token_its_time_and_its_use() {
    let scene = login_scene();
    let cookie = logged_in(&scene, "plain").await;
    let headers = [("cookie", cookie.as_str())];
    let status = async || {
        send(&scene, "GET", "/v1/devices", &headers, "")
            .await
            .status
            .as_u16()
    };
    assert_eq!(status().await, 200);
    let change = |change: fn(&mut lockstep_store::LoginSession)| {
        change(&mut scene.store.access.sessions.lock().unwrap()[0]);
    };
    change(|session| session.used_at -= SignedDuration::from_mins(61));
    assert_eq!(status().await, 401);
    change(|session| session.used_at += SignedDuration::from_mins(59));
    assert_eq!(status().await, 200);
    change(|session| session.expires_at = session.begun_at);
    assert_eq!(status().await, 401);
    change(|session| session.expires_at = session.begun_at + SignedDuration::from_hours(1));
    assert_eq!(status().await, 200);
    change(|session| session.token = Some("gone".to_owned()));
    assert_eq!(status().await, 401);
    // Another person has a token with this name.
    change(|session| {
        session.token = Some("root".to_owned());
        session.principal = "alice".to_owned();
    });
    assert_eq!(status().await, 401);
}

#[tokio::test]
async fn the_id_of_a_session_is_stored_as_a_digest() {
    let scene = login_scene();
    let cookie = logged_in(&scene, "plain").await;
    let (_, id) = cookie.split_once('=').unwrap();
    let sessions = scene.store.access.sessions.lock().unwrap();
    let digest: [u8; 32] = Sha256::digest(id).into();
    assert_eq!(sessions[0].digest, digest);
    assert!(!format!("{sessions:?}").contains(id));
}
