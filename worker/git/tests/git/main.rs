//! Tests the mirror with real repositories.

mod commit_info;
mod credentials;
mod hostile;
mod server;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_git::{Blob, Git, GitError, Mirror, Remote};
use lockstep_protocol::CommitId;
use lockstep_testbed::Repository;
use tempfile::TempDir;

struct Setup {
    folder: TempDir,
    origin: Repository,
}

/// The id that git printed.
fn id(commit: &str) -> CommitId {
    commit.parse().expect("git prints commit ids")
}

impl Setup {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let origin = Repository::init(&folder.path().join("origin"))?;
        Ok(Self { folder, origin })
    }

    fn mirror(&self) -> Result<Mirror> {
        self.mirror_of(self.origin.path().to_str().context("UTF-8")?)
    }

    fn mirror_of(&self, url: &str) -> Result<Mirror> {
        let git = Git::new("git", Duration::from_mins(1));
        let remote = Remote::new(url, "main")?;
        Ok(Mirror::new(
            git,
            remote,
            self.folder.path().join("clones/settings.git"),
        ))
    }
}

#[tokio::test]
async fn a_branch_is_fetched_and_its_files_are_read() -> Result<()> {
    let setup = Setup::new()?;
    setup.origin.write("global/a b.yml", b"x: 1\n")?;
    setup.origin.write("devices/d1/line\nbreak.yml", b"y")?;
    setup.origin.write("devices/\u{fc}/\u{2603}.yml", b"")?;
    let first = id(&setup.origin.commit("one")?);
    let mirror = setup.mirror()?;
    ensure!(mirror.fetch().await? == first);
    let listing = mirror.listing(&first).await?;
    let paths = String::from_utf8(listing.clone())?;
    for path in [
        "global/a b.yml\0",
        "devices/d1/line\nbreak.yml\0",
        "devices/\u{fc}/\u{2603}.yml\0",
    ] {
        ensure!(paths.contains(path), "{paths:?}");
    }
    let objects: Vec<String> = paths
        .split('\0')
        .filter_map(|entry| Some(entry.split('\t').next()?.split(' ').nth(2)?.to_owned()))
        .collect();
    let sizes = mirror
        .sizes(&[&objects[..], &[first.to_string(), "0".repeat(40)]].concat())
        .await?;
    let mut known: Vec<u64> = sizes.into_values().collect();
    known.sort_unstable();
    ensure!(
        known == [0, 1, 5],
        "{known:?}: neither a commit nor what is not there"
    );
    let blobs = mirror.blobs(&objects).await?;
    ensure!(blobs.len() == 3);
    ensure!(
        blobs
            .values()
            .any(|blob| *blob == Blob::Content(b"x: 1\n".to_vec())),
        "{blobs:?}"
    );
    ensure!(
        blobs.values().any(|blob| *blob == Blob::Content(Vec::new())),
        "{blobs:?}"
    );

    setup.origin.write("global/a b.yml", b"x: 2\n")?;
    let second = id(&setup.origin.commit("two")?);
    ensure!(mirror.remote_tip().await? == second);
    ensure!(!mirror.has(&second).await?, "not fetched yet");
    ensure!(mirror.fetch().await? == second);
    ensure!(mirror.has(&first).await? && mirror.has(&second).await?);
    Ok(())
}

#[tokio::test]
async fn a_rewritten_history_is_fetched() -> Result<()> {
    let setup = Setup::new()?;
    setup.origin.write("a", b"1")?;
    setup.origin.commit("one")?;
    let mirror = setup.mirror()?;
    mirror.fetch().await?;
    setup.origin.git(&["checkout", "-q", "--orphan", "other"])?;
    setup.origin.git(&["branch", "-qD", "main"])?;
    setup.origin.git(&["branch", "-qm", "main"])?;
    setup.origin.write("b", b"2")?;
    let rewritten = id(&setup.origin.commit("two")?);
    ensure!(mirror.fetch().await? == rewritten);
    Ok(())
}

#[tokio::test]
async fn a_lost_or_damaged_clone_is_cloned_again() -> Result<()> {
    let setup = Setup::new()?;
    setup.origin.write("a", b"1")?;
    let commit = id(&setup.origin.commit("one")?);
    let mirror = setup.mirror()?;
    mirror.fetch().await?;
    let clone = setup.folder.path().join("clones/settings.git");
    for file in ["config", "HEAD"] {
        std::fs::write(clone.join(file), "\0broken")?;
        ensure!(mirror.fetch().await? == commit, "{file}");
    }
    // The lock file that a killed fetch leaves.
    std::fs::create_dir_all(clone.join("refs/lockstep"))?;
    std::fs::write(clone.join("refs/lockstep/tip.lock"), "")?;
    setup.origin.write("a", b"2")?;
    let commit = id(&setup.origin.commit("two")?);
    ensure!(mirror.fetch().await? == commit);
    std::fs::remove_dir_all(&clone)?;
    ensure!(mirror.fetch().await? == commit);
    Ok(())
}

