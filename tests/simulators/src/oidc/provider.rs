//! What the provider knows, and how it answers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::keys::Keys;
pub use super::keys::Signing;
use super::page;

/// How long an ID token counts, in seconds.
const TOKEN_SECONDS: i64 = 300;

/// An address of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// What it says about itself.
    Discovery,
    /// Its keys.
    Keys,
    /// Where codes are exchanged.
    Token,
}

/// How requests are answered instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// With this status and no body.
    Status(u16),
    /// With this body.
    Body(String),
    /// With a body of so many bytes.
    Large(usize),
    /// With a redirect to this address.
    Redirect(String),
    /// Never.
    Hang,
}

/// An account.
struct Account {
    /// What its button says.
    name: String,
    /// Its claims, `sub` among them.
    claims: Value,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `text/html` or `application/json`.
    pub content_type: &'static str,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
    /// The body.
    pub body: &'a str,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// A simulated identity provider with one client.
pub struct Provider {
    issuer: String,
    client_id: String,
    client_secret: String,
    redirect_uri: String,
    state: Mutex<State>,
}

struct State {
    accounts: Vec<Account>,
    keys: Keys,
    codes: BTreeMap<String, Code>,
    issued: usize,
    signing: Signing,
    /// Claims of the next tokens; null leaves one out.
    claims: Map<String, Value>,
    faults: Vec<(Endpoint, Fault)>,
    counts: BTreeMap<String, usize>,
}

/// A code that was issued and not used.
struct Code {
    account: usize,
    nonce: Option<String>,
    challenge: String,
    redirect_uri: String,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// A provider with this issuer, the client `lockstep`, and no account.
    pub fn new(issuer: &str, client_secret: &str, redirect_uri: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            client_id: "lockstep".to_owned(),
            client_secret: client_secret.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            state: Mutex::new(State {
                accounts: Vec::new(),
                keys: Keys::new(),
                codes: BTreeMap::new(),
                issued: 0,
                signing: Signing::default(),
                claims: Map::new(),
                faults: Vec::new(),
                counts: BTreeMap::new(),
            }),
        }
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Adds an account, or replaces the one of this name. It has the subject `NAME-7` unless its claims have another.
    pub fn account(&self, name: &str, claims: &Value) {
        let mut all = json!({"sub": format!("{name}-7"), "preferred_username": name});
        if let (Some(all), Some(claims)) = (all.as_object_mut(), claims.as_object()) {
            all.extend(claims.clone());
        }
        let mut state = self.state();
        state.accounts.retain(|account| account.name != name);
        state.accounts.push(Account {
            name: name.to_owned(),
            claims: all,
        });
    }

    /// Signs the next tokens in this way.
    pub fn set_signing(&self, signing: Signing) {
        self.state().signing = signing;
    }

    /// Gives the next tokens a claim, or takes it from them if it is null.
    pub fn set_claim(&self, name: &str, value: Value) {
        self.state().claims.insert(name.to_owned(), value);
    }

    /// Answers requests at this address in this way.
    pub fn set_fault(&self, endpoint: Endpoint, fault: Fault) {
        let mut state = self.state();
        state.faults.retain(|(known, _)| *known != endpoint);
        state.faults.push((endpoint, fault));
    }

    /// Signs tokens and answers requests as at the start.
    pub fn reset(&self) {
        let mut state = self.state();
        state.signing = Signing::default();
        state.claims.clear();
        state.faults.clear();
    }

    /// Replaces the key that signs.
    pub fn rotate_keys(&self) {
        self.state().keys.rotate();
    }

    /// How many requests came to this path.
    pub fn requests(&self, path: &str) -> usize {
        self.state().counts.get(path).copied().unwrap_or_default()
    }

    /// The address to which the browser returns after somebody chose this account at this address. `None` if the provider refuses the
    /// request.
    pub fn choose(&self, address: &str, account: &str) -> Option<String> {
        let (_, query) = address.split_once('?')?;
        let body = format!("{query}&account={}", page::encoded(account));
        let reply = self.authorize(&page::fields(&body));
        reply.location
    }

    /// Whether a request is never answered.
    pub(super) fn hangs(&self, target: &str) -> bool {
        self.fault(path_of(target)) == Some(Fault::Hang)
    }

    /// Answers a request.
    pub fn answer(&self, asked: &Asked<'_>) -> Reply {
        let path = path_of(asked.target);
        *self.state().counts.entry(path.to_owned()).or_default() += 1;
        match self.fault(path) {
            None | Some(Fault::Hang) => {}
            Some(Fault::Status(status)) => return json_reply(status, String::new()),
            Some(Fault::Body(body)) => return json_reply(200, body),
            Some(Fault::Large(bytes)) => return json_reply(200, " ".repeat(bytes)),
            Some(Fault::Redirect(to)) => return redirect(to),
        }
        let query = asked.target.split_once('?').map_or("", |(_, query)| query);
        match (asked.method, path) {
            ("GET", "/.well-known/openid-configuration") => json_reply(200, self.metadata().to_string()),
            ("GET", "/keys") => json_reply(200, self.state().keys.published().to_string()),
            ("GET", "/authorize") => self.choice(&page::fields(query)),
            ("POST", "/authorize") => self.authorize(&page::fields(asked.body)),
            ("POST", "/token") => self.exchange(asked),
            ("GET", "/logout") => html(200, "<h1>Logged out</h1>".to_owned()),
            _ => html(404, "<h1>Not found</h1>".to_owned()),
        }
    }

