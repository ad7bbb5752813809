//! Builds the configured repositories.

use lockstep_git::{Git, Mirror, Remote, RemoteError};
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
    let mut sources = Vec::new();
    for (kind, repository) in configured {
        let Some(repository) = repository else { continue };
        let remote = remote(repository).map_err(|(key, error)| {
            ConfigProblems::one(&format!("repositories.{kind}.{key}"), error.to_string())
        })?;
        let git = Git::new("git", config.repositories.timeout);
        let folder = config.data_dir.join("repositories").join(format!("{kind}.git"));
        // Git runs in other working directories, so the path must be absolute.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let mirror = Mirror::new(git, remote, folder);
        sources.push(Source { kind, mirror });
    }
    Ok(sources)
}

fn remote(repository: &RepositoryConfig) -> Result<Remote, (&'static str, RemoteError)> {
    let remote = Remote::new(repository.url.expose(), &repository.branch);
    let mut remote = remote.map_err(|error| match error {
        RemoteError::Url | RemoteError::TokenInTheClear => ("url", error),
        RemoteError::Branch(_) => ("branch", error),
    })?;
    remote.ssh_key_file.clone_from(&repository.ssh_key_file);
    remote.known_hosts.clone_from(&repository.known_hosts);
    remote.token = repository
        .token
        .clone()
        .map(|token| (repository.username.clone(), token));
    if repository.token.is_some() && !repository.url.expose().starts_with("https://") {
        return Err(("token", RemoteError::TokenInTheClear));
    }
    Ok(remote)
}
