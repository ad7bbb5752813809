//! The login at an identity provider, which is simulated without a network.

mod refusals;

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_clock::Clock;
use lockstep_http::{ReadScope, Token};
use lockstep_protocol::{AccessLimits, AuditKind, Role};
use lockstep_simulators::oidc::{Asked, Provider};
use lockstep_store::NewAuditEntry;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::login::{HOST, Page, csrf, form, publish, send};
use super::{Scene, scene};
use crate::fakes::FixedClock;
use crate::{
    Algorithm, OidcOptions, ProviderAnswer, ProviderForm, ProviderHttp, ProviderHttpError, RoleMapping,
};

const ISSUER: &str = "https://id.example.org/realms/lab";
const SECRET: &str = "a secret: of+the client";
const SESSION: &str = "__Host-lockstep=";
const ATTEMPT: &str = "__Host-lockstep-oidc=";

#[derive(Debug)]
struct InMemory(Provider);

#[async_trait]
impl ProviderHttp for InMemory {
    async fn send(
        &self,
        address: &str,
        form: Option<ProviderForm>,
    ) -> Result<ProviderAnswer, ProviderHttpError> {
        let unreachable = || ProviderHttpError::Unreachable("no such host".to_owned());
        let target = address.strip_prefix(ISSUER).ok_or_else(unreachable)?;
        let authorization = form.as_ref().and_then(|form| form.authorization.as_ref());
        let reply = self.0.answer(&Asked {
            method: if form.is_some() { "POST" } else { "GET" },
            target,
            authorization: authorization.map(ExposeSecret::expose_secret),
            body: form.as_ref().map_or("", |form| form.body.expose_secret()),
            now: FixedClock.now().as_second(),
        });
        Ok(ProviderAnswer {
            status: reply.status,
            body: reply.body,
        })
    }
}

struct Site {
    scene: Scene,
    http: Arc<InMemory>,
}

fn redirect_uri() -> String {
    format!("https://{HOST}/login/oidc/callback")
}

fn options(http: &Arc<InMemory>) -> OidcOptions {
    let mapping = |value: &str, role, limits| RoleMapping {
        value: value.to_owned(),
        role,
        reads: Vec::new(),
        limits,
    };
    let oslo = AccessLimits {
        groups: vec!["oslo".to_owned().try_into().unwrap()],
        tasks: vec!["sync".parse().unwrap()],
    };
    OidcOptions {
        name: "the lab's <provider>".to_owned(),
        issuer: ISSUER.to_owned(),
        client_id: "lockstep".to_owned(),
        client_secret: SECRET.into(),
        redirect_uri: redirect_uri(),
        scopes: vec!["profile".to_owned()],
        algorithms: vec![Algorithm::Es256, Algorithm::Rs256],
        principal_claim: "preferred_username".to_owned(),
        share_principals: false,
        role_claim: "groups".to_owned(),
        roles: vec![
            mapping("net-ops", Role::Operator, AccessLimits::default()),
            mapping("oslo", Role::Operator, oslo),
            RoleMapping {
                reads: vec![ReadScope::DeviceOutput],
                ..mapping("everybody", Role::Viewer, AccessLimits::default())
            },
        ],
        http: http.clone(),
    }
}

fn site_with(change: impl FnOnce(&mut OidcOptions)) -> Site {
    let http = Arc::new(InMemory(Provider::new(ISSUER, SECRET, &redirect_uri())));
    http.0
        .account("alice", &json!({"groups": ["everybody", "net-ops"]}));
    http.0.account("oscar", &json!({"groups": ["oslo"]}));
    http.0.account("vera", &json!({"groups": "everybody"}));
    http.0.account("mallory", &json!({"groups": ["guests"]}));
    let mut options = options(&http);
    change(&mut options);
    let token = Token::new("root", &"root".into(), vec!["*".parse().unwrap()]).with_role(Role::Admin);
    let scene = scene().with_provider([token], Some(options));
    Site { scene, http }
}

fn site() -> Site {
    site_with(|_| ())
}

