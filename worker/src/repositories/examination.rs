//! Reads and examines a commit. It may be fifty thousand files, and it may be made to cost much, so it runs on a thread that nobody
//! waits for, and ends when the run is cancelled.

use std::collections::HashMap;
use std::sync::Arc;

use lockstep_git::{Blob, GitError, Mirror};
use lockstep_intent::fleet::DeviceTypes;
use lockstep_intent::{
    Cancellation, Change, ChangeImpact, Examination, ExamineError, IntentProblem, Listing, ListingError,
    ObjectId, ReadObjects, RepositoryKind, examine,
};
use lockstep_protocol::CommitId;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::Source;
use super::refresh::git_error;
use crate::runtime::{ProcessingError, RunContext, chain};

/// What the examination of a commit found.
pub(super) enum TipExamination {
    /// Valid, with the listing of its tree.
    Valid(Box<ChangeImpact>, Arc<Vec<u8>>),
    Invalid(Vec<IntentProblem>),
}

/// Examines the change from the tree with the listing `old` to this commit.
pub(super) async fn examine_commit(
    context: &RunContext<'_>,
    source: &Source,
    old: Vec<u8>,
    commit: &CommitId,
) -> Result<TipExamination, ProcessingError> {
    let new = match source.mirror.listing(commit).await {
        Ok(listing) => Arc::new(listing),
        Err(GitError::TooMuch { .. }) => return Ok(TipExamination::Invalid(vec![Listing::exceeded()])),
        Err(error) => return Err(git_error(&error)),
    };
    let (kind, types, listing) = (source.kind, Arc::clone(&source.types), Arc::clone(&new));
    let objects = GitObjects::new(source.mirror.clone(), context.cancel.clone());
    let examination = on_own_thread(context, move |cancellation| {
        examine_listings(kind, &types, &old, &listing, objects, cancellation)
    });
    Ok(match examination.await?? {
        Examination::Valid(impact) => TipExamination::Valid(impact, new),
        Examination::Invalid(problems) => TipExamination::Invalid(problems),
    })
}

/// Runs pure work on a thread of its own. When the run is cancelled, the work ends soon and its result is discarded.
pub(super) async fn on_own_thread<T: Send + 'static>(
    context: &RunContext<'_>,
    work: impl FnOnce(&Cancellation<'_>) -> T + Send + 'static,
) -> Result<T, ProcessingError> {
    let cancel = context.cancel.clone();
    let done = tokio::task::spawn_blocking(move || {
        let is_cancelled = || cancel.is_cancelled();
        work(&Cancellation::new(&is_cancelled))
    });
    let done = done
        .await
        .map_err(|error| ProcessingError::transient(format!("the examination ended: {error}")))?;
    if context.cancel.is_cancelled() {
        return Err(cancelled(context.deadline <= tokio::time::Instant::now()));
    }
    Ok(done)
}

/// At its deadline the message spends an attempt, or it would come back for ever.
fn cancelled(at_deadline: bool) -> ProcessingError {
    if at_deadline {
        ProcessingError::transient("the examination of the commit did not end within the time of a run")
    } else {
        ProcessingError::later("the run was cancelled")
    }
}

fn examine_listings(
    kind: RepositoryKind,
    types: &DeviceTypes,
    old: &[u8],
    new: &[u8],
    mut objects: GitObjects,
    cancellation: &Cancellation<'_>,
) -> Result<Examination, ProcessingError> {
    let unreadable = |error: ListingError| {
        ProcessingError::transient(format!("cannot read the listing: {}", chain(&error)))
    };
    let old = Listing::parse(old).map_err(unreadable)?;
    let new = match Listing::parse_within_bounds(new) {
        Ok(new) => new,
        Err(ListingError::Exceeded(problem)) => return Ok(Examination::Invalid(vec![problem])),
        Err(error) => return Err(unreadable(error)),
    };
    let change = Change::between(&old, &new, types);
    match examine(kind, &change, &mut objects, cancellation) {
        Ok(examination) => Ok(examination),
        Err(ExamineError::Read(Some(error))) => Err(git_error(&error)),
        Err(ExamineError::Read(None) | ExamineError::Cancelled(_)) => Err(cancelled(false)),
    }
}

/// Reads objects from the clone, on a thread that may wait.
pub(crate) struct GitObjects {
    mirror: Mirror,
    cancel: CancellationToken,
    runtime: Handle,
}

impl GitObjects {
    /// Reads until this is cancelled. Must be made in a runtime.
    pub(crate) fn new(mirror: Mirror, cancel: CancellationToken) -> Self {
        Self {
            mirror,
            cancel,
            runtime: Handle::current(),
        }
    }

    /// Waits for git; `None` if the run is cancelled.
    fn wait<T>(&self, read: impl Future<Output = Result<T, GitError>>) -> Result<T, Option<GitError>> {
        let read = self.runtime.block_on(self.cancel.run_until_cancelled(read));
        read.ok_or(None)?.map_err(Some)
    }
}

impl ReadObjects for GitObjects {
    /// `None`: the run is cancelled.
    type Error = Option<GitError>;

    fn sizes(&mut self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, u64>, Self::Error> {
        let mut sizes = self.wait(self.mirror.sizes(&names(objects)))?;
        let sizes = objects
            .iter()
            .filter_map(|object| Some((object.clone(), sizes.remove(object.as_str())?)));
        Ok(sizes.collect())
    }

    fn contents(&mut self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, Vec<u8>>, Self::Error> {
        let mut blobs = self.wait(self.mirror.blobs(&names(objects)))?;
        let contents = objects
            .iter()
            .filter_map(|object| match blobs.remove(object.as_str())? {
                Blob::Content(bytes) => Some((object.clone(), bytes)),
                // Its size was read before, so that this does not happen.
                Blob::TooLarge(_) => None,
            });
        Ok(contents.collect())
    }
}

fn names(objects: &[ObjectId]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}
