//! Checks the repositories: reachable, with their branch, and refreshed to their tip.

use lockstep_clock::{Clock, SystemClock};
use lockstep_store::RepositoryRow;
use lockstep_worker::repositories::Source;

use super::finding::Findings;
use crate::config::Config;
use crate::roles;

const CHECK: &str = "repository";

pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    let sources = match roles::sources(config) {
        Ok(sources) => sources,
        Err(error) => return findings.failed(CHECK, error.to_string(), "correct the configuration"),
    };
    if sources.is_empty() {
        return findings.warning(
            CHECK,
            "no repository is configured",
            "set [repositories.settings] and [repositories.templates]; without them, changes of settings and templates affect no device",
        );
    }
    weakened(config, findings);
    let store = roles::seen_repositories(config).ok();
    let failures = match &store {
        Some(store) => store.failures().await.unwrap_or_default(),
        None => Vec::new(),
    };
    for source in &sources {
        let known = match &store {
            Some(store) => store
                .repository(&source.name())
                .await
                .map_or(Known::Unknown, Known::of),
            None => Known::Unknown,
        };
        one(source, known, findings).await;
        if let Some(failure) = failures.iter().find(|failure| failure.name == source.name()) {
            findings.warning(
                CHECK,
                format!(
                    "{}: workers cannot fetch it since {:.0}: {}",
                    failure.name, failure.since, failure.reason
                ),
                "check its address, keys and tokens on the machines of the workers; they try again by themselves",
            );
        }
    }
}

/// Warns about settings that let others read the credentials or choose the remote.
fn weakened(config: &Config, findings: &mut Findings) {
    let configured = [
        ("settings", &config.repositories.settings),
        ("templates", &config.repositories.templates),
    ];
    for (name, repository) in configured {
        let Some(repository) = repository else { continue };
        if repository.allow_credentials_without_tls && repository.url.expose().starts_with("http://") {
            findings.warning(
                CHECK,
                format!("{name}: credentials are sent unencrypted"),
                format!(
                    "use an https:// address, and remove repositories.{name}.allow_credentials_without_tls"
                ),
            );
        }
        if repository.follow_redirects {
            findings.warning(
                CHECK,
                format!("{name}: the remote may redirect to any host, whose content is then accepted"),
                format!("set repositories.{name}.url to the final address, and remove follow_redirects"),
            );
        }
    }
}

/// The state of a repository in the store.
enum Known {
    /// It was refreshed at least once.
    Seen(Box<RepositoryRow>),
    /// It was never refreshed.
    Never,
    /// The store cannot be read.
    Unknown,
}

impl Known {
    fn of(row: Option<RepositoryRow>) -> Self {
        row.map_or(Self::Never, |row| Self::Seen(Box::new(row)))
    }
}

async fn one(source: &Source, known: Known, findings: &mut Findings) {
    let name = source.name();
    let tip = match source.mirror.remote_tip().await {
        Ok(tip) => tip,
        Err(error) => {
            let error = anyhow::Error::new(error);
            return findings.failed(
                CHECK,
                format!("{name}: {error:#}"),
                format!("check url, branch, keys and tokens in [repositories.{name}], as the user that runs the worker"),
            );
        }
    };
    match known {
        Known::Unknown => findings.unknown(
            CHECK,
            format!("{name} is reachable, its tip is {tip}; the store cannot be read"),
            "fix the store first",
        ),
        Known::Never => findings.warning(
            CHECK,
            format!("{name} is reachable, its tip is {tip}; it was never refreshed"),
            format!("run `lockstep repositories accept {name} COMMIT` if the devices have the configuration of that commit, else `lockstep repositories refresh {name}`, which marks all affected devices unsynchronized"),
        ),
        Known::Seen(row) => seen(&row, &tip.to_string(), findings),
    }
}

/// How long the remote of a repository may not have been asked by a worker: as `lockstep check verdict-age`.
const UNASKED_SECONDS: i64 = 30 * 60;

/// Warns if no worker asked the remote for long.
fn asked(row: &RepositoryRow, findings: &mut Findings) {
    let Some(asked_at) = row.asked_at else { return };
    let age = SystemClock.now().duration_since(asked_at).as_secs();
    if age >= UNASKED_SECONDS {
        findings.warning(
            CHECK,
            format!("{}: no worker asked its remote since {asked_at:.0}", row.name),
            "start a worker with the lane repositories, and look at its log; changes go unnoticed meanwhile",
        );
    }
}

fn seen(row: &RepositoryRow, tip: &str, findings: &mut Findings) {
    let name = &row.name;
    asked(row, findings);
    if let Some(problem) = &row.problem {
        return findings.failed(
            CHECK,
            format!(
                "{name}: the last refreshed commit, {}, is invalid: {problem}",
                row.seen
            ),
            "fix the repository and push",
        );
    }
    if row.seen.to_string() == tip {
        return findings.ok(
            CHECK,
            format!("{name} is reachable, and was refreshed to its tip {tip}"),
        );
    }
    findings.warning(
        CHECK,
        format!("{name} is reachable; its tip is {tip}, but the last refresh was at {}", row.seen),
        format!("wait for repositories.poll_seconds, or run `lockstep repositories refresh {name}`; then check its webhooks"),
    );
}