    fn metadata(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "end_session_endpoint": format!("{issuer}/logout"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn choice(&self, parameters: &BTreeMap<String, String>) -> Reply {
        if let Some(reason) = self.refused(parameters) {
            return html(400, format!("<h1>Bad request</h1><p>{reason}</p>"));
        }
        let state = self.state();
        let names: Vec<&str> = state
            .accounts
            .iter()
            .map(|account| account.name.as_str())
            .collect();
        html(200, page::choose(&names, parameters))
    }

    /// Why a login cannot begin with these parameters.
    fn refused(&self, parameters: &BTreeMap<String, String>) -> Option<&'static str> {
        let is = |name: &str, expected: &str| parameters.get(name).is_some_and(|value| value == expected);
        let scopes = parameters.get("scope").map(String::as_str).unwrap_or_default();
        if !is("client_id", &self.client_id) {
            Some("unknown client_id")
        } else if !is("redirect_uri", &self.redirect_uri) {
            Some("another redirect_uri is registered")
        } else if !is("response_type", "code") || !scopes.split(' ').any(|scope| scope == "openid") {
            Some("not a request for a code of OpenID Connect")
        } else if !is("code_challenge_method", "S256") || !parameters.contains_key("code_challenge") {
            Some("no challenge of PKCE with S256")
        } else if !parameters.contains_key("state") {
            Some("no state")
        } else {
            None
        }
    }

    fn authorize(&self, parameters: &BTreeMap<String, String>) -> Reply {
        if let Some(reason) = self.refused(parameters) {
            return html(400, format!("<h1>Bad request</h1><p>{reason}</p>"));
        }
        let of = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        let mut state = self.state();
        let chosen = of("account");
        let account = state.accounts.iter().position(|account| account.name == chosen);
        let answer = match account {
            None => "error=access_denied&error_description=No+such+account".to_owned(),
            Some(account) => {
                state.issued += 1;
                let code = format!("code-{}-{}", state.issued, of("code_challenge"));
                let issued = Code {
                    account,
                    nonce: parameters.get("nonce").cloned(),
                    challenge: of("code_challenge"),
                    redirect_uri: of("redirect_uri"),
                };
                let answer = format!("code={}", page::encoded(&code));
                state.codes.insert(code, issued);
                answer
            }
        };
        redirect(format!(
            "{}?{answer}&state={}&iss={}",
            self.redirect_uri,
            page::encoded(&of("state")),
            page::encoded(&self.issuer)
        ))
    }

    fn exchange(&self, asked: &Asked<'_>) -> Reply {
        let form = page::fields(asked.body);
        let of = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let error = |status, error: &str| json_reply(status, json!({"error": error}).to_string());
        if !self.is_client(asked.authorization, &form) {
            return error(401, "invalid_client");
        }
        if of("grant_type") != "authorization_code" {
            return error(400, "unsupported_grant_type");
        }
        let mut state = self.state();
        let Some(code) = state.codes.remove(of("code")) else {
            return error(400, "invalid_grant");
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(of("code_verifier")));
        if code.challenge != challenge || code.redirect_uri != of("redirect_uri") {
            return error(400, "invalid_grant");
        }
        let mut claims = json!({
            "iss": self.issuer, "aud": self.client_id, "exp": asked.now + TOKEN_SECONDS, "iat": asked.now, "nonce": code.nonce,
        });
        if let Some(claims) = claims.as_object_mut() {
            let account = state.accounts[code.account].claims.as_object();
            claims.extend(account.cloned().unwrap_or_default());
            claims.extend(state.claims.clone());
            claims.retain(|_, value| !value.is_null());
        }
        let token = state.keys.signed(&claims, state.signing);
        let answer =
            json!({"access_token": "not-used", "token_type": "Bearer", "expires_in": 300, "id_token": token});
        json_reply(200, answer.to_string())
    }

    /// Whether the client authenticates, in the header or in the form.
    fn is_client(&self, authorization: Option<&str>, form: &BTreeMap<String, String>) -> bool {
        let pair = match authorization.and_then(|value| value.strip_prefix("Basic ")) {
            Some(encoded) => {
                let text = STANDARD.decode(encoded).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).into_owned();
                let (id, secret) = text.split_once(':').unwrap_or_default();
                let pair = page::fields(&format!("id={id}&secret={secret}"));
                (pair.get("id").cloned(), pair.get("secret").cloned())
            }
            None => (form.get("client_id").cloned(), form.get("client_secret").cloned()),
        };
        pair.0.as_deref() == Some(&self.client_id) && pair.1.as_deref() == Some(&self.client_secret)
    }

    fn fault(&self, path: &str) -> Option<Fault> {
        let endpoint = match path {
            "/.well-known/openid-configuration" => Endpoint::Discovery,
            "/keys" => Endpoint::Keys,
            "/token" => Endpoint::Token,
            _ => return None,
        };
        let state = self.state();
        let mut faults = state.faults.iter();
        let found = faults.find(|(known, _)| *known == endpoint);
        found.map(|(_, fault)| fault.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path_of(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

fn json_reply(status: u16, body: String) -> Reply {
    Reply {
        status,
        content_type: "application/json",
        location: None,
        body: body.into_bytes(),
    }
}

fn html(status: u16, body: String) -> Reply {
    Reply {
        content_type: "text/html; charset=utf-8",
        ..json_reply(status, body)
    }
}

fn redirect(to: String) -> Reply {
    Reply {
        location: Some(to),
        ..html(303, String::new())
    }
}
