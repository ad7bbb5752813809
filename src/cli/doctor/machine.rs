//! Checks this machine: data folder, git and deadlines.

use std::time::Duration;

use super::As;
use super::finding::Findings;
use crate::config::{BrokerUrl, Config, StoreUrl};
use crate::roles::descriptors::{self, Servers};
use crate::{data_folder, roles};

/// The oldest git with protocol version 2 by default and `--end-of-options`.
const OLDEST_GIT: (u32, u32) = (2, 26);

/// How long the processing of a message may take. By default, the broker closes a channel after 30 minutes.
const DEADLINE: Duration = Duration::from_mins(20);

/// What to do about files that other users may read or change.
pub(super) const LOOSE: &str =
    "nothing needs it; where no other user exists, as in a container, it does no harm";

pub(super) async fn examine(config: &Config, role: As, findings: &mut Findings) {
    for warning in &config.warnings {
        findings.warning("local files", warning, LOOSE);
    }
    let embedded =
        matches!(config.broker.url, BrokerUrl::Embedded) || matches!(config.store.url, StoreUrl::Sqlite(_));
    if role == As::Worker || embedded {
        data_dir(config, findings);
    }
    descriptors(config, role, embedded, findings);
    if role == As::Worker {
        git(findings).await;
        deadline(config, findings);
    }
}

fn data_dir(config: &Config, findings: &mut Findings) {
    const CHECK: &str = "data folder";
    let folder = &config.data_dir;
    let warnings = match data_folder::make(folder) {
        Ok(warnings) => warnings,
        Err(error) => {
            let advice = "do that, or set data_dir to another folder";
            return findings.failed(CHECK, format!("{error:#}"), advice);
        }
    };
    match tempfile::NamedTempFile::with_prefix_in(".doctor-", folder) {
        Ok(_) => findings.ok(CHECK, format!("{} is writable", folder.display())),
        Err(error) => findings.failed(
            CHECK,
            format!("{} is not writable: {error}", folder.display()),
            "set data_dir to another folder, or let this user write there",
        ),
    }
    for warning in warnings {
        findings.warning(CHECK, warning, LOOSE);
    }
}

/// The limit of open files. This process has raised its own to the hard limit, as each role does; it may differ from the limit of
/// the service.
fn descriptors(config: &Config, role: As, embedded: bool, findings: &mut Findings) {
    const CHECK: &str = "open files";
    let servers = match role {
        _ if embedded => Servers::BOTH,
        As::Worker => Servers::NONE,
        As::Gateway => Servers::GATEWAY,
        As::Console => Servers::CONSOLE,
    };
    let (limit, reserve, wanted) = (
        descriptors::limit(),
        descriptors::reserve(config),
        servers.wanted(config),
    );
    let needed = reserve + wanted.gateway + wanted.console;
    let advice = format!(
        "raise the hard limit to {needed} (`ulimit -Hn`, LimitNOFILE= of systemd, ulimits of a container), or lower gateway.max_connections or store.pool_size"
    );
    match descriptors::shares(limit, reserve, wanted) {
        Ok(granted) if granted == wanted => {
            findings.ok(CHECK, format!("{needed} are needed at most, and allowed"));
        }
        Ok(granted) => findings.warning(
            CHECK,
            format!(
                "{limit} are allowed, so the servers have {} connections instead of {}",
                granted.gateway + granted.console,
                wanted.gateway + wanted.console
            ),
            advice,
        ),
        Err(error) => findings.failed(CHECK, error.to_string(), advice),
    }
}

async fn git(findings: &mut Findings) {
    const CHECK: &str = "git";
    match roles::git_version().await {
        Ok(text) => match version_of(&text) {
            Some(version) if version >= OLDEST_GIT => findings.ok(CHECK, text),
            Some(_) => findings.failed(
                CHECK,
                text,
                format!("install git {}.{} or newer", OLDEST_GIT.0, OLDEST_GIT.1),
            ),
            None => findings.unknown(
                CHECK,
                text,
                format!("check that it is {}.{} or newer", OLDEST_GIT.0, OLDEST_GIT.1),
            ),
        },
        Err(error) => findings.failed(CHECK, format!("{error:#}"), "install git, and add it to PATH"),
    }
}

/// Reads `git version 2.39.5`, also with additions of vendors.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(2)?.split('.');
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}

fn deadline(config: &Config, findings: &mut Findings) {
    const CHECK: &str = "deadlines";
    // A refresh runs three git commands at most.
    let refresh = config.repositories.timeout * 3;
    if refresh <= DEADLINE {
        findings.ok(CHECK, "a message is processed within 20 minutes");
    } else {
        findings.warning(
            CHECK,
            format!("a refresh of a repository may take {} s", refresh.as_secs()),
            "lower repositories.timeout_seconds, because the broker closes a channel after 30 minutes",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git_are_read_with_additions_of_vendors() {
        let table = [
            ("git version 2.39.5", Some((2, 39))),
            ("git version 2.50.1 (Apple Git-155)", Some((2, 50))),
            ("git version 2.26.windows.1", Some((2, 26))),
            ("nonsense", None),
        ];
        for (text, expected) in table {
            assert_eq!(version_of(text), expected, "{text}");
        }
    }
}