/// A cookie that a page sets, with its name. `None` if it does not, or removes it.
fn cookie(page: &Page, name: &str) -> Option<String> {
    let set = page.headers.get_all("set-cookie").iter();
    let mut set = set.map(|value| value.to_str().unwrap());
    let cookie = set.find(|cookie| cookie.starts_with(name))?;
    assert!(cookie.contains("; Path=/; ") && cookie.contains("; HttpOnly; SameSite=Lax; Secure"));
    let pair = cookie.split(';').next().unwrap();
    (pair.len() > name.len()).then(|| pair.to_owned())
}

fn location(page: &Page) -> &str {
    page.headers["location"].to_str().unwrap()
}

impl Site {
    fn provider(&self) -> &Provider {
        &self.http.0
    }

    /// Begins a login: the cookie of the attempt, and the address at the provider.
    async fn begin(&self, next: &str) -> (String, String) {
        let page = send(&self.scene, "GET", &format!("/login/oidc?next={next}"), &[], "").await;
        assert_eq!(page.status, 303, "{}", page.text);
        (cookie(&page, ATTEMPT).unwrap(), location(&page).to_owned())
    }

    /// The browser comes back to this address with these cookies.
    async fn complete(&self, cookies: &str, address: &str) -> Page {
        let path = address.strip_prefix(&format!("https://{HOST}")).unwrap();
        send(&self.scene, "GET", path, &[("cookie", cookies)], "").await
    }

    async fn log_in(&self, account: &str) -> Page {
        let (attempt, address) = self.begin("/devices").await;
        let back = self.provider().choose(&address, account).unwrap();
        self.complete(&attempt, &back).await
    }

    /// The cookie of a new session.
    async fn logged_in(&self, account: &str) -> String {
        let page = self.log_in(account).await;
        assert_eq!(page.status, 303, "{}", page.text);
        cookie(&page, SESSION).unwrap()
    }

    /// Checks that a login was refused: the page says this, there is no session, and the audit has it. Returns the entry.
    fn refused(&self, page: &Page, status: u16, said: &str, sessions: usize) -> NewAuditEntry {
        assert_eq!(page.status, status, "{said}: {}", page.text);
        assert!(page.text.contains(said), "{said}: {}", page.text);
        assert!(
            page.text.contains("name=\"token\""),
            "the form for tokens is there"
        );
        assert_eq!(cookie(page, SESSION), None, "{said}");
        assert_eq!(
            self.scene.store.access.sessions.lock().unwrap().len(),
            sessions,
            "{said}"
        );
        let entry = self.last_entry();
        assert_eq!(entry.kind, AuditKind::LoginFailed, "{said}");
        entry
    }

    fn last_entry(&self) -> NewAuditEntry {
        self.scene
            .store
            .access
            .audit
            .lock()
            .unwrap()
            .last()
            .unwrap()
            .clone()
    }

