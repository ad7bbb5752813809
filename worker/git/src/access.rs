use std::fs::File;
use std::io::Write;
use std::path::Path;

use secrecy::ExposeSecret;
use tempfile::NamedTempFile;

use super::remote::quoted;
use super::{GitError, Remote};

/// What commands need to use a remote: the settings for git, and the file that git's credential helper reads.
///
/// The file has mode 0600 and exists as long as this. Arguments and environment of git name it and hold no credentials. The helper
/// answers only for scheme, host and port of the address.
pub(super) struct Access<'a> {
    pub(super) remote: &'a Remote,
    credentials: Option<NamedTempFile>,
}

impl<'a> Access<'a> {
    /// Writes the credentials, if there are any, to a file beside the clone.
    pub(super) fn open(remote: &'a Remote, clone: &Path) -> Result<Self, GitError> {
        let credentials = write(remote, clone).map_err(GitError::Clone)?;
        Ok(Self { remote, credentials })
    }

    /// The settings of the transport, as `NAME=VALUE`.
    pub(super) fn settings(&self) -> Vec<String> {
        let follows = self.remote.follows_redirects();
        // Git offers "always" and "the first request". The second one sends all later requests to the new address.
        let mut settings = vec![format!("http.followRedirects={follows}")];
        if let (Some(file), Some(origin)) = (&self.credentials, self.remote.origin()) {
            let path = quoted(&file.path().to_string_lossy());
            // Git asks the helper also to store and to erase.
            settings.push(format!(
                "credential.{origin}.helper=!f() {{ test \"$1\" = get && cat {path}; }}; f"
            ));
            let has_password = self
                .remote
                .password()
                .is_some_and(|password| !password.is_empty());
            if has_password && !follows {
                // Since 2.46, git sends the credentials with the first request; before, after an answer 401.
                settings.push("http.proactiveAuth=basic".to_owned());
            }
        }
        settings
    }
}

/// Removes files of credentials that killed processes left. A process that uses one holds its lock.
pub(super) fn remove_leftovers(clone: &Path) -> std::io::Result<()> {
    let Some((parent, prefix)) = place(clone) else {
        return Ok(());
    };
    for entry in std::fs::read_dir(parent)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let left = name.starts_with(&prefix) && is_left(&path).unwrap_or(false);
        if left {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Whether nobody uses the file. One that is still empty is about to be locked. One that is gone was in use.
fn is_left(path: &Path) -> std::io::Result<bool> {
    let file = File::open(path)?;
    Ok(file.try_lock().is_ok() && file.metadata()?.len() > 0)
}

fn write(remote: &Remote, clone: &Path) -> std::io::Result<Option<NamedTempFile>> {
    let (Some((user, password)), Some((parent, prefix))) = (remote.credentials(), place(clone)) else {
        return Ok(None);
    };
    std::fs::create_dir_all(parent)?;
    let mut file = tempfile::Builder::new().prefix(&prefix).tempfile_in(parent)?;
    file.as_file().lock()?;
    writeln!(file, "username={user}\npassword={}", password.expose_secret())?;
    file.flush()?;
    Ok(Some(file))
}

/// The folder and the beginning of the names of files of credentials.
fn place(clone: &Path) -> Option<(&Path, String)> {
    let name = clone.file_name()?.to_string_lossy();
    Some((clone.parent()?, format!("{name}.credentials-")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::RemoteSettings;

    fn remote() -> Remote {
        Remote::of(RemoteSettings {
            url: "https://git.example.org:8443/settings".to_owned(),
            branch: "main".to_owned(),
            token: Some(("bot".to_owned(), "hush".into())),
            ..RemoteSettings::default()
        })
        .unwrap()
    }

    #[test]
    fn credentials_are_in_a_private_file_that_goes_with_its_use() {
        let folder = tempfile::tempdir().unwrap();
        let clone = folder.path().join("it's.git");
        let remote = remote();
        let access = Access::open(&remote, &clone).unwrap();
        let path = access.credentials.as_ref().unwrap().path().to_owned();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "username=bot\npassword=hush\n"
        );
        let settings = access.settings().join("\n");
        assert!(
            settings.contains("credential.https://git.example.org:8443.helper=")
                && settings.contains(r"/it'\''s.git.credentials-"),
            "{settings}"
        );
        assert!(!settings.contains("hush"), "{settings}");
        drop(access);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let clone = folder.path().join("settings.git");
        let left = folder.path().join("settings.git.credentials-abc");
        let other = folder.path().join("templates.git.credentials-abc");
        std::fs::write(&left, "username=bot").unwrap();
        std::fs::write(&other, "").unwrap();
        let remote = remote();
        let access = Access::open(&remote, &clone).unwrap();
        remove_leftovers(&clone).unwrap();
        assert!(!left.exists() && other.exists());
        assert!(access.credentials.unwrap().path().exists());
    }
}