#[tokio::test]
async fn a_missing_branch_is_reported() -> Result<()> {
    let setup = Setup::new()?;
    let mirror = setup.mirror()?;
    let missing = |error: GitError| matches!(error, GitError::NoBranch { ref branch } if branch == "main");
    ensure!(missing(mirror.fetch().await.unwrap_err()), "empty");
    setup.origin.write("a", b"1")?;
    setup.origin.commit("one")?;
    mirror.fetch().await?;
    setup.origin.git(&["branch", "-qm", "other"])?;
    ensure!(missing(mirror.fetch().await.unwrap_err()), "gone");
    ensure!(missing(mirror.remote_tip().await.unwrap_err()), "gone");
    Ok(())
}

#[tokio::test]
async fn a_missing_remote_does_not_touch_the_clone() -> Result<()> {
    let setup = Setup::new()?;
    setup.origin.write("a", b"1")?;
    let commit = id(&setup.origin.commit("one")?);
    setup.mirror()?.fetch().await?;
    let gone = setup.mirror_of("/nonexistent/repository")?;
    let error = gone.fetch().await.unwrap_err();
    ensure!(matches!(error, GitError::Failed { .. }), "{error:?}");
    ensure!(gone.has(&commit).await?, "the clone is still there");
    Ok(())
}

#[tokio::test]
async fn a_remote_that_hangs_times_out() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/settings.git", listener.local_addr()?);
    let setup = Setup::new()?;
    let git = Git::new("git", Duration::from_millis(500));
    let mirror = Mirror::new(
        git,
        Remote::new(&url, "main")?,
        setup.folder.path().join("hangs.git"),
    );
    let error = mirror.fetch().await.unwrap_err();
    ensure!(matches!(error, GitError::TimedOut { .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn hooks_of_the_clone_are_not_run() -> Result<()> {
    let setup = Setup::new()?;
    setup.origin.write("a", b"1")?;
    setup.origin.commit("one")?;
    let mirror = setup.mirror()?;
    mirror.fetch().await?;
    let clone = setup.folder.path().join("clones/settings.git");
    let hook_output = setup.folder.path().join("hook-output");
    let hooks = clone.join("hooks");
    std::fs::create_dir_all(&hooks)?;
    for hook in ["reference-transaction", "post-update", "pre-auto-gc"] {
        let path = hooks.join(hook);
        std::fs::write(&path, format!("#!/bin/sh\ntouch {}\n", hook_output.display()))?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    setup.origin.write("a", b"2")?;
    setup.origin.commit("two")?;
    mirror.fetch().await?;
    ensure!(!hook_output.exists());
    Ok(())
}

#[tokio::test]
async fn missing_commits_and_objects_are_not_found() -> Result<()> {
    let setup = Setup::new()?;
    setup.origin.write("a", b"1")?;
    setup.origin.commit("one")?;
    let mirror = setup.mirror()?;
    mirror.fetch().await?;
    let nowhere: CommitId = "ab".repeat(20).parse()?;
    ensure!(!mirror.has(&nowhere).await?);
    let error = mirror.listing(&nowhere).await.unwrap_err();
    ensure!(matches!(error, GitError::NoCommit { .. }), "{error:?}");
    ensure!(mirror.blobs(&["cd".repeat(20)]).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_read() -> Result<()> {
    let setup = Setup::new()?;
    setup.origin.write("large", &vec![b'x'; 10 * 1024 * 1024 + 1])?;
    let commit = id(&setup.origin.commit("one")?);
    let mirror = setup.mirror()?;
    mirror.fetch().await?;
    let listing = String::from_utf8(mirror.listing(&commit).await?)?;
    let object = listing
        .split(' ')
        .nth(2)
        .and_then(|rest| rest.split('\t').next())
        .context("object")?;
    let blobs = mirror.blobs(&[object.to_owned()]).await?;
    ensure!(blobs[object] == Blob::TooLarge(10 * 1024 * 1024 + 1));
    Ok(())
}

#[tokio::test]
async fn a_repository_with_sha_256_is_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let origin = Repository::init_with(&folder.path().join("origin"), &["--object-format=sha256"])?;
    origin.write("a", b"1")?;
    let commit = id(&origin.commit("one")?);
    let setup = Setup { folder, origin };
    let mirror = setup.mirror()?;
    ensure!(mirror.fetch().await? == commit);
    ensure!(commit.as_str().len() == 64);
    Ok(())
}
