//! The data folder: what embedded mode keeps, and how clients on the same machine find a running `lockstep up`.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::config::ConfigProblems;

/// What `lockstep up` leaves for clients.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ConsoleAddress {
    pub(crate) url: String,
    pub(crate) token: SecretString,
}

/// The same on its way into the file, where the secret has to be readable.
#[derive(Serialize)]
struct Written<'a> {
    url: &'a str,
    token: &'a str,
}

/// Makes the folder, for its owner only, if it is not there.
///
/// # Errors
/// What the operating system says.
pub(crate) fn make(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the data folder {}", folder.display()))
}

/// What `lockstep up` left in a folder, if it did.
///
/// # Errors
/// When there is something else.
pub(crate) fn console(folder: &Path) -> anyhow::Result<Option<ConsoleAddress>> {
    let path = console_file(folder);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let address =
        serde_json::from_slice(&text).with_context(|| format!("{} makes no sense", path.display()))?;
    Ok(Some(address))
}

/// Ownership of the folder by `lockstep up`, as long as it lives; then the address is taken away again.
#[derive(Debug)]
pub(crate) struct Owned {
    folder: PathBuf,
    _lock: File,
}

impl Owned {
    /// Takes a folder, making it if it is not there.
    ///
    /// # Errors
    /// [`ConfigProblems`] where another process has it, else what the operating system says.
    pub(crate) fn take(folder: &Path) -> anyhow::Result<Self> {
        make(folder)?;
        let path = folder.join("up.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let lock = file.with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let reason = format!(
                    "{} is in use by another `lockstep up`; stop that one, or give this one another folder with --data",
                    folder.display()
                );
                return Err(ConfigProblems::one("data_dir", reason).into());
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let owned = Self {
            folder: folder.to_owned(),
            _lock: lock,
        };
        // What a killed one left behind.
        owned.forget();
        Ok(owned)
    }

    /// Leaves the address for clients: whole or not at all, and for its owner's eyes only.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn publish(&self, address: &ConsoleAddress) -> anyhow::Result<()> {
        let written = Written {
            url: &address.url,
            token: address.token.expose_secret(),
        };
        let path = console_file(&self.folder);
        // Temporary files are made with mode 0600.
        let mut file =
            tempfile::NamedTempFile::new_in(&self.folder).context("cannot write to the data folder")?;
        file.write_all(&serde_json::to_vec(&written)?)?;
        file.persist(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    fn forget(&self) {
        let _ = std::fs::remove_file(console_file(&self.folder));
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.forget();
    }
}

fn console_file(folder: &Path) -> PathBuf {
    folder.join("console.json")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_address_is_there_for_its_owner_only_and_as_long_as_the_folder_is_owned() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        assert!(console(&folder).unwrap().is_none());
        let owned = Owned::take(&folder).unwrap();
        let address = ConsoleAddress {
            url: "http://127.0.0.1:1".to_owned(),
            token: "t".into(),
        };
        owned.publish(&address).unwrap();
        let found = console(&folder).unwrap().unwrap();
        assert_eq!(
            (found.url.as_str(), found.token.expose_secret()),
            ("http://127.0.0.1:1", "t")
        );
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&folder), mode(&folder.join("console.json"))),
            (0o700, 0o600)
        );

        let second = Owned::take(&folder).unwrap_err();
        assert!(second.is::<ConfigProblems>(), "{second}");
        assert!(
            console(&folder).unwrap().is_some(),
            "the second one took nothing away"
        );
        drop(owned);
        assert!(console(&folder).unwrap().is_none());
        Owned::take(&folder).unwrap();
    }
}
