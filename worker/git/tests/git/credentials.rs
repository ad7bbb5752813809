//! Credentials reach the configured host, and nobody else.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_git::{Git, GitError, Mirror, Remote, RemoteSettings};

use crate::server::{Reply, Server, answer};

/// Not in the arguments or the environment of the test itself.
const SECRET: &str = "hunter2-secret";
/// `bot:hunter2-secret` as git sends it.
const HEADER: &str = "authorization: basic ym90omh1bnrlcjitc2vjcmv0";

fn settings(url: String) -> RemoteSettings {
    RemoteSettings {
        url,
        branch: "main".to_owned(),
        allow_credentials_without_tls: true,
        ..RemoteSettings::default()
    }
}

fn mirror(settings: RemoteSettings, folder: &Path) -> Result<Mirror> {
    let git = Git::new("git", Duration::from_mins(1));
    Ok(Mirror::new(
        git,
        Remote::of(settings)?,
        folder.join("settings.git"),
    ))
}

fn refused() -> Reply {
    let challenge = "WWW-Authenticate: Basic realm=\"git\"\r\n";
    let kind = "Content-Type: text/plain\r\n";
    Reply::Whole(answer(
        "401 Unauthorized",
        &format!("{challenge}{kind}"),
        format!("no {SECRET} here").as_bytes(),
    ))
}

/// The processes that show the secret to other users of the machine, or hand it on in their environment.
fn processes_with_secret() -> Vec<String> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return vec!["/proc cannot be read".to_owned()];
    };
    let shows = |path: &Path| {
        ["cmdline", "environ"].into_iter().any(|file| {
            let text = std::fs::read(path.join(file)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            text.contains(SECRET) || text.contains("Ym90Omh1bnRlcjItc2VjcmV0")
        })
    };
    processes
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| shows(path))
        .map(|path| std::fs::read_to_string(path.join("cmdline")).unwrap_or_default())
        .collect()
}

/// Every file below the folder that contains the secret.
fn files_with_secret(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files_with_secret(&entry.path()));
        } else {
            let text = std::fs::read(entry.path()).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(SECRET) {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn credentials_reach_the_remote_and_are_in_no_argument_environment_clone_or_error() -> Result<()> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start({
        let seen = seen.clone();
        move |_| {
            seen.lock().unwrap().extend(processes_with_secret());
            refused()
        }
    });
    let server = server.await?;
    let in_url = server.url().replace("http://", &format!("http://bot:{SECRET}@"));
    let with_token = RemoteSettings {
        token: Some(("bot".to_owned(), SECRET.into())),
        ..settings(server.url())
    };
    for settings in [settings(in_url), with_token] {
        let before = server.requests().len();
        let folder = tempfile::tempdir()?;
        let mirror = mirror(settings, folder.path())?;
        let error = mirror.fetch().await.unwrap_err();
        ensure!(matches!(error, GitError::Failed { .. }), "{error:?}");
        ensure!(
            !format!("{error:?}{error}{mirror:?}").contains("hunter2"),
            "{error:?}"
        );
        let requests = server.requests().split_off(before);
        ensure!(
            requests.iter().any(|request| request.contains(HEADER)),
            "{requests:?}"
        );
        ensure!(seen.lock().unwrap().is_empty(), "{seen:?}");
        ensure!(files_with_secret(folder.path()).is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn an_anonymous_remote_that_asks_for_credentials_fails_without_a_prompt() -> Result<()> {
    let server = Server::start(|_| refused()).await?;
    let folder = tempfile::tempdir()?;
    let error = mirror(settings(server.url()), folder.path())?
        .fetch()
        .await
        .unwrap_err();
    ensure!(matches!(error, GitError::Failed { .. }), "{error:?}");
    ensure!(!server.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_target_gets_no_request() -> Result<()> {
    let target = Server::start(|_| refused()).await?;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let location = format!("Location: {}/info/refs?service=git-upload-pack\r\n", target.url());
        let server = Server::start(move |_| Reply::Whole(answer(status, &location, b""))).await?;
        let folder = tempfile::tempdir()?;
        let with_token = RemoteSettings {
            token: Some(("bot".to_owned(), SECRET.into())),
            ..settings(server.url())
        };
        for settings in [with_token, settings(server.url())] {
            let mirror = mirror(settings, folder.path())?;
            for error in [
                mirror.fetch().await.unwrap_err(),
                mirror.remote_tip().await.unwrap_err(),
            ] {
                ensure!(
                    matches!(error, GitError::Redirected { .. }),
                    "{status}: {error:?}"
                );
                ensure!(error.to_string().contains("follow_redirects = true"), "{error}");
            }
        }
        ensure!(!server.requests().is_empty());
    }
    ensure!(target.requests().is_empty(), "{:?}", target.requests());
    Ok(())
}

#[tokio::test]
async fn an_allowed_redirect_takes_no_credentials_to_another_host() -> Result<()> {
    let target = Server::start(|_| refused()).await?;
    let location = format!("Location: {}/info/refs?service=git-upload-pack\r\n", target.url());
    let server = Server::start(move |request: &str| {
        if request.contains("authorization: ") {
            Reply::Whole(answer("302 Found", &location, b""))
        } else {
            refused()
        }
    });
    let server = server.await?;
    let folder = tempfile::tempdir()?;
    let mirror = mirror(
        RemoteSettings {
            token: Some(("bot".to_owned(), SECRET.into())),
            follow_redirects: true,
            ..settings(server.url())
        },
        folder.path(),
    )?;
    let error = mirror.fetch().await.unwrap_err();
    ensure!(matches!(error, GitError::Failed { .. }), "{error:?}");
    ensure!(server.requests().iter().any(|request| request.contains(HEADER)));
    let requests = target.requests();
    ensure!(
        !requests.is_empty() && !requests.iter().any(|request| request.contains("authorization")),
        "{requests:?}"
    );
    Ok(())
}
