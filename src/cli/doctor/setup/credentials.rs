//! Passwords live in files, each with the whole address: what `broker.url_file` reads. None is ever printed.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

/// The folder of the files, where there is one, and the address that all users share.
pub(super) struct Credentials {
    folder: Option<PathBuf>,
    broker: SecretString,
}

/// The name of each file.
const FILE: &str = "broker-url";

impl Credentials {
    /// Files in this folder, for the broker at this address, whose own user and password do not matter.
    pub(super) fn new(folder: Option<PathBuf>, broker: &SecretString) -> Self {
        Self {
            folder,
            broker: broker.clone(),
        }
    }

    /// Where the address of a user is, or would be.
    pub(super) fn file(&self, user_folder: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(user_folder).join(FILE))
    }

    /// The password in the user's file, if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or is for somebody else.
    pub(super) fn read(&self, user_folder: &str, user: &str) -> anyhow::Result<Option<SecretString>> {
        let Some(file) = self.file(user_folder) else {
            return Ok(None);
        };
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let password = Url::parse(text.trim()).ok().and_then(|url| {
            let ours = url.username() == user;
            url.password().filter(|_| ours).map(str::to_owned)
        });
        // We write hexadecimal; what an operator wrote may not survive the way through an address otherwise.
        match password.filter(|password| !password.is_empty() && !password.contains('%')) {
            Some(password) => Ok(Some(password.into())),
            None => Err(anyhow!(
                "{} holds no address of the user {user:?} with a password of unreserved characters; correct or remove it",
                file.display()
            )),
        }
    }

    /// Writes the user's file, for its owner only. It is there whole or not at all.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn write(&self, user_folder: &str, user: &str, password: &SecretString) -> anyhow::Result<()> {
        let file = self
            .file(user_folder)
            .context("there is no folder for credentials")?;
        let address = self.address(user, password)?;
        write(&file, address.expose_secret()).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The broker's address as this user.
    ///
    /// # Errors
    /// When it cannot name a user.
    pub(super) fn address(&self, user: &str, password: &SecretString) -> anyhow::Result<SecretString> {
        let mut url =
            Url::parse(self.broker.expose_secret()).map_err(|_| anyhow!("broker.url is no address"))?;
        let set = url
            .set_username(user)
            .and_then(|()| url.set_password(Some(password.expose_secret())));
        set.map_err(|()| anyhow!("broker.url cannot name a user"))?;
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
    fn a_file_is_written_for_its_owner_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let broker = "amqps://other:word@rabbit:5671/lockstep?heartbeat=5".into();
        let credentials = Credentials::new(Some(folder.path().to_owned()), &broker);
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
    }
}
