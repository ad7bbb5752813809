use std::sync::{Arc, Mutex};

use lockstep_protocol::results::IgnoredReason;
use lockstep_protocol::{Cause, Code, CommitId, WorkResult};

use super::classification::{self, Request};
use super::runner::not_now;
use super::{Source, answer};
use crate::fail_point::{self, FailPoint};
use crate::handlers::Rejection;
use crate::runtime::{Attempt, RunEnd, chain};
use lockstep_clock::Clock;
use lockstep_git::{Blob, GitError};
use lockstep_intent::fleet::Affected;
use lockstep_intent::{
    Change, Content, Contents, Examination, IntentProblem, Judgement, Listing, RepositoryKind, examine,
};
use lockstep_store::{
    Advance, Changed, Completion, CompletionsOf, Flagged, Flags, InboxRow, Lease, NewCause, Repositories,
    RepositoryChange, RepositoryRow,
};

/// One look at one repository, under its lease.
pub(super) struct Refresh<'a> {
    pub(super) source: &'a Source,
    pub(super) lease: &'a Lease,
    pub(super) repositories: &'a dyn Repositories,
    pub(super) clock: &'a dyn Clock,
}

/// What became of a tip.
enum TipExamination {
    Sound(Box<Judgement>, Arc<Vec<u8>>),
    Broken(Vec<IntentProblem>),
}

