//! The data folder: the files of embedded mode, and the address by which clients on this machine find a running `lockstep up`.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::config::ConfigProblems;
use crate::local_file;

/// The address of a running `lockstep up`, which it writes for clients.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ConsoleAddress {
    pub(crate) url: String,
    pub(crate) token: SecretString,
}

/// The same as it is written to the file, with the token in the clear.
#[derive(Serialize)]
struct Written<'a> {
    url: &'a str,
    token: &'a str,
}

/// Creates the folder for its owner only, if it does not exist, and checks it. Returns what others may do with it all the same.
///
/// # Errors
/// If it cannot be created, or if other users may write to it or to a file in it, or if a file in it is a link.
pub(crate) fn make(folder: &Path) -> anyhow::Result<Vec<String>> {
    create(folder)?;
    let mut warnings = local_file::check_folder(folder)?;
    let clones = folder.join("repositories");
    if local_file::check_own(&clones)?.is_some() {
        warnings.extend(local_file::check_folder(&clones)?);
    }
    Ok(warnings)
}

/// As [`make`], and logs the warnings.
///
/// # Errors
/// As [`make`].
pub(crate) fn open(folder: &Path) -> anyhow::Result<()> {
    for warning in make(folder)? {
        tracing::warn!("the data folder {warning}");
    }
    Ok(())
}

/// Creates the folder of a database file for its owner only, if it does not exist, and checks it and the file.
///
/// # Errors
/// If it cannot be created, or if other users may write to it or to the file, or if the file is a link.
pub(crate) fn make_for(database: &Path) -> anyhow::Result<()> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    create(folder)?;
    local_file::check_place(folder)?;
    // What SQLite keeps beside the file.
    for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        local_file::check_own(Path::new(&path))?;
    }
    Ok(())
}

fn create(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot create the data folder {}", folder.display()))
}

/// The address in a folder; none if no `lockstep up` runs there.
///
/// # Errors
/// If the file cannot be read, or other users may have written it.
pub(crate) fn console(folder: &Path) -> anyhow::Result<Option<ConsoleAddress>> {
    let path = console_file(folder);
    let Some(text) = local_file::read_own(&path)? else {
        return Ok(None);
    };
    local_file::check_place(folder)?;
    let address = serde_json::from_str(&text).with_context(|| format!("cannot parse {}", path.display()))?;
    Ok(Some(address))
}

/// The lock of `lockstep up` on its folder. Dropping it deletes the address.
#[derive(Debug)]
pub(crate) struct Owned {
    folder: PathBuf,
    _lock: File,
}

impl Owned {
    /// Locks a folder, and creates it if it does not exist.
    ///
    /// # Errors
    /// [`ConfigProblems`] if another process has the lock; other errors of the operating system.
    pub(crate) fn take(folder: &Path) -> anyhow::Result<Self> {
        open(folder)?;
        let path = folder.join("up.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path);
        let lock = file.with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let reason = format!(
                    "{} is in use by another `lockstep up`; stop that one, or choose another folder with --data",
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
        // A killed process leaves its address behind.
        owned.remove_address();
        Ok(owned)
    }

    /// Writes the address for clients atomically, readable for its owner only.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn publish(&self, address: &ConsoleAddress) -> anyhow::Result<()> {
        let written = Written {
            url: &address.url,
            token: address.token.expose_secret(),
        };
        let path = console_file(&self.folder);
        // Temporary files have mode 0600.
        let mut file =
            tempfile::NamedTempFile::new_in(&self.folder).context("cannot write to the data folder")?;
        file.write_all(&serde_json::to_vec(&written)?)?;
        file.persist(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    fn remove_address(&self) {
        let _ = std::fs::remove_file(console_file(&self.folder));
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.remove_address();
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
    fn the_address_is_private_and_exists_while_the_folder_is_locked() {
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
            "the second one did not delete the address"
        );
        drop(owned);
        assert!(console(&folder).unwrap().is_none());
        Owned::take(&folder).unwrap();
    }
}
