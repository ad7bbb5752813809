//! One refresh of one repository under its lease: fetch, examine, and commit.

use std::sync::Arc;

use jiff::Timestamp;
use lockstep_clock::Clock;
use lockstep_git::GitError;
use lockstep_intent::fleet::Affected;
use lockstep_intent::{ChangeImpact, RepositoryKind};
use lockstep_protocol::results::IgnoredReason;
use lockstep_protocol::{Cause, CauseDetail, Code, CommitId};
use lockstep_store::{
    Advance, DeviceSelector, Facts, Flagged, InboxRow, Keys, NewCause, NewGroupRules, Repositories,
    RepositoryChange, RepositoryRow,
};

use super::classification::{self, Request};
use super::examination::{TipExamination, examine_commit};
use super::group_rules;
use super::primary_groups::PrimaryGroups;
use super::{Source, answer, explanation, failure};
use crate::fail_point::{self, FailPoint};
use crate::handlers::Rejection;
use crate::runtime::{Attempt, ProcessingError, RunContext, RunEnd, RunTransaction, chain};

/// One refresh.
pub(super) struct Refresh<'a> {
    pub(super) context: &'a RunContext<'a>,
    pub(super) source: &'a Source,
    pub(super) repositories: &'a dyn Repositories,
    pub(super) clock: &'a dyn Clock,
    pub(super) primary_groups: &'a Arc<PrimaryGroups>,
}

/// What a transaction of the refresh writes beside the completions.
struct Planned<'a> {
    /// The revision of the row that was read.
    revision: i64,
    seen: CommitId,
    problem: Option<String>,
    advance: Option<Advance>,
    flags: Option<Flags<'a>>,
    /// The rules of groups, if they change.
    group_rules: Option<NewGroupRules>,
    /// Whether this is the last commit under the lease.
    is_last: bool,
}

/// The devices to be flagged, and why.
struct Flags<'a> {
    devices: DeviceSelector,
    /// The attempt that is their cause.
    attempt: &'a Attempt,
    /// What there is to say about it.
    detail: Arc<CauseDetail>,
}

impl Planned<'_> {
    /// Records only the commit that was fetched.
    fn seen(seen: &CommitId, row: Option<&RepositoryRow>, is_last: bool) -> Self {
        Self {
            revision: row.map_or(0, |row| row.revision),
            seen: seen.clone(),
            problem: None,
            advance: None,
            flags: None,
            group_rules: None,
            is_last,
        }
    }
}

