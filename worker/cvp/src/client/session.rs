//! The session that all requests of a client share, and the node that it is on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::{COOKIE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::cookies::Cookies;
use super::error::CvpError;

/// How long a refused login is not repeated, because repeated failures lock the account.
const REFUSAL: Duration = Duration::from_mins(1);

/// The session of a request.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Raised by each login and each switch of the node.
    pub(super) generation: u64,
    /// The index of its node.
    pub(super) node: usize,
    pub(super) authentication: Arc<Authentication>,
}

/// How requests of a session are authenticated.
#[derive(Debug)]
pub(super) enum Authentication {
    /// A login by user and password.
    Login {
        session_id: Option<SecretString>,
        cookies: Cookies,
    },
    /// A service account's token.
    Token(SecretString),
}

impl Authentication {
    /// Adds the headers to a request to this path.
    pub(super) fn apply(&self, request: RequestBuilder, path: &str) -> RequestBuilder {
        match self {
            Self::Token(token) => request.bearer_auth(token.expose_secret()),
            Self::Login { session_id, cookies } => {
                let id = session_id.as_ref().and_then(|id| sensitive(id.expose_secret()));
                let request = match id {
                    Some(id) => request.header("APP_SESSION_ID", id),
                    None => request,
                };
                match cookies.header(path) {
                    Some(cookies) => request.header(COOKIE, cookies),
                    None => request,
                }
            }
        }
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Logs in to a node.
pub(super) trait Login {
    /// The number of nodes.
    fn nodes(&self) -> usize;

    /// Logs in to one node.
    async fn log_in(&self, node: usize) -> Result<Authentication, CvpError>;

    /// The error after the login failed on all nodes.
    fn exhausted(&self, failures: Vec<(usize, CvpError)>) -> CvpError;
}

/// Holds the shared session.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    state: Mutex<State>,
    /// Held during a login, so that only one runs at a time.
    login_lock: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    node: usize,
    authentication: Option<Arc<Authentication>>,
    /// How many logins ended, with or without success.
    logins: u64,
    /// When and why the last login failed, if it did.
    failure: Option<(Instant, CvpError)>,
}

impl Sessions {
    /// Returns the session, or logs in. Callers that arrive during a login get its result, also if it fails.
    pub(super) async fn get(&self, login: &impl Login) -> Result<Session, CvpError> {
        let logins = {
            let state = self.lock();
            if let Some(known) = state.known() {
                return known;
            }
            state.logins
        };
        let _guard = self.login_lock.lock().await;
        let first = {
            let state = self.lock();
            if let Some(known) = state.known() {
                return known;
            }
            match &state.failure {
                Some((_, error)) if state.logins > logins => return Err(error.clone()),
                _ => state.node,
            }
        };
        let result = log_in_to_any(login, first).await;
        let mut state = self.lock();
        state.logins += 1;
        match result {
            Ok((node, authentication)) => {
                state.generation += 1;
                state.node = node;
                let authentication = Arc::new(authentication);
                state.authentication = Some(authentication.clone());
                state.failure = None;
                let generation = state.generation;
                Ok(Session {
                    generation,
                    node,
                    authentication,
                })
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Drops a session that has ended. Repeated calls for the same generation have no effect.
    pub(super) fn expire(&self, generation: u64) {
        let mut state = self.lock();
        if state.generation == generation {
            state.authentication = None;
        }
    }

    /// Drops the session, so that the next login begins with the next node. Repeated calls for the same generation have no effect.
    pub(super) fn switch_node(&self, generation: u64, nodes: usize) {
        let mut state = self.lock();
        if state.generation == generation && nodes > 1 {
            state.authentication = None;
            state.node = (state.node + 1) % nodes;
            // A late caller must not switch again.
            state.generation += 1;
        }
    }

    /// Removes the session, if there is one, for a logout.
    pub(super) fn take(&self) -> Option<Session> {
        let mut state = self.lock();
        let (generation, node) = (state.generation, state.node);
        let authentication = state.authentication.take()?;
        Some(Session {
            generation,
            node,
            authentication,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The result without a login: the session, or a recent refusal.
    fn known(&self) -> Option<Result<Session, CvpError>> {
        if let Some(authentication) = &self.authentication {
            return Some(Ok(Session {
                generation: self.generation,
                node: self.node,
                authentication: authentication.clone(),
            }));
        }
        match &self.failure {
            Some((at, error @ CvpError::LoginRefused { .. })) if at.elapsed() < REFUSAL => {
                Some(Err(error.clone()))
            }
            _ => None,
        }
    }
}

/// Logs in to the first node that works. A refused login ends it, because all nodes have the same users.
async fn log_in_to_any(login: &impl Login, first: usize) -> Result<(usize, Authentication), CvpError> {
    let count = login.nodes();
    let mut failures = Vec::with_capacity(count);
    for offset in 0..count {
        let node = (first + offset) % count;
        match login.log_in(node).await {
            Ok(authentication) => return Ok((node, authentication)),
            Err(refused @ CvpError::LoginRefused { .. }) => return Err(refused),
            Err(error) => failures.push((node, error)),
        }
    }
    Err(login.exhausted(failures))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    /// Nodes with scripted answers, which count logins.
    struct Nodes {
        answers: Vec<Option<bool>>,
        logins: AtomicUsize,
    }

    impl Nodes {
        fn new(answers: &[Option<bool>]) -> Self {
            Self {
                answers: answers.to_vec(),
                logins: AtomicUsize::new(0),
            }
        }

        fn logins(&self) -> usize {
            self.logins.load(Ordering::Relaxed)
        }
    }

    impl Login for Nodes {
        fn nodes(&self) -> usize {
            self.answers.len()
        }

        async fn log_in(&self, node: usize) -> Result<Authentication, CvpError> {
            self.logins.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
            match self.answers[node] {
                Some(true) => Ok(Authentication::Token("x".into())),
                Some(false) => Err(CvpError::LoginRefused {
                    node: node.to_string(),
                    reason: "no".to_owned(),
                }),
                None => Err(CvpError::TimedOut { call: "log in" }),
            }
        }

        fn exhausted(&self, failures: Vec<(usize, CvpError)>) -> CvpError {
            assert_eq!(failures.len(), self.answers.len());
            CvpError::NoNode { failures: Vec::new() }
        }
    }

    async fn get_many(sessions: &Sessions, nodes: &Nodes) -> Vec<Result<Session, CvpError>> {
        join_all((0..64).map(|_| sessions.get(nodes))).await
    }

    #[tokio::test(start_paused = true)]
    async fn many_requests_cause_one_login() {
        let (sessions, nodes) = (Sessions::default(), Nodes::new(&[Some(true)]));
        assert!(get_many(&sessions, &nodes).await.iter().all(Result::is_ok));
        assert_eq!(nodes.logins(), 1);
        for _ in 0..64 {
            sessions.expire(1);
        }
        let renewed = get_many(&sessions, &nodes).await;
        assert!(
            renewed
                .iter()
                .all(|session| session.as_ref().unwrap().generation == 2)
        );
        sessions.expire(1);
        assert!(get_many(&sessions, &nodes).await.iter().all(Result::is_ok));
        assert_eq!(nodes.logins(), 2, "a late request does not end the new session");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_login_is_shared_and_a_refused_one_remembered() {
        let (sessions, nodes) = (Sessions::default(), Nodes::new(&[None, None]));
        assert!(get_many(&sessions, &nodes).await.iter().all(Result::is_err));
        assert_eq!(nodes.logins(), 2, "each node once");
        sessions.get(&nodes).await.unwrap_err();
        assert_eq!(nodes.logins(), 4, "a transient failure is retried");

        let (sessions, nodes) = (Sessions::default(), Nodes::new(&[Some(false), Some(true)]));
        assert!(get_many(&sessions, &nodes).await.iter().all(Result::is_err));
        sessions.get(&nodes).await.unwrap_err();
        assert_eq!(nodes.logins(), 1, "repeated refusals would lock the account");
        tokio::time::advance(REFUSAL).await;
        sessions.get(&nodes).await.unwrap_err();
        assert_eq!(nodes.logins(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_node_is_switched_once() {
        let (sessions, nodes) = (Sessions::default(), Nodes::new(&[Some(true), None, Some(true)]));
        let session = sessions.get(&nodes).await.unwrap();
        assert_eq!(session.node, 0);
        sessions.switch_node(session.generation, 3);
        sessions.switch_node(session.generation, 3);
        let session = sessions.get(&nodes).await.unwrap();
        assert_eq!(
            (session.node, nodes.logins()),
            (2, 3),
            "the second node is skipped"
        );
        sessions.expire(session.generation);
        assert_eq!(
            sessions.get(&nodes).await.unwrap().node,
            2,
            "a working node is kept"
        );
    }
}
