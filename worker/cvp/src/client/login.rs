//! Logs in and out.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::CvpClient;
use super::cookies::Cookies;
use super::envelope::{classify, short};
use super::error::{CvpError, NodeFailure};
use super::fault::Fault;
use super::limiter::Priority;
use super::options::Credentials;
use super::request::{OBJECT, Path, read_body};
use super::session::{Authentication, Login};

const CALL: &str = "log in";

/// The timeout of a logout, on which nothing depends.
const LOGOUT: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct LoggedIn {
    #[serde(rename = "sessionId")]
    session_id: Option<SecretString>,
}

impl Login for CvpClient {
    fn nodes(&self) -> usize {
        self.options.nodes.len()
    }

    async fn log_in(&self, node: usize) -> Result<Authentication, CvpError> {
        let name = self.options.nodes[node].to_string();
        let result = match &self.options.credentials {
            Credentials::Password { username, password } => self.by_password(node, username, password).await,
            Credentials::Token(token) => self.by_token(node, token).await,
        };
        result.map_err(|fault| match fault {
            Fault::LoggedOut(reason) => CvpError::LoginRefused { node: name, reason },
            Fault::Forbidden => CvpError::LoginRefused {
                node: name,
                reason: "403 Forbidden".to_owned(),
            },
            // An error code of CloudVision in the answer to a login is always about the credentials.
            Fault::Refused { code, reason } if code.parse::<StatusCode>().is_err() => {
                CvpError::LoginRefused {
                    node: name,
                    reason: format!("{reason}, {code}"),
                }
            }
            other => other.into_error(CALL, name),
        })
    }

    fn exhausted(&self, failures: Vec<(usize, CvpError)>) -> CvpError {
        let all_untrusted = failures
            .iter()
            .all(|(_, error)| matches!(error, CvpError::Certificate { .. }));
        if let (true, Some((_, error))) = (all_untrusted, failures.first()) {
            return error.clone();
        }
        let failure = |(node, error): (usize, CvpError)| NodeFailure {
            node: self.options.nodes[node].to_string(),
            reason: reason(&error),
        };
        CvpError::NoNode {
            failures: failures.into_iter().map(failure).collect(),
        }
    }
}

impl CvpClient {
    async fn by_password(
        &self,
        node: usize,
        username: &str,
        password: &SecretString,
    ) -> Result<Authentication, Fault> {
        let path = self.path(Path::Legacy("/login/authenticate.do"));
        let body = json!({"userId": username, "password": password.expose_secret()});
        let request = self
            .http
            .request(Method::POST, self.options.nodes[node].url(&path));
        let _permit = self.limiter.acquire(Priority::High).await;
        let answer = request
            .timeout(self.options.login_timeout)
            .json(&body)
            .send()
            .await
            .map_err(Fault::of)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read_body(answer, OBJECT).await?;
        classify(status, &headers, &body, self.clock.now())?;
        // The parse error is dropped, because it may quote the session.
        let logged_in: LoggedIn = serde_json::from_slice(&body).map_err(|_| {
            Fault::Unreadable(
                "the answer to the login is not JSON; check that the address is that of CloudVision"
                    .to_owned(),
            )
        })?;
        let cookies = Cookies::of(&headers);
        let session_id = logged_in.session_id.filter(|id| !id.expose_secret().is_empty());
        if session_id.is_none() && !cookies.hold_session() {
            return Err(Fault::Unreadable(
                "the answer to the login has no session".to_owned(),
            ));
        }
        Ok(Authentication::Login { session_id, cookies })
    }

    /// A token needs no login. One request checks the token and the node.
    async fn by_token(&self, node: usize, token: &SecretString) -> Result<Authentication, Fault> {
        let request = self
            .http
            .request(Method::GET, self.options.nodes[node].url("/api/v1/rest/"));
        let _permit = self.limiter.acquire(Priority::High).await;
        let answer = request
            .timeout(self.options.login_timeout)
            .bearer_auth(token.expose_secret())
            .send()
            .await
            .map_err(Fault::of)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read_body(answer, OBJECT).await?;
        classify(status, &headers, &body, self.clock.now())?;
        Ok(Authentication::Token(token.clone()))
    }

    /// Ends the session of a user, if there is one. A failure does no harm, because sessions expire.
    pub async fn log_out(&self) {
        let Some(session) = self.sessions.take() else {
            return;
        };
        if matches!(*session.authentication, Authentication::Token(_)) {
            return;
        }
        let path = self.path(Path::Legacy("/login/logout.do"));
        let request = self
            .http
            .request(Method::POST, self.options.nodes[session.node].url(&path));
        let request = session.authentication.apply(request, &path);
        let sent = request.timeout(LOGOUT).json(&()).send().await;
        if let Err(error) = sent {
            let error = error.without_url();
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the logout was not answered"
            );
        }
    }
}

/// An error with its chain of causes, in one line.
fn reason(error: &CvpError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    short(&text)
}
