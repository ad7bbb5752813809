use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_protocol::{Code, Message, RepositoryName};

use super::Source;
use super::answer;
use super::classification::{self, Request};
use super::message::RepositoryMessage;
use super::refresh::Refresh;
use crate::fail_point::{self, FailPoint};
use crate::handlers::Rejection;
use crate::runtime::{Attempt, HeldLease, RunEnd, Runner, chain};
use lockstep_clock::Clock;
use lockstep_store::{Leases, Repositories, StoreError};

/// How long a lease holds without being renewed: so long a repository waits after its worker was killed.
const LEASE: Duration = Duration::from_secs(10);
/// How long a run waits for the lease before its messages step back.
const WAIT_FOR_LEASE: Duration = Duration::from_secs(5);

/// Works the messages of the repositories lane.
#[derive(Debug)]
pub struct RepositoryRunner {
    sources: BTreeMap<RepositoryName, Source>,
    repositories: Arc<dyn Repositories>,
    leases: Arc<dyn Leases>,
    clock: Arc<dyn Clock>,
}

impl RepositoryRunner {
    /// A runner for these repositories.
    pub fn new(
        sources: impl IntoIterator<Item = Source>,
        repositories: Arc<dyn Repositories>,
        leases: Arc<dyn Leases>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            sources: sources
                .into_iter()
                .map(|source| (source.name(), source))
                .collect(),
            repositories,
            leases,
            clock,
        }
    }

    /// Looks once for all of them, under the lease of the repository.
    async fn refresh(&self, source: &Source, requests: &[(&Attempt, Request)]) -> Vec<RunEnd> {
        let name = format!("repository/{}", source.kind);
        let held = HeldLease::acquire(self.leases.clone(), &name, LEASE, WAIT_FOR_LEASE).await;
        let held = match held {
            Ok(Some(held)) => held,
            Ok(None) => {
                let reason = format!("another worker looks at {}", source.kind);
                return vec![RunEnd::Later(reason); requests.len()];
            }
            Err(error) => return vec![not_now(&error); requests.len()],
        };
        fail_point::pass(FailPoint::AfterLease);
        let refresh = Refresh {
            source,
            lease: held.lease(),
            repositories: &*self.repositories,
            clock: &*self.clock,
        };
        let ends = refresh.run(requests).await;
        held.release().await;
        ends
    }

    fn unknown(&self, name: &RepositoryName) -> RunEnd {
        let known: Vec<&str> = self.sources.keys().map(RepositoryName::as_str).collect();
        let known = match known[..] {
            [] => "none is".to_owned(),
            _ => format!("there are {}", known.join(", ")),
        };
        let reason = format!(
            "no repository {name} is configured on this worker ({known}); set repositories.{name}.url on every worker of the lane"
        );
        RunEnd::Rejected(Rejection::new(
            Code::UnknownRepository,
            "$.data.repository",
            reason,
        ))
    }
}

#[async_trait]
impl Runner for RepositoryRunner {
    fn key(&self, message: &Message) -> Option<String> {
        let message = RepositoryMessage::try_from(message).ok()?;
        Some(message.repository().to_string())
    }

    async fn run(&self, attempts: &[Attempt]) -> Vec<RunEnd> {
        let mut ends: Vec<Option<RunEnd>> = vec![None; attempts.len()];
        let mut requests = Vec::new();
        let mut places = Vec::new();
        let mut source = None;
        for (place, attempt) in attempts.iter().enumerate() {
            let message = match RepositoryMessage::try_from(&attempt.envelope.message) {
                Ok(message) => message,
                Err(rejection) => {
                    ends[place] = Some(RunEnd::Rejected(rejection));
                    continue;
                }
            };
            let name = message.repository();
            source = self.sources.get(name);
            let Some(source) = source else {
                ends[place] = Some(self.unknown(name));
                continue;
            };
            match classification::request(message, source.mirror.remote().branch()) {
                Request::Ignore(reason) => {
                    ends[place] = Some(RunEnd::Applied(answer::ignored(reason, None)));
                }
                request => {
                    requests.push((attempt, request));
                    places.push(place);
                }
            }
        }
        if let Some(source) = source.filter(|_| !requests.is_empty()) {
            let looked = self.refresh(source, &requests).await;
            for (place, end) in places.into_iter().zip(looked) {
                ends[place] = Some(end);
            }
        }
        ends.into_iter().flatten().collect()
    }
}

/// The store is away or busy: that is nobody's attempt.
pub(super) fn not_now(error: &StoreError) -> RunEnd {
    match error {
        StoreError::Refused { .. } | StoreError::Corrupt { .. } => RunEnd::Failed(chain(error)),
        StoreError::Unavailable { .. }
        | StoreError::Conflict { .. }
        | StoreError::SchemaVersion { .. }
        | StoreError::SchemaTooNew { .. }
        | StoreError::Address { .. } => RunEnd::Later(chain(error)),
    }
}
