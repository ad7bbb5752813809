use std::sync::Arc;
use std::time::Duration;

use lockstep_git::{GitError, Mirror};
use lockstep_intent::bounds::MOST_RENDERED_BYTES;
use lockstep_intent::{Cancellation, ExamineError, Listing, ListingError, text_files};
use lockstep_protocol::CommitId;
use lockstep_render::Files;
use lockstep_sync::RenderFailure;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::repositories::GitObjects;
use crate::runtime::chain;

/// How long another process may use the clone.
const MOST_BUSY: Duration = Duration::from_mins(1);
/// How often it is looked at meanwhile.
const BUSY_PAUSE: Duration = Duration::from_millis(250);

/// The wanted text files of a commit. A commit that the clone lacks is fetched.
pub(super) async fn files(
    mirror: &Mirror,
    commit: &CommitId,
    wanted: fn(&str) -> bool,
) -> Result<Arc<Files>, RenderFailure> {
    obtain(mirror, commit).await?;
    let listing = mirror
        .listing(commit)
        .await
        .map_err(|error| failure(mirror, &error))?;
    // If nobody waits for the result any more, the thread ends soon.
    let cancel = CancellationToken::new();
    let guard: DropGuard = cancel.clone().drop_guard();
    let objects = GitObjects::new(mirror.clone(), cancel.clone());
    let (mirror, name) = (mirror.clone(), commit.clone());
    let read = tokio::task::spawn_blocking(move || {
        let is_cancelled = || cancel.is_cancelled();
        read(
            &mirror,
            &name,
            &listing,
            wanted,
            objects,
            &Cancellation::new(&is_cancelled),
        )
    });
    let read = read.await;
    drop(guard.disarm());
    read.map_err(|error| RenderFailure::Unavailable(format!("reading commit {commit} ended: {error}")))?
}

fn read(
    mirror: &Mirror,
    commit: &CommitId,
    listing: &[u8],
    wanted: fn(&str) -> bool,
    mut objects: GitObjects,
    cancellation: &Cancellation<'_>,
) -> Result<Arc<Files>, RenderFailure> {
    let invalid =
        |problem: &dyn std::fmt::Display| RenderFailure::Invalid(format!("commit {commit}: {problem}"));
    let tree = Listing::parse_within_bounds(listing).map_err(|error| match error {
        ListingError::Exceeded(problem) => invalid(&problem),
        error => RenderFailure::Unavailable(format!("commit {commit}: {error}")),
    })?;
    match text_files(&tree, &wanted, MOST_RENDERED_BYTES, &mut objects, cancellation) {
        Ok(Ok(files)) => Ok(Arc::new(files.into_iter().collect())),
        Ok(Err(problem)) => Err(invalid(&problem)),
        Err(ExamineError::Read(Some(error))) => Err(failure(mirror, &error)),
        Err(ExamineError::Read(None) | ExamineError::Cancelled(_)) => Err(RenderFailure::Unavailable(
            format!("reading commit {commit} was cancelled"),
        )),
    }
}

/// Makes sure that the clone has a commit.
async fn obtain(mirror: &Mirror, commit: &CommitId) -> Result<(), RenderFailure> {
    // Without a clone there is no commit either.
    if matches!(mirror.has(commit).await, Ok(true)) {
        return Ok(());
    }
    fetch(mirror).await?;
    match mirror.has(commit).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(RenderFailure::Invalid(format!(
            "the branch {} has no commit {commit}, or no more; plan again",
            mirror.remote().branch()
        ))),
        Err(error) => Err(failure(mirror, &error)),
    }
}

/// The tip of the branch, fetched. Waits while another process uses the clone.
pub(super) async fn fetch(mirror: &Mirror) -> Result<CommitId, RenderFailure> {
    let until = Instant::now() + MOST_BUSY;
    loop {
        match mirror.fetch().await {
            Err(GitError::Busy) if Instant::now() < until => tokio::time::sleep(BUSY_PAUSE).await,
            fetched => return fetched.map_err(|error| failure(mirror, &error)),
        }
    }
}

/// What an error of git means for a rendering.
fn failure(mirror: &Mirror, error: &GitError) -> RenderFailure {
    match error {
        GitError::NoBranch { .. } | GitError::NoCommit { .. } => RenderFailure::Invalid(error.to_string()),
        GitError::Missing(_)
        | GitError::TimedOut { .. }
        | GitError::Failed { .. }
        | GitError::Redirected { .. }
        | GitError::Limit { .. }
        | GitError::TooMuch { .. }
        | GitError::Unexpected { .. }
        | GitError::Busy
        | GitError::Clone(_) => RenderFailure::Unavailable(format!(
            "the clone of the branch {} cannot be read: {}",
            mirror.remote().branch(),
            chain(error)
        )),
    }
}