impl Refresh<'_> {
    /// Fetches once and ends all of them, in their order.
    pub(super) async fn run(&self, requests: &[(&Attempt, Request)]) -> Vec<RunEnd> {
        if self.context.cancel.is_cancelled() {
            let error = ProcessingError::later("the worker stops");
            return vec![RunEnd::Failed(error); requests.len()];
        }
        self.context.progress.begin("fetch");
        let tip = match self.source.mirror.fetch().await {
            Ok(tip) => tip,
            Err(error) => {
                failure::record(self.repositories, &self.source.name(), &error).await;
                return vec![git_error(&error).into(); requests.len()];
            }
        };
        failure::clear(self.repositories, &self.source.name()).await;
        let accepts = requests
            .iter()
            .filter(|(_, request)| matches!(request, Request::Accept(_)));
        let mut accepts_left = accepts.count();
        let mut ends: Vec<Option<RunEnd>> = vec![None; requests.len()];
        let mut refreshes: Vec<(usize, &Attempt, Option<&CommitId>)> = Vec::new();
        for (place, (attempt, request)) in requests.iter().enumerate() {
            let Request::Refresh { after: commit } = request else {
                continue;
            };
            match self.lags(attempt, commit.as_ref()).await {
                Some(error) => ends[place] = Some(error.into()),
                None => refreshes.push((place, attempt, commit.as_ref())),
            }
        }
        if !refreshes.is_empty() {
            let result = self.refresh(&tip, &refreshes, accepts_left == 0).await;
            let refresh_ends = result.unwrap_or_else(|error| vec![error.into(); refreshes.len()]);
            for ((place, ..), end) in refreshes.iter().zip(refresh_ends) {
                ends[*place] = Some(end);
            }
        }
        for (place, (attempt, request)) in requests.iter().enumerate() {
            if let Request::Accept(commit) = request {
                accepts_left -= 1;
                let accepted = self.accept(attempt, commit, accepts_left == 0).await;
                ends[place] = Some(accepted.unwrap_or_else(Into::into));
            }
        }
        ends.into_iter().flatten().collect()
    }

    /// Why a push waits for its commit, if the remote does not show it yet.
    async fn lags(&self, attempt: &Attempt, after: Option<&CommitId>) -> Option<ProcessingError> {
        let after = after?;
        match self.source.mirror.has(after).await {
            Ok(false) if classification::waits_for_commit(attempt.number) => Some(
                ProcessingError::transient(format!("the remote does not have commit {after} yet")),
            ),
            Ok(_) => None,
            Err(error) => Some(git_error(&error)),
        }
    }

    /// Brings the flags up to the tip.
    async fn refresh(
        &self,
        tip: &CommitId,
        refreshes: &[(usize, &Attempt, Option<&CommitId>)],
        is_last: bool,
    ) -> Result<Vec<RunEnd>, ProcessingError> {
        let row = self.repositories.repository(&self.source.name()).await?;
        let attempts: Vec<&Attempt> = refreshes.iter().map(|(_, attempt, _)| *attempt).collect();
        let accepted = row.as_ref().and_then(|row| row.accepted.as_ref());
        if accepted.is_some_and(|(commit, _)| commit == tip) {
            return self.unchanged(tip, row.as_ref(), &attempts, is_last).await;
        }
        let examination = self.examine(accepted.is_some(), tip).await?;
        let afters: Vec<Option<&CommitId>> = refreshes.iter().map(|(_, _, after)| *after).collect();
        let lead = classification::lead(&afters, tip);
        let planned = Planned::seen(tip, row.as_ref(), is_last);
        match examination {
            TipExamination::Invalid(problems) => {
                let rejection = answer::invalid_tip(&problems, tip);
                let planned = Planned {
                    problem: Some(rejection.reason.clone()),
                    ..planned
                };
                let complete = |facts: &mut Facts, at, _: &Flagged| {
                    let rows = attempts.iter();
                    rows.map(|attempt| attempt.reject(facts, &rejection, at))
                        .collect()
                };
                self.commit(planned, &attempts, complete).await
            }
            TipExamination::Valid(impact, listing) => {
                let ChangeImpact {
                    affected,
                    paths,
                    groups,
                    warnings,
                } = *impact;
                let warnings = answer::listed(&warnings);
                let (members, group_rules) = group_rules::matched(self, &affected, groups).await?;
                let flags = if affected.is_empty() {
                    None
                } else {
                    let accepted = accepted.map(|(commit, _)| commit);
                    let (mirror, name) = (&self.source.mirror, self.source.name());
                    Some(Flags {
                        devices: answer::selector(&affected, members),
                        attempt: attempts[lead],
                        detail: explanation::explain(mirror, name, tip, accepted, paths).await,
                    })
                };
                let planned = Planned {
                    advance: Some(Advance {
                        commit: tip.clone(),
                        listing,
                        warnings: warnings.clone(),
                    }),
                    flags,
                    group_rules,
                    ..planned
                };
                // One message reports what was done, the others name the commit.
                let complete = |facts: &mut Facts, at, flagged: &Flagged| {
                    let rows = attempts.iter().enumerate();
                    let rows = rows.map(|(place, attempt)| {
                        let result = if place == lead {
                            answer::applied(&affected, flagged, tip.clone(), warnings.clone())
                        } else {
                            answer::ignored(IgnoredReason::Coalesced, Some(tip.clone()))
                        };
                        attempt.apply(facts, result, false, at)
                    });
                    rows.collect()
                };
                self.commit(planned, &attempts, complete).await
            }
        }
    }

    /// The tip is accepted already. A problem of a commit in between is over.
    async fn unchanged(
        &self,
        tip: &CommitId,
        row: Option<&RepositoryRow>,
        attempts: &[&Attempt],
        is_last: bool,
    ) -> Result<Vec<RunEnd>, ProcessingError> {
        let result = answer::ignored(IgnoredReason::Unchanged, Some(tip.clone()));
        let branch = self.source.mirror.remote().branch();
        if row.is_some_and(|row| row.seen == *tip && row.problem.is_none() && row.branch == branch) {
            return Ok(vec![RunEnd::Applied(result); attempts.len()]);
        }
        let planned = Planned::seen(tip, row, is_last);
        self.commit(planned, attempts, |facts, at, _| {
            let rows = attempts.iter();
            rows.map(|attempt| attempt.apply(facts, result.clone(), false, at))
                .collect()
        })
        .await
    }

    /// Accepts a commit without flagging.
    async fn accept(
        &self,
        attempt: &Attempt,
        commit: &CommitId,
        is_last: bool,
    ) -> Result<RunEnd, ProcessingError> {
        let row = self.repositories.repository(&self.source.name()).await?;
        // It must be valid by itself: later changes are examined against it.
        let (impact, listing) = match self.examine(false, commit).await? {
            TipExamination::Valid(impact, listing) => (impact, listing),
            TipExamination::Invalid(problems) => return Err(answer::invalid_tip(&problems, commit).into()),
        };
        let warnings = answer::listed(&impact.warnings);
        let none = (Affected::default(), Flagged::default());
        let (_, group_rules) = group_rules::matched(self, &none.0, impact.groups).await?;
        let result = answer::applied(&none.0, &none.1, commit.clone(), warnings.clone());
        let planned = Planned {
            advance: Some(Advance {
                commit: commit.clone(),
                listing,
                warnings,
            }),
            group_rules,
            // Where the tip is another commit, the watch finds that it was not processed yet.
            ..Planned::seen(commit, row.as_ref(), is_last)
        };
        let ends = self
            .commit(planned, &[attempt], |facts, at, _| {
                vec![attempt.apply(facts, result.clone(), false, at)]
            })
            .await?;
        let nothing = || ProcessingError::later("nothing was committed");
        ends.into_iter().next().ok_or_else(nothing)
    }

    /// Examines the change from the accepted commit, or from nothing, to this one.
    async fn examine(
        &self,
        from_accepted: bool,
        commit: &CommitId,
    ) -> Result<TipExamination, ProcessingError> {
        self.context.progress.begin("examine");
        let name = self.source.name();
        let old = if from_accepted {
            self.repositories.listing(&name).await?.unwrap_or_default()
        } else {
            Vec::new()
        };
        examine_commit(self.context, self.source, old, commit).await
    }

    /// Commits a change together with the completions of the attempts, which `complete` makes from what was flagged.
    async fn commit(
        &self,
        planned: Planned<'_>,
        attempts: &[&Attempt],
        complete: impl FnOnce(&mut Facts, Timestamp, &Flagged) -> Vec<Arc<InboxRow>>,
    ) -> Result<Vec<RunEnd>, ProcessingError> {
        self.context.progress.begin("commit");
        fail_point::pass(FailPoint::BeforeChange);
        let Planned {
            revision,
            seen,
            problem,
            advance,
            flags,
            group_rules,
            is_last,
        } = planned;
        let name = self.source.name();
        let keys = Keys {
            messages: attempts
                .iter()
                .map(|attempt| (attempt.key.clone(), attempt.digest))
                .collect(),
            repositories: [name.clone()].into(),
            new_group_rules: group_rules,
            flag: flags.as_ref().map(|flags| flags.devices.clone()),
            ..Keys::default()
        };
        let (mut facts, mut transaction) = self.context.begin(&keys).await?;
        if !self.context.leases.are_held(&facts) {
            return Err(ProcessingError::later("the lease was lost"));
        }
        // The store's clock counts, as in batches: a worker's wrong clock never says since when devices are unsynchronized.
        let at = facts.now().unwrap_or_else(|| self.clock.now());
        let found = facts.repository(&name).map_or(0, |row| row.revision);
        let is_processed = |attempt: &&Attempt| facts.message(&attempt.key).is_some();
        if found != revision || attempts.iter().any(is_processed) {
            return Err(ProcessingError::later("another worker was first"));
        }
        let flagged = match flags {
            Some(flags) => self.flag(&mut transaction, flags, at).await?,
            None => Flagged::default(),
        };
        facts.change_repository(RepositoryChange {
            name,
            branch: self.source.mirror.remote().branch().to_owned(),
            revision,
            seen,
            at,
            problem,
            advance,
        });
        let rows = complete(&mut facts, at, &flagged);
        if is_last {
            transaction.commit_and_release(facts).await?;
        } else {
            transaction.commit(&facts).await?;
        }
        Ok(rows.into_iter().map(RunEnd::Committed).collect())
    }

    async fn flag(
        &self,
        transaction: &mut RunTransaction<'_>,
        flags: Flags<'_>,
        at: Timestamp,
    ) -> Result<Flagged, ProcessingError> {
        let attempt = flags.attempt;
        let cause = NewCause {
            cause: match self.source.kind {
                RepositoryKind::Settings => Cause::RefreshSettings,
                RepositoryKind::Templates => Cause::RefreshTemplates,
            },
            identity: attempt.key.identity.clone(),
            kind: attempt.envelope.message.kind(),
            actor: attempt.key.actor.clone(),
            at,
            note: None,
            detail: Some(flags.detail),
        };
        Ok(transaction.flag(&cause).await?)
    }
}

/// What an error of git means for a message.
pub(super) fn git_error(error: &GitError) -> ProcessingError {
    let place = "$.data.repository";
    match error {
        GitError::NoBranch { .. } => Rejection::new(Code::UnknownBranch, place, error.to_string()).into(),
        GitError::NoCommit { commit } => {
            let reason =
                format!("there is no commit {commit} in the repository; push it, or name another one");
            Rejection::new(Code::UnknownCommit, "$.data.commit", reason).into()
        }
        GitError::Busy => ProcessingError::later(error.to_string()),
        GitError::Missing(_)
        | GitError::TimedOut { .. }
        | GitError::Redirected { .. }
        | GitError::Limit { .. }
        | GitError::Failed { .. }
        | GitError::TooMuch { .. }
        | GitError::Unexpected { .. }
        | GitError::Clone(_) => ProcessingError::transient(chain(error)),
    }
}
