//! Builds the configured repositories.

use std::sync::Arc;

use lockstep_git::{Git, Mirror, Remote, RemoteSettings};
use lockstep_intent::RepositoryKind;
use lockstep_worker::repositories::Source;

use crate::config::{Config, ConfigProblems, RepositoryConfig};

/// The configured repositories. Their clones are in the data folder, and are created at the first refresh.
///
/// # Errors
/// If an address or a branch is not valid.
pub(super) fn sources(config: &Config) -> Result<Vec<Source>, ConfigProblems> {
    let configured = [
        (RepositoryKind::Settings, &config.repositories.settings),
        (RepositoryKind::Templates, &config.repositories.templates),
    ];
    let types = Arc::new(config.devices.types.clone());
    let mut sources = Vec::new();
    for (kind, repository) in configured {
        let Some(repository) = repository else { continue };
        let remote = Remote::of(remote(repository)).map_err(|error| {
            ConfigProblems::one(&format!("repositories.{kind}.{}", error.key()), error.to_string())
        })?;
        let git = Git::new("git", config.repositories.timeout).within(config.repositories.limits);
        let folder = config.data_dir.join("repositories").join(format!("{kind}.git"));
        // Git runs in other working directories, so the path must be absolute.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let mirror = Mirror::new(git, remote, folder);
        sources.push(Source {
            kind,
            mirror,
            types: Arc::clone(&types),
        });
    }
    Ok(sources)
}

fn remote(repository: &RepositoryConfig) -> RemoteSettings {
    let token = repository.token.clone();
    RemoteSettings {
        url: repository.url.expose().to_owned(),
        branch: repository.branch.clone(),
        ssh_key_file: repository.ssh_key_file.clone(),
        known_hosts: repository.known_hosts.clone(),
        token: token.map(|token| (repository.username.clone(), token)),
        allow_credentials_without_tls: repository.allow_credentials_without_tls,
        follow_redirects: repository.follow_redirects,
    }
}