    async fn reads(&self, path: &str, session: &str) -> u16 {
        let page = send(&self.scene, "GET", path, &[("cookie", session)], "").await;
        page.status.as_u16()
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_begins_a_session_with_the_rights_of_the_first_value_that_the_account_has() {
    let site = site();
    let page = send(&site.scene, "GET", "/login?next=/devices", &[], "").await;
    assert!(
        page.text.contains("href=\"&#x2f;login&#x2f;oidc?next="),
        "{}",
        page.text
    );
    assert!(
        page.text.contains("the lab&#x27;s &lt;provider&gt;"),
        "{}",
        page.text
    );
    let (attempt, address) = site.begin("/devices?state=MANAGED%26a").await;
    assert!(address.starts_with(&format!(
        "{ISSUER}/authorize?response_type=code&client_id=lockstep&"
    )));
    assert!(address.contains("&scope=openid+profile&"), "{address}");
    assert!(!attempt.contains(SECRET) && !address.contains("verifier"));
    let back = site.provider().choose(&address, "alice").unwrap();
    let page = site.complete(&attempt, &back).await;
    assert_eq!(
        (page.status.as_u16(), location(&page)),
        (303, "/devices?state=MANAGED&a"),
        "{}",
        page.text
    );
    assert_eq!(cookie(&page, ATTEMPT), None);
    let session = cookie(&page, SESSION).unwrap();
    let entry = site.last_entry();
    assert_eq!(
        (entry.kind, entry.actor.principal.as_deref()),
        (AuditKind::Login, Some("alice"))
    );
    assert_eq!(entry.actor.token.as_deref(), Some("oidc:alice"));
    assert_eq!(
        entry.detail.as_deref(),
        Some("oidc: role operator for \"net-ops\"")
    );
    {
        let sessions = site.scene.store.access.sessions.lock().unwrap();
        assert_eq!(
            (sessions[0].token.as_deref(), sessions[0].role),
            (None, Some(Role::Operator))
        );
    }
    for (path, expected) in [
        ("/v1/devices", 200),
        ("/tasks", 200),
        ("/v1/audit", 403),
        ("/v1/tokens", 403),
    ] {
        assert_eq!(site.reads(path, &session).await, expected, "{path}");
    }
    assert_eq!(publish(&site.scene, &session, &[]).await, 403);
    let own = csrf(&session);
    assert_eq!(
        publish(&site.scene, &session, &[("x-csrf-token", &own)]).await,
        202
    );
    assert_eq!(site.scene.only_published()["actor"], "alice");
}

#[tokio::test(start_paused = true)]
async fn a_session_has_the_limits_and_the_reads_of_its_mapping() {
    let site = site();
    let session = site.logged_in("oscar").await;
    let limits = site.scene.store.access.sessions.lock().unwrap()[0].limits.clone();
    assert_eq!(limits.groups.len(), 1);
    assert_eq!(
        site.scene.store.access.oidc_logins.lock().unwrap()[0].limits,
        limits
    );
    // An event concerns more than groups and tasks.
    let own = csrf(&session);
    assert_eq!(
        publish(&site.scene, &session, &[("x-csrf-token", &own)]).await,
        403
    );

    site.logged_in("vera").await;
    let sessions = site.scene.store.access.sessions.lock().unwrap();
    assert_eq!(
        (sessions[1].role, sessions[1].reads.as_slice()),
        (Some(Role::Viewer), &["device-output".to_owned()][..])
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_without_a_role_gets_in_no_more() {
    let site = site();
    for (account, status, said) in [
        ("mallory", 403, "has a role here"),
        ("nobody", 403, "access_denied"),
    ] {
        let page = site.log_in(account).await;
        let entry = site.refused(&page, status, said, 0);
        assert_eq!(
            entry.subject.as_deref(),
            (account == "mallory").then_some("mallory")
        );
    }
    let session = site.logged_in("alice").await;
    site.provider().account("alice", &json!({"groups": ["guests"]}));
    let page = site.log_in("alice").await;
    site.refused(&page, 403, "has a role here", 1);
    site.provider().account("alice", &json!({}));
    let page = site.log_in("alice").await;
    site.refused(&page, 403, "sends no claim &quot;groups&quot;", 1);
    // What a session may do is fixed when it begins.
    assert_eq!(site.reads("/v1/devices", &session).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_principal_is_one_account_and_no_holder_of_a_token_unless_that_is_said() {
    let site = site();
    site.provider().account("root", &json!({"groups": "everybody"}));
    let page = site.log_in("root").await;
    site.refused(&page, 403, "the name of a token", 0);
    site.logged_in("alice").await;
    site.provider().account(
        "alice",
        &json!({"groups": "everybody", "preferred_username": "alice2"}),
    );
    let page = site.log_in("alice").await;
    site.refused(
        &page,
        403,
        "This account was alice here before, and is now alice2.",
        1,
    );
    site.provider().account(
        "vera",
        &json!({"groups": "everybody", "preferred_username": "alice"}),
    );
    let page = site.log_in("vera").await;
    site.refused(&page, 403, "alice is another account", 1);

    let sharing = site_with(|options| options.share_principals = true);
    sharing
        .provider()
        .account("root", &json!({"groups": "everybody"}));
    let session = sharing.logged_in("root").await;
    // It is the same person, with the rights of the login.
    assert_eq!(sharing.reads("/v1/audit", &session).await, 403);
}

#[tokio::test(start_paused = true)]
async fn a_logout_ends_the_session_and_leads_to_the_logout_of_the_provider() {
    let site = site();
    let session = site.logged_in("alice").await;
    let headers = [("cookie", session.as_str())];
    assert_eq!(form(&site.scene, "/logout", &headers, "csrf=x").await.status, 403);
    let page = form(
        &site.scene,
        "/logout",
        &headers,
        &format!("csrf={}", csrf(&session)),
    )
    .await;
    assert_eq!(page.status, 200, "{}", page.text);
    let refresh = page.headers["refresh"].to_str().unwrap();
    assert_eq!(refresh, format!("0; url={ISSUER}/logout?client_id=lockstep"));
    assert_eq!(cookie(&page, SESSION), None);
    assert_eq!(site.reads("/v1/devices", &session).await, 401);
    assert_eq!(site.last_entry().kind, AuditKind::Logout);
}

#[tokio::test(start_paused = true)]
async fn a_login_leads_to_paths_of_the_console_only() {
    let site = site();
    for next in [
        "//evil.example.org",
        "https://evil.example.org",
        "%2F%5Cevil.example.org",
        "",
    ] {
        let (attempt, address) = site.begin(next).await;
        let back = site.provider().choose(&address, "alice").unwrap();
        let page = site.complete(&attempt, &back).await;
        assert_eq!(location(&page), "/", "{next}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_provider_in_the_configuration_nothing_is_there_and_its_sessions_are_over() {
    let site = site();
    let session = site.logged_in("alice").await;
    assert_eq!(site.reads("/v1/devices", &session).await, 200);
    let scene = site.scene.with_provider([], None);
    for path in ["/login/oidc", "/login/oidc/callback?code=a&state=b"] {
        assert_eq!(send(&scene, "GET", path, &[], "").await.status, 404, "{path}");
    }
    let page = send(&scene, "GET", "/login", &[], "").await;
    assert!(!page.text.contains("oidc"), "{}", page.text);
    let page = send(&scene, "GET", "/v1/devices", &[("cookie", &session)], "").await;
    assert_eq!(page.status, 401);
}

#[tokio::test(start_paused = true)]
async fn an_administrator_ends_all_sessions_of_somebody_and_releases_the_account() {
    let site = site();
    let (first, second) = (site.logged_in("alice").await, site.logged_in("alice").await);
    let other = site.logged_in("vera").await;
    let end = async |token: &str, name: &str, body: Value| {
        let headers = [("authorization", format!("Bearer {token}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let path = format!("/v1/sessions/{name}/end");
        let page = send(&site.scene, "POST", &path, &headers, &body.to_string()).await;
        let body: Value = serde_json::from_str(&page.text).unwrap();
        (page.status.as_u16(), body)
    };
    let own = [("cookie", first.as_str()), ("x-csrf-token", &csrf(&first))];
    let refused = send(&site.scene, "POST", "/v1/sessions/vera/end", &own, "{}").await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert_eq!(end("root", "alice", json!({"more": 1})).await.0, 400);

    let ended = end("root", "alice", json!({"reason": "left the company"})).await;
    assert_eq!(
        ended,
        (200, json!({"principal": "alice", "ended": 2, "released": false}))
    );
    let entry = site.last_entry();
    assert_eq!(
        (entry.kind, entry.subject.as_deref()),
        (AuditKind::SessionsEnded, Some("alice"))
    );
    assert_eq!(entry.reason.as_deref(), Some("left the company"));
    for (session, expected) in [(&first, 401), (&second, 401), (&other, 200)] {
        assert_eq!(site.reads("/v1/devices", session).await, expected);
    }
    let renamed = json!({"groups": "everybody", "preferred_username": "alice2"});
    site.provider().account("alice", &renamed);
    let page = site.log_in("alice").await;
    site.refused(&page, 403, "is now alice2", 1);
    let ended = end("root", "alice", json!({"release_account": true})).await;
    assert_eq!(
        ended,
        (200, json!({"principal": "alice", "ended": 0, "released": true}))
    );
    site.logged_in("alice").await;
}