impl Refresh<'_> {
    /// Fetches once and answers all of them, in their order.
    pub(super) async fn run(&self, requests: &[(&Attempt, Request)]) -> Vec<RunEnd> {
        let tip = match self.source.mirror.fetch().await {
            Ok(tip) => tip,
            Err(error) => return vec![git_end(&error); requests.len()],
        };
        let mut ends: Vec<Option<RunEnd>> = vec![None; requests.len()];
        let mut refreshes: Vec<(usize, &Attempt, Option<&CommitId>)> = Vec::new();
        for (place, (attempt, request)) in requests.iter().enumerate() {
            let Request::Refresh { after } = request else {
                continue;
            };
            match self.lags(attempt, after.as_ref()).await {
                Some(end) => ends[place] = Some(end),
                None => refreshes.push((place, attempt, after.as_ref())),
            }
        }
        if !refreshes.is_empty() {
            for ((place, ..), end) in refreshes.iter().zip(self.tip(&tip, &refreshes).await) {
                ends[*place] = Some(end);
            }
        }
        for (place, (attempt, request)) in requests.iter().enumerate() {
            if let Request::Accept(commit) = request {
                ends[place] = Some(self.accept(attempt, commit, &tip).await);
            }
        }
        ends.into_iter().flatten().collect()
    }

    /// Whether a push waits for its commit, which the remote does not show yet.
    async fn lags(&self, attempt: &Attempt, after: Option<&CommitId>) -> Option<RunEnd> {
        let after = after?;
        match self.source.mirror.has(after).await {
            Ok(false) if classification::waits_for_commit(attempt.number) => Some(RunEnd::Failed(format!(
                "the remote does not have commit {after} yet"
            ))),
            Ok(_) => None,
            Err(error) => Some(git_end(&error)),
        }
    }

    /// Brings the flags up to the tip.
    async fn tip(&self, tip: &CommitId, refreshes: &[(usize, &Attempt, Option<&CommitId>)]) -> Vec<RunEnd> {
        let all = |end: RunEnd| vec![end; refreshes.len()];
        let row = match self.repositories.repository(&self.source.name()).await {
            Ok(row) => row,
            Err(error) => return all(not_now(&error)),
        };
        let attempts: Vec<&Attempt> = refreshes.iter().map(|(_, attempt, _)| *attempt).collect();
        let accepted = row.as_ref().and_then(|row| row.accepted.as_ref());
        if accepted.is_some_and(|(commit, _)| commit == tip) {
            return self.unchanged(tip, row.as_ref(), &attempts).await;
        }
        let verdict = match self.judge(accepted.is_some(), tip).await {
            Ok(verdict) => verdict,
            Err(end) => return all(end),
        };
        let afters: Vec<Option<&CommitId>> = refreshes.iter().map(|(_, _, after)| *after).collect();
        let lead = classification::lead(&afters, tip);
        let change = self.change(row.as_ref(), tip);
        let now = change.at;
        let change = match verdict {
            TipExamination::Broken(problems) => {
                let rejection = answer::broken(&problems, tip);
                let completions: Vec<Completion> = attempts
                    .iter()
                    .map(|attempt| attempt.dead(&rejection, now))
                    .collect();
                RepositoryChange {
                    problem: Some(rejection.reason.clone()),
                    completions: Arc::new(move |_| completions.clone()),
                    ..change
                }
            }
            TipExamination::Sound(judgement, listing) => {
                let cause = NewCause {
                    cause: cause(self.source.kind),
                    identity: attempts[lead].identity.clone(),
                    kind: attempts[lead].envelope.message.kind(),
                    actor: attempts[lead].actor.clone(),
                    at: now,
                };
                let Judgement { affected, groups } = *judgement;
                let flags = (!affected.is_empty()).then(|| Flags {
                    cause,
                    selector: answer::selector(&affected, groups),
                });
                RepositoryChange {
                    advance: Some(Advance {
                        commit: tip.clone(),
                        listing,
                        flags,
                    }),
                    completions: coalesced(&attempts, lead, affected, tip, now),
                    ..change
                }
            }
        };
        self.commit(change, attempts.len()).await
    }

    /// The tip is accepted already. What was wrong in between is not wrong any more.
    async fn unchanged(
        &self,
        tip: &CommitId,
        row: Option<&RepositoryRow>,
        attempts: &[&Attempt],
    ) -> Vec<RunEnd> {
        let result = answer::ignored(IgnoredReason::Unchanged, Some(tip.clone()));
        let branch = self.source.mirror.remote().branch();
        if row.is_some_and(|row| row.seen == *tip && row.problem.is_none() && row.branch == branch) {
            return vec![RunEnd::Applied(result); attempts.len()];
        }
        let change = self.change(row, tip);
        let completions: Vec<Completion> = attempts
            .iter()
            .map(|attempt| attempt.applied(result.clone(), change.at))
            .collect();
        let change = RepositoryChange {
            completions: Arc::new(move |_| completions.clone()),
            ..change
        };
        self.commit(change, attempts.len()).await
    }

    /// Takes a commit as the accepted one, without flagging.
    async fn accept(&self, attempt: &Attempt, commit: &CommitId, tip: &CommitId) -> RunEnd {
        let row = match self.repositories.repository(&self.source.name()).await {
            Ok(row) => row,
            Err(error) => return not_now(&error),
        };
        // It must be sound by itself: what is accepted is the ground on which later changes are judged.
        let listing = match self.judge(false, commit).await {
            Ok(TipExamination::Sound(_, listing)) => listing,
            Ok(TipExamination::Broken(problems)) => {
                return RunEnd::Rejected(answer::broken(&problems, commit));
            }
            Err(end) => return end,
        };
        let change = self.change(row.as_ref(), tip);
        let result = answer::applied(&Affected::default(), &Flagged::default(), commit.clone());
        let completion = attempt.applied(result, change.at);
        let change = RepositoryChange {
            // Where the tip is another one, the watch finds that nobody has looked at it yet.
            seen: commit.clone(),
            advance: Some(Advance {
                commit: commit.clone(),
                listing,
                flags: None,
            }),
            completions: Arc::new(move |_| vec![completion.clone()]),
            ..change
        };
        let mut ends = self.commit(change, 1).await;
        ends.pop()
            .unwrap_or_else(|| RunEnd::Later("nothing was committed".to_owned()))
    }

    /// Judges the way from the accepted commit, or from nothing, to this one.
    async fn judge(&self, from_accepted: bool, commit: &CommitId) -> Result<TipExamination, RunEnd> {
        let name = self.source.name();
        let old = if from_accepted {
            let listing = self.repositories.listing(&name).await;
            listing.map_err(|error| not_now(&error))?.unwrap_or_default()
        } else {
            Vec::new()
        };
        let new = Arc::new(
            self.source
                .mirror
                .listing(commit)
                .await
                .map_err(|error| git_end(&error))?,
        );
        let parse = |bytes: &[u8]| {
            Listing::parse(bytes)
                .map_err(|error| RunEnd::Failed(format!("cannot read the listing: {}", chain(&error))))
        };
        let trees = Arc::new((parse(&old)?, parse(&new)?));
        let mut contents = Contents::default();
        loop {
            let (kind, both) = (self.source.kind, trees.clone());
            // It may be fifty thousand files: not on a thread that others wait for.
            let examined = tokio::task::spawn_blocking(move || {
                let examination = examine(kind, &Change::between(&both.0, &both.1), &contents);
                (examination, contents)
            });
            let (examination, read) = examined
                .await
                .map_err(|error| RunEnd::Failed(format!("the examination ended: {error}")))?;
            contents = read;
            let needed = match examination {
                Examination::Sound(judgement) => return Ok(TipExamination::Sound(Box::new(judgement), new)),
                Examination::Broken(problems) => return Ok(TipExamination::Broken(problems)),
                Examination::Needs(needed) => needed,
            };
            let objects: Vec<String> = needed.keys().map(ToString::to_string).collect();
            let mut blobs = self
                .source
                .mirror
                .blobs(&objects)
                .await
                .map_err(|error| git_end(&error))?;
            for object in needed.into_keys() {
                let content = match blobs.remove(object.as_str()) {
                    Some(Blob::Content(bytes)) => Content::Bytes(bytes),
                    Some(Blob::TooLarge(size)) => Content::TooLarge(size),
                    None => Content::Missing,
                };
                contents.insert(object, content);
            }
        }
    }

    /// A change that only says what was seen.
    fn change(&self, row: Option<&RepositoryRow>, tip: &CommitId) -> RepositoryChange {
        RepositoryChange {
            lease: self.lease.clone(),
            name: self.source.name(),
            branch: self.source.mirror.remote().branch().to_owned(),
            revision: row.map_or(0, |row| row.revision),
            seen: tip.clone(),
            at: self.clock.now(),
            problem: None,
            advance: None,
            completions: Arc::new(|_| Vec::new()),
        }
    }

    /// Commits a change. The inbox rows are those of the endings that the store made, in the order of the messages.
    async fn commit(&self, mut change: RepositoryChange, messages: usize) -> Vec<RunEnd> {
        let committed: Arc<Mutex<Vec<Arc<InboxRow>>>> = Arc::default();
        let (make, keep) = (change.completions.clone(), committed.clone());
        change.completions = Arc::new(move |flagged| {
            let completions = make(flagged);
            let mut kept = keep.lock().expect("nothing panics while it holds the lock");
            *kept = completions
                .iter()
                .map(|completion| completion.row.clone())
                .collect();
            completions
        });
        let all = |end: RunEnd| vec![end; messages];
        fail_point::pass(FailPoint::BeforeChange);
        match self.repositories.change(&change).await {
            Ok(Changed::Committed) => {
                let rows = committed.lock().expect("nothing panics while it holds the lock");
                rows.iter().cloned().map(RunEnd::Committed).collect()
            }
            Ok(Changed::LeaseLost) => all(RunEnd::Later("the lease was lost".to_owned())),
            Ok(Changed::Superseded) => all(RunEnd::Later("somebody else was first".to_owned())),
            Err(error) => all(not_now(&error)),
        }
    }
}

