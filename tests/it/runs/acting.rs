//! A runner whose runs get their context.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use lockstep_protocol::results::{EventApplied, IgnoredReason, Outcome, Scope};
use lockstep_protocol::{Command, Identity, Message, WorkResult};
use lockstep_worker::runtime::{Attempt, RunContext, RunEnd, Runner};

type Act = Box<dyn for<'a> Fn(&'a RunContext<'a>, Vec<Attempt>) -> BoxFuture<'a, Vec<RunEnd>> + Send + Sync>;

/// Runs as the test says, each message by itself unless it names a repository.
pub(crate) struct Acting {
    act: Act,
    identities: Mutex<Vec<Identity>>,
}

impl fmt::Debug for Acting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acting")
    }
}

impl Acting {
    pub(crate) fn new(
        act: impl for<'a> Fn(&'a RunContext<'a>, Vec<Attempt>) -> BoxFuture<'a, Vec<RunEnd>>
        + Send
        + Sync
        + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            act: Box::new(act),
            identities: Mutex::default(),
        })
    }

    /// The messages of all runs so far, in order.
    pub(crate) fn identities(&self) -> Vec<Identity> {
        self.identities.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl Runner for Acting {
    fn key(&self, _: &Message) -> Option<String> {
        None
    }

    fn leases(&self, attempts: &[Attempt]) -> Vec<String> {
        let names = attempts
            .iter()
            .filter_map(|attempt| match &attempt.envelope.message {
                Message::Command(Command::RepositoryRefreshRequested(command)) => Some(&command.repository),
                _ => None,
            });
        let parents = names.filter(|name| name.as_str() != "child");
        parents.map(|name| format!("repository/{name}")).collect()
    }

    async fn run(&self, context: &RunContext<'_>, attempts: &[Attempt]) -> Vec<RunEnd> {
        let identities = attempts.iter().map(|attempt| attempt.key.identity.clone());
        self.identities.lock().expect("no panic").extend(identities);
        (self.act)(context, attempts.to_vec()).await
    }
}

/// A result of a message that had nothing to do.
pub(crate) fn result() -> WorkResult {
    WorkResult::EventApplied(EventApplied {
        outcome: Outcome::Ignored,
        reason: Some(IgnoredReason::Unchanged),
        scope: Scope::None,
        flipped: 0,
        devices: Vec::new(),
        truncated: false,
        unknown_hostnames: Vec::new(),
        commit: None,
        rejected: Vec::new(),
        marked: Vec::new(),
        warnings: Vec::new(),
    })
}
