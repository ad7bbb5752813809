use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use lockstep_clock::Clock;
use lockstep_protocol::{Code, Message, RepositoryName};
use lockstep_store::Repositories;

use super::Source;
use super::answer;
use super::classification::{self, Request};
use super::message::RepositoryMessage;
use super::primary_groups::PrimaryGroups;
use super::refresh::Refresh;
use crate::handlers::Rejection;
use crate::runtime::{Attempt, RunContext, RunEnd, Runner};

/// Processes the messages of the repositories lane.
#[derive(Debug)]
pub struct RepositoryRunner {
    sources: BTreeMap<RepositoryName, Source>,
    repositories: Arc<dyn Repositories>,
    clock: Arc<dyn Clock>,
    primary_groups: Arc<PrimaryGroups>,
}

impl RepositoryRunner {
    /// A runner for these repositories.
    pub fn new(
        sources: impl IntoIterator<Item = Source>,
        repositories: Arc<dyn Repositories>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            sources: sources
                .into_iter()
                .map(|source| (source.name(), source))
                .collect(),
            repositories,
            clock,
            primary_groups: Arc::default(),
        }
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
        Rejection::new(Code::UnknownRepository, "$.data.repository", reason).into()
    }
}

#[async_trait]
impl Runner for RepositoryRunner {
    fn key(&self, message: &Message) -> Option<String> {
        let message = RepositoryMessage::try_from(message).ok()?;
        Some(message.repository().to_string())
    }

    /// One refresh of a repository at a time, across all workers.
    fn leases(&self, attempts: &[Attempt]) -> Vec<String> {
        let messages = attempts.iter();
        let messages =
            messages.filter_map(|attempt| RepositoryMessage::try_from(&attempt.envelope.message).ok());
        let names = messages.map(|message| message.repository());
        let known = names.filter(|name| self.sources.contains_key(*name));
        known.map(|name| format!("repository/{name}")).collect()
    }

    async fn run(&self, context: &RunContext<'_>, attempts: &[Attempt]) -> Vec<RunEnd> {
        let mut ends: Vec<Option<RunEnd>> = vec![None; attempts.len()];
        let mut requests = Vec::new();
        let mut places = Vec::new();
        let mut source = None;
        for (place, attempt) in attempts.iter().enumerate() {
            let message = match RepositoryMessage::try_from(&attempt.envelope.message) {
                Ok(message) => message,
                Err(rejection) => {
                    ends[place] = Some(rejection.into());
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
            let refresh = Refresh {
                context,
                source,
                repositories: &*self.repositories,
                clock: &*self.clock,
                primary_groups: &self.primary_groups,
            };
            for (place, end) in places.into_iter().zip(refresh.run(&requests).await) {
                ends[place] = Some(end);
            }
        }
        ends.into_iter().flatten().collect()
    }
}
