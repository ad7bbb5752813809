//! Files with the address of a server for each user, password included, as `broker.url_file` and `store.url_file` read them.
//! Passwords are never printed.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::roles;

/// The folder of the files, their name in the folder of each user, and the server's address.
pub(super) struct Credentials {
    folder: Option<PathBuf>,
    file: &'static str,
    server: SecretString,
}

/// The password of a user.
pub(super) enum Password {
    /// Set this password. A new one is written to the user's file first.
    Set { password: SecretString, new: bool },
    /// Keep the user's password, which is not known here.
    Keep,
}

impl Credentials {
    /// Files in this folder, for the server at this address. User and password of the address are ignored.
    pub(super) fn new(folder: Option<PathBuf>, file: &'static str, server: &SecretString) -> Self {
        Self {
            folder,
            file,
            server: server.clone(),
        }
    }

    /// The password for a user: the `known` one of its file, else none if it keeps its own, else a new one.
    ///
    /// # Errors
    /// If it needs a new one, and there is no folder for it.
    pub(super) fn password(
        &self,
        user_folder: &str,
        user: &str,
        known: Option<SecretString>,
        keep: bool,
    ) -> anyhow::Result<Password> {
        match known {
            Some(password) => Ok(Password::Set { password, new: false }),
            None if keep => Ok(Password::Keep),
            None if self.file(user_folder).is_some() => Ok(Password::Set {
                password: roles::new_secret(),
                new: true,
            }),
            None => Err(anyhow!(
                "the user {user:?} needs a password: set --credentials to the folder for the file with its address"
            )),
        }
    }

    /// The path of a user's file; none without a folder.
    pub(super) fn file(&self, user_folder: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(user_folder).join(self.file))
    }

    /// The password in the user's file; none if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read, or belongs to another user.
    pub(super) fn read(&self, user_folder: &str, user: &str) -> anyhow::Result<Option<SecretString>> {
        let Some(file) = self.file(user_folder) else {
            return Ok(None);
        };
        let exists = file.try_exists();
        if !exists.with_context(|| format!("cannot read {}", file.display()))? {
            return Ok(None);
        }
        let text = crate::cli::secret_file(&file)?;
        let text = text.expose_secret();
        let password = Url::parse(text.trim()).ok().and_then(|url| {
            let is_theirs = url.username() == user;
            url.password().filter(|_| is_theirs).map(str::to_owned)
        });
        // Passwords of the set-up are hexadecimal. One that an operator wrote must not need percent-encoding.
        match password.filter(|password| !password.is_empty() && !password.contains('%')) {
            Some(password) => Ok(Some(password.into())),
            None => Err(anyhow!(
                "{} does not contain an address of the user {user:?} with a password of unreserved characters; correct or delete it",
                file.display()
            )),
        }
    }

    /// Writes the user's file atomically, readable for its owner only.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, user_folder: &str, user: &str, password: &SecretString) -> anyhow::Result<()> {
        let file = self.file(user_folder).context("--credentials is missing")?;
        let address = self.address(user, password)?;
        write(&file, address.expose_secret()).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The server's address with this user and password.
    ///
    /// # Errors
    /// If the configured address cannot have a user.
    pub(super) fn address(&self, user: &str, password: &SecretString) -> anyhow::Result<SecretString> {
        let mut url = Url::parse(self.server.expose_secret())
            .map_err(|_| anyhow!("the configured address of the server is not valid"))?;
        let set = url
            .set_username(user)
            .and_then(|()| url.set_password(Some(password.expose_secret())));
        set.map_err(|()| anyhow!("the configured address of the server cannot have a user"))?;
        Ok(url.to_string().into())
    }
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = file.with_extension("new");
    let mut opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    writeln!(opened, "{text}")?;
    opened.sync_all()?;
    std::fs::rename(&temporary, file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_written_file_is_private_and_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let broker = "amqps://other:word@rabbit:5671/lockstep?heartbeat=5".into();
        let credentials = Credentials::new(Some(folder.path().to_owned()), "broker-url", &broker);
        assert!(credentials.read("worker", "w").unwrap().is_none());
        credentials.write("worker", "w", &"abc".into()).unwrap();
        let file = credentials.file("worker").unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, "amqps://w:abc@rabbit:5671/lockstep?heartbeat=5\n");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let password = credentials.read("worker", "w").unwrap().unwrap();
        assert_eq!(password.expose_secret(), "abc");
        let error = credentials.read("worker", "somebody").unwrap_err().to_string();
        assert!(error.contains("broker-url") && !error.contains("abc"), "{error}");

        let database =
            "postgres://postgres:word@db/lockstep?options=-csearch_path%3Dx&sslmode=require".into();
        let credentials = Credentials::new(None, "store-url", &database);
        let address = credentials.address("lockstep-worker", &"abc".into()).unwrap();
        assert_eq!(
            address.expose_secret(),
            "postgres://lockstep-worker:abc@db/lockstep?options=-csearch_path%3Dx&sslmode=require"
        );
        assert!(credentials.password("worker", "w", None, false).is_err());
    }
}
