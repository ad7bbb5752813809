//! The repositories: reachable, with their branch, and where we last saw them.

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
            "none is configured",
            "name them in [repositories.settings] and [repositories.templates]; without, changes there flag no device",
        );
    }
    let store = roles::seen_repositories(config).ok();
    for source in &sources {
        let known = match &store {
            Some(store) => store
                .repository(&source.name())
                .await
                .map_or(Known::Unknown, Known::of),
            None => Known::Unknown,
        };
        one(source, known, findings).await;
    }
}

/// What the store says of a repository.
enum Known {
    /// It was looked at.
    Seen(RepositoryRow),
    /// It never was.
    Never,
    /// The store does not say.
    Unknown,
}

impl Known {
    fn of(row: Option<RepositoryRow>) -> Self {
        row.map_or(Self::Never, Self::Seen)
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
            format!("{name} is reachable, its tip is {tip}; the store does not say what was seen of it"),
            "see to the store first",
        ),
        Known::Never => findings.warning(
            CHECK,
            format!("{name} is reachable, its tip is {tip}; nobody asked for it yet"),
            format!("`lockstep repositories accept {name} COMMIT` takes a commit as what devices have, `lockstep repositories refresh {name}` flags them all"),
        ),
        Known::Seen(row) => seen(&row, &tip.to_string(), findings),
    }
}

fn seen(row: &RepositoryRow, tip: &str, findings: &mut Findings) {
    let name = &row.name;
    if let Some(problem) = &row.problem {
        return findings.failed(
            CHECK,
            format!(
                "{name}: the commit seen last, {}, was refused: {problem}",
                row.seen
            ),
            "correct it there and push",
        );
    }
    if row.seen.to_string() == tip {
        return findings.ok(CHECK, format!("{name} is reachable, and its tip {tip} was seen"));
    }
    findings.warning(
        CHECK,
        format!("{name} is reachable; its tip is {tip}, seen last was {}", row.seen),
        format!("wait for repositories.poll_seconds, or run `lockstep repositories refresh {name}`; then see to its webhooks"),
    );
}