/// How the messages of a burst end: one message says what was done, the others where that ended.
fn coalesced(
    attempts: &[&Attempt],
    lead: usize,
    affected: Affected,
    tip: &CommitId,
    now: jiff::Timestamp,
) -> CompletionsOf {
    let attempts: Vec<Attempt> = attempts.iter().map(|attempt| (*attempt).clone()).collect();
    let tip = tip.clone();
    Arc::new(move |flagged| {
        let result = |place: usize| -> WorkResult {
            if place == lead {
                answer::applied(&affected, flagged, tip.clone())
            } else {
                answer::ignored(IgnoredReason::Coalesced, Some(tip.clone()))
            }
        };
        let attempts = attempts.iter().enumerate();
        attempts
            .map(|(place, attempt)| attempt.applied(result(place), now))
            .collect()
    })
}

fn cause(kind: RepositoryKind) -> Cause {
    match kind {
        RepositoryKind::Settings => Cause::RefreshSettings,
        RepositoryKind::Templates => Cause::RefreshTemplates,
    }
}

/// What an error of git means for a message.
fn git_end(error: &GitError) -> RunEnd {
    let place = "$.data.repository";
    match error {
        GitError::NoBranch { .. } => {
            RunEnd::Rejected(Rejection::new(Code::UnknownBranch, place, error.to_string()))
        }
        GitError::NoCommit { commit } => {
            let reason =
                format!("there is no commit {commit} in the repository; push it, or name another one");
            RunEnd::Rejected(Rejection::new(Code::UnknownCommit, "$.data.commit", reason))
        }
        GitError::Busy => RunEnd::Later(error.to_string()),
        GitError::Missing(_)
        | GitError::TimedOut { .. }
        | GitError::Failed { .. }
        | GitError::TooMuch { .. }
        | GitError::Unexpected { .. }
        | GitError::Clone(_) => RunEnd::Failed(chain(error)),
    }
}
