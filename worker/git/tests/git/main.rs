//! The mirror, on real repositories.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_git::{Blob, Git, GitError, Mirror, Remote};
use lockstep_protocol::CommitId;
use lockstep_testbed::Repository;
use tempfile::TempDir;

struct Place {
    folder: TempDir,
    origin: Repository,
}

/// A commit as git told it.
fn id(commit: &str) -> CommitId {
    commit.parse().expect("git tells commits")
}

impl Place {
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
async fn a_branch_is_fetched_and_what_is_in_it_is_told() -> Result<()> {
    let place = Place::new()?;
    place.origin.write("global/a b.yml", b"x: 1\n")?;
    place.origin.write("devices/d1/line\nbreak.yml", b"y")?;
    place.origin.write("devices/\u{fc}/\u{2603}.yml", b"")?;
    let first = id(&place.origin.commit("one")?);
    let mirror = place.mirror()?;
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

    place.origin.write("global/a b.yml", b"x: 2\n")?;
    let second = id(&place.origin.commit("two")?);
    ensure!(mirror.remote_tip().await? == second);
    ensure!(!mirror.has(&second).await?, "not fetched yet");
    ensure!(mirror.fetch().await? == second);
    ensure!(mirror.has(&first).await? && mirror.has(&second).await?);
    Ok(())
}

#[tokio::test]
async fn history_that_was_rewritten_is_fetched_like_any_other() -> Result<()> {
    let place = Place::new()?;
    place.origin.write("a", b"1")?;
    place.origin.commit("one")?;
    let mirror = place.mirror()?;
    mirror.fetch().await?;
    place.origin.git(&["checkout", "-q", "--orphan", "other"])?;
    place.origin.git(&["branch", "-qD", "main"])?;
    place.origin.git(&["branch", "-qm", "main"])?;
    place.origin.write("b", b"2")?;
    let rewritten = id(&place.origin.commit("two")?);
    ensure!(mirror.fetch().await? == rewritten);
    Ok(())
}

#[tokio::test]
async fn a_clone_that_is_lost_or_broken_is_made_anew() -> Result<()> {
    let place = Place::new()?;
    place.origin.write("a", b"1")?;
    let commit = id(&place.origin.commit("one")?);
    let mirror = place.mirror()?;
    mirror.fetch().await?;
    let clone = place.folder.path().join("clones/settings.git");
    for file in ["config", "HEAD"] {
        std::fs::write(clone.join(file), "\0broken")?;
        ensure!(mirror.fetch().await? == commit, "{file}");
    }
    // What a fetch leaves that was killed.
    std::fs::create_dir_all(clone.join("refs/lockstep"))?;
    std::fs::write(clone.join("refs/lockstep/tip.lock"), "")?;
    place.origin.write("a", b"2")?;
    let commit = id(&place.origin.commit("two")?);
    ensure!(mirror.fetch().await? == commit);
    std::fs::remove_dir_all(&clone)?;
    ensure!(mirror.fetch().await? == commit);
    Ok(())
}

#[tokio::test]
async fn a_remote_without_the_branch_says_so() -> Result<()> {
    let place = Place::new()?;
    let mirror = place.mirror()?;
    let missing = |error: GitError| matches!(error, GitError::NoBranch { ref branch } if branch == "main");
    ensure!(missing(mirror.fetch().await.unwrap_err()), "empty");
    place.origin.write("a", b"1")?;
    place.origin.commit("one")?;
    mirror.fetch().await?;
    place.origin.git(&["branch", "-qm", "other"])?;
    ensure!(missing(mirror.fetch().await.unwrap_err()), "gone");
    ensure!(missing(mirror.remote_tip().await.unwrap_err()), "gone");
    Ok(())
}

#[tokio::test]
async fn a_remote_that_is_not_there_fails_without_touching_the_clone() -> Result<()> {
    let place = Place::new()?;
    place.origin.write("a", b"1")?;
    let commit = id(&place.origin.commit("one")?);
    place.mirror()?.fetch().await?;
    let gone = place.mirror_of("/nonexistent/repository")?;
    let error = gone.fetch().await.unwrap_err();
    ensure!(matches!(error, GitError::Failed { .. }), "{error:?}");
    ensure!(gone.has(&commit).await?, "the clone is still there");
    Ok(())
}

#[tokio::test]
async fn a_remote_that_asks_for_credentials_is_refused_at_once() -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/settings.git", listener.local_addr()?);
    let server = tokio::spawn(async move {
        let mut asked = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.unwrap_or(0);
            asked.push(String::from_utf8_lossy(&request[..length]).into_owned());
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    let place = Place::new()?;
    let error = place.mirror_of(&url)?.fetch().await.unwrap_err();
    ensure!(matches!(error, GitError::Failed { .. }), "{error:?}");

    // With a token, it is sent; and it stands in no error.
    let mut remote = Remote::new(&url, "main")?;
    remote.token = Some(("bot".to_owned(), "hunter2-secret".into()));
    let git = Git::new("git", Duration::from_mins(1));
    let mirror = Mirror::new(git, remote, place.folder.path().join("other.git"));
    let error = mirror.fetch().await.unwrap_err();
    ensure!(!format!("{error:?}{mirror:?}").contains("hunter2"), "{error:?}");
    server.abort();
    Ok(())
}

#[tokio::test]
async fn a_remote_that_hangs_is_given_up() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/settings.git", listener.local_addr()?);
    let place = Place::new()?;
    let git = Git::new("git", Duration::from_millis(500));
    let mirror = Mirror::new(
        git,
        Remote::new(&url, "main")?,
        place.folder.path().join("hangs.git"),
    );
    let error = mirror.fetch().await.unwrap_err();
    ensure!(matches!(error, GitError::TimedOut { .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn hooks_and_configuration_of_others_are_not_run() -> Result<()> {
    let place = Place::new()?;
    place.origin.write("a", b"1")?;
    place.origin.commit("one")?;
    let mirror = place.mirror()?;
    mirror.fetch().await?;
    let clone = place.folder.path().join("clones/settings.git");
    let metrics_guard = place.folder.path().join("witness");
    let hooks = clone.join("hooks");
    std::fs::create_dir_all(&hooks)?;
    for hook in ["reference-transaction", "post-update", "pre-auto-gc"] {
        let path = hooks.join(hook);
        std::fs::write(&path, format!("#!/bin/sh\ntouch {}\n", metrics_guard.display()))?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    place.origin.write("a", b"2")?;
    place.origin.commit("two")?;
    mirror.fetch().await?;
    ensure!(!metrics_guard.exists());
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_not_found() -> Result<()> {
    let place = Place::new()?;
    place.origin.write("a", b"1")?;
    place.origin.commit("one")?;
    let mirror = place.mirror()?;
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
    let place = Place::new()?;
    place.origin.write("large", &vec![b'x'; 10 * 1024 * 1024 + 1])?;
    let commit = id(&place.origin.commit("one")?);
    let mirror = place.mirror()?;
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
async fn sha_256_is_a_format_like_any_other() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let origin = Repository::init_with(&folder.path().join("origin"), &["--object-format=sha256"])?;
    origin.write("a", b"1")?;
    let commit = id(&origin.commit("one")?);
    let place = Place { folder, origin };
    let mirror = place.mirror()?;
    ensure!(mirror.fetch().await? == commit);
    ensure!(commit.as_str().len() == 64);
    Ok(())
}
