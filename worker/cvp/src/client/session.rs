//! The one session of a client: logged in once for all requests that need it, on the node that works.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::{COOKIE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::cookies::Cookies;
use super::error::CvpError;

/// How long a refused login is remembered instead of tried again: accounts get locked.
const REFUSAL: Duration = Duration::from_mins(1);

/// A session as requests use it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Grows with every login.
    pub(super) redrive_count: u64,
    /// Which node it is on.
    pub(super) node: usize,
    pub(super) proof: Arc<Proof>,
}

/// What shows who we are.
#[derive(Debug)]
pub(super) enum Proof {
    /// A login by user and password.
    Login {
        session_id: Option<SecretString>,
        cookies: Cookies,
    },
    /// A service account's token.
    Token(SecretString),
}

impl Proof {
    /// Shows it with a request to this path.
    pub(super) fn show(&self, request: RequestBuilder, path: &str) -> RequestBuilder {
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
    /// How many nodes there are.
    fn nodes(&self) -> usize;

    /// One login.
    async fn log_in(&self, node: usize) -> Result<Proof, CvpError>;

    /// What it is when no node could be logged in to.
    fn exhausted(&self, failures: Vec<(usize, CvpError)>) -> CvpError;
}

/// Keeps the session.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    state: Mutex<State>,
    /// Held during a login, so that there is one at a time.
    batch: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    redrive_count: u64,
    node: usize,
    proof: Option<Arc<Proof>>,
    /// How many logins ended, well or badly.
    batches: u64,
    /// How the last one failed, if it did.
    failure: Option<(Instant, CvpError)>,
}

impl Sessions {
    /// The session there is, or a new one. Who comes while a login is under way gets what comes of it, also if it fails.
    pub(super) async fn get(&self, login: &impl Login) -> Result<Session, CvpError> {
        let batches = {
            let state = self.lock();
            if let Some(known) = state.known() {
                return known;
            }
            state.batches
        };
        let _flight = self.batch.lock().await;
        let first = {
            let state = self.lock();
            if let Some(known) = state.known() {
                return known;
            }
            match &state.failure {
                Some((_, error)) if state.batches > batches => return Err(error.clone()),
                _ => state.node,
            }
        };
        let result = attempt(login, first).await;
        let mut state = self.lock();
        state.batches += 1;
        match result {
            Ok((node, proof)) => {
                state.redrive_count += 1;
                state.node = node;
                let proof = Arc::new(proof);
                state.proof = Some(proof.clone());
                state.failure = None;
                let redrive_count = state.redrive_count;
                Ok(Session {
                    redrive_count,
                    node,
                    proof,
                })
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// The session ended. Says so once, however many requests noticed.
    pub(super) fn expire(&self, redrive_count: u64) {
        let mut state = self.lock();
        if state.redrive_count == redrive_count {
            state.proof = None;
        }
    }

    /// The node does not work: the next login begins with the one after it.
    pub(super) fn leave(&self, redrive_count: u64, nodes: usize) {
        let mut state = self.lock();
        if state.redrive_count == redrive_count && nodes > 1 {
            state.proof = None;
            state.node = (state.node + 1) % nodes;
            // Who noticed late must not leave the next node, too.
            state.redrive_count += 1;
        }
    }

    /// Takes the session away, if there is one: for logging out.
    pub(super) fn take(&self) -> Option<Session> {
        let mut state = self.lock();
        let (redrive_count, node) = (state.redrive_count, state.node);
        let proof = state.proof.take()?;
        Some(Session {
            redrive_count,
            node,
            proof,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What needs no login: the session, or that it was refused just now.
    fn known(&self) -> Option<Result<Session, CvpError>> {
        if let Some(proof) = &self.proof {
            return Some(Ok(Session {
                redrive_count: self.redrive_count,
                node: self.node,
                proof: proof.clone(),
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

/// Tries the nodes one after another. A refusal ends it: the nodes share their users.
async fn attempt(login: &impl Login, first: usize) -> Result<(usize, Proof), CvpError> {
    let count = login.nodes();
    let mut failures = Vec::with_capacity(count);
    for offset in 0..count {
        let node = (first + offset) % count;
        match login.log_in(node).await {
            Ok(proof) => return Ok((node, proof)),
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

    /// Nodes that answer as told, and count.
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

        async fn log_in(&self, node: usize) -> Result<Proof, CvpError> {
            self.logins.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
            match self.answers[node] {
                Some(true) => Ok(Proof::Token("x".into())),
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

    async fn rush(sessions: &Sessions, nodes: &Nodes) -> Vec<Result<Session, CvpError>> {
        join_all((0..64).map(|_| sessions.get(nodes))).await
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_notice_there_is_one_login() {
        let (sessions, nodes) = (Sessions::default(), Nodes::new(&[Some(true)]));
        assert!(rush(&sessions, &nodes).await.iter().all(Result::is_ok));
        assert_eq!(nodes.logins(), 1);
        for _ in 0..64 {
            sessions.expire(1);
        }
        let renewed = rush(&sessions, &nodes).await;
        assert!(
            renewed
                .iter()
                .all(|session| session.as_ref().unwrap().redrive_count == 2)
        );
        sessions.expire(1);
        assert!(rush(&sessions, &nodes).await.iter().all(Result::is_ok));
        assert_eq!(nodes.logins(), 2, "who is late does not end the new session");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_and_a_refusal_remembered() {
        let (sessions, nodes) = (Sessions::default(), Nodes::new(&[None, None]));
        assert!(rush(&sessions, &nodes).await.iter().all(Result::is_err));
        assert_eq!(nodes.logins(), 2, "each node once");
        sessions.get(&nodes).await.unwrap_err();
        assert_eq!(nodes.logins(), 4, "what heals is tried again");

        let (sessions, nodes) = (Sessions::default(), Nodes::new(&[Some(false), Some(true)]));
        assert!(rush(&sessions, &nodes).await.iter().all(Result::is_err));
        sessions.get(&nodes).await.unwrap_err();
        assert_eq!(nodes.logins(), 1, "no account is locked by us");
        tokio::time::advance(REFUSAL).await;
        sessions.get(&nodes).await.unwrap_err();
        assert_eq!(nodes.logins(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_does_not_work_is_left_once() {
        let (sessions, nodes) = (Sessions::default(), Nodes::new(&[Some(true), None, Some(true)]));
        let session = sessions.get(&nodes).await.unwrap();
        assert_eq!(session.node, 0);
        sessions.leave(session.redrive_count, 3);
        sessions.leave(session.redrive_count, 3);
        let session = sessions.get(&nodes).await.unwrap();
        assert_eq!(
            (session.node, nodes.logins()),
            (2, 3),
            "the second node is passed over"
        );
        sessions.expire(session.redrive_count);
        assert_eq!(
            sessions.get(&nodes).await.unwrap().node,
            2,
            "it stays where it works"
        );
    }
}
