//! The credentials of devices, as they are configured. Files are read again when they change.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lockstep_device::{CredentialSource, Credentials};
use secrecy::SecretString;

use crate::config::{DeviceCredentialsConfig, LateSecret, LoginConfig};
use crate::local_file;

/// The configured credentials: those of the device itself count, else those of its groups in alphabetical order, else the default.
#[derive(Debug)]
pub(crate) struct ConfiguredCredentials {
    default: Option<Login>,
    groups: BTreeMap<String, Login>,
    hosts: BTreeMap<String, Login>,
}

impl ConfiguredCredentials {
    pub(crate) fn of(config: &DeviceCredentialsConfig) -> Self {
        let logins = |configured: &BTreeMap<String, LoginConfig>| {
            let login = |(name, login): (&String, &LoginConfig)| (name.clone(), Login::of(login));
            configured.iter().map(login).collect()
        };
        Self {
            default: config.default.as_ref().map(Login::of),
            groups: logins(&config.groups),
            hosts: logins(&config.hosts),
        }
    }

    /// Why files of credentials cannot be used, and what others may do with those that can.
    pub(crate) fn problems(&self) -> (Vec<String>, Vec<String>) {
        let logins = self
            .default
            .iter()
            .chain(self.groups.values())
            .chain(self.hosts.values());
        let secrets = logins.flat_map(|login| [Some(&login.password), login.enable_password.as_ref()]);
        let (mut unusable, mut warnings) = (Vec::new(), Vec::new());
        for secret in secrets.flatten() {
            let Secret::File(file) = secret else { continue };
            match read(&file.path) {
                Ok((_, found)) => warnings.extend(found),
                Err(error) => unusable.push(format!("{error:#}")),
            }
        }
        (unusable, warnings)
    }

    /// Whether any are configured.
    pub(crate) fn is_empty(&self) -> bool {
        self.default.is_none() && self.groups.is_empty() && self.hosts.is_empty()
    }

    fn login(&self, hostname: &str, groups: &[String]) -> Option<&Login> {
        let of_groups = || {
            let mut names: Vec<&String> = groups.iter().collect();
            names.sort();
            names.into_iter().find_map(|name| self.groups.get(name))
        };
        self.hosts
            .get(hostname)
            .or_else(of_groups)
            .or(self.default.as_ref())
    }
}

impl CredentialSource for ConfiguredCredentials {
    fn credentials(&self, hostname: &str, groups: &[String]) -> Option<Arc<Credentials>> {
        self.login(hostname, groups)?.current()
    }
}

/// A user, with secrets that may be in files.
#[derive(Debug)]
struct Login {
    username: String,
    password: Secret,
    enable_password: Option<Secret>,
}

impl Login {
    fn of(config: &LoginConfig) -> Self {
        Self {
            username: config.username.clone(),
            password: Secret::of(&config.password),
            enable_password: config.enable_password.as_ref().map(Secret::of),
        }
    }

    /// The credentials of now; `None` if a file was never readable.
    fn current(&self) -> Option<Arc<Credentials>> {
        let enable_password = match &self.enable_password {
            Some(secret) => Some(secret.current()?),
            None => None,
        };
        Some(Arc::new(Credentials {
            username: self.username.clone(),
            password: self.password.current()?,
            enable_password,
        }))
    }
}

#[derive(Debug)]
enum Secret {
    Fixed(SecretString),
    File(SecretFile),
}

impl Secret {
    fn of(config: &LateSecret) -> Self {
        match config {
            LateSecret::Fixed(secret) => Self::Fixed(secret.clone()),
            LateSecret::File(path) => Self::File(SecretFile {
                path: path.clone(),
                last: Mutex::default(),
            }),
        }
    }

    fn current(&self) -> Option<SecretString> {
        match self {
            Self::Fixed(secret) => Some(secret.clone()),
            Self::File(file) => file.current(),
        }
    }
}

/// A file with a secret, and what was read last.
#[derive(Debug)]
struct SecretFile {
    path: PathBuf,
    last: Mutex<LastRead>,
}

#[derive(Debug, Default)]
struct LastRead {
    version: Version,
    secret: Option<SecretString>,
}

/// Tells whether a file has changed.
#[derive(Debug, Default, PartialEq, Eq)]
enum Version {
    /// It was not looked at.
    #[default]
    Unknown,
    /// There is no file.
    Absent,
    /// There is one.
    File {
        inode: u64,
        size: u64,
        /// When it changed, in seconds and nanoseconds.
        changed: (i64, i64),
    },
}

impl Version {
    fn of(path: &Path) -> Self {
        match std::fs::metadata(path) {
            Ok(metadata) => Self::File {
                inode: metadata.ino(),
                size: metadata.size(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            },
            Err(_) => Self::Absent,
        }
    }
}

impl SecretFile {
    /// The secret. While the file cannot be read, it is the one that was read last.
    fn current(&self) -> Option<SecretString> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken before the file is read: a change in between is read by the next call.
        let version = Version::of(&self.path);
        if version != last.version {
            match read(&self.path) {
                Ok((secret, _)) => last.secret = Some(secret),
                Err(error) => tracing::error!("cannot read credentials of devices: {error:#}"),
            }
            last.version = version;
        }
        last.secret.clone()
    }
}

/// The secret in a file, and what others may do with the file.
fn read(path: &Path) -> anyhow::Result<(SecretString, Vec<String>)> {
    let contents = local_file::read(path, local_file::Origin::Named)?;
    let secret = contents.text.trim_end().to_owned();
    anyhow::ensure!(!secret.is_empty(), "{} is empty", path.display());
    Ok((secret.into(), contents.warnings().collect()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn login(username: &str, password: LateSecret) -> LoginConfig {
        LoginConfig {
            username: username.to_owned(),
            password,
            enable_password: None,
        }
    }

    fn fixed(username: &str) -> LoginConfig {
        login(username, LateSecret::Fixed("hush".into()))
    }

    #[test]
    fn the_most_specific_credentials_count() {
        let named = |names: &[&str]| {
            let pair = |name: &&str| ((*name).to_owned(), fixed(name));
            names.iter().map(pair).collect()
        };
        let source = ConfiguredCredentials::of(&DeviceCredentialsConfig {
            default: Some(fixed("all")),
            groups: named(&["berlin", "spines"]),
            hosts: named(&["sw1.example.org"]),
        });
        let table: [(&str, &[&str], &str); 5] = [
            ("sw1.example.org", &["berlin"], "sw1.example.org"),
            ("sw1", &["spines", "berlin"], "berlin"),
            ("sw1", &["leaves", "spines"], "spines"),
            ("sw1", &["leaves"], "all"),
            ("SW1.example.org", &[], "all"),
        ];
        for (hostname, groups, expected) in table {
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            let found = source.credentials(hostname, &groups).unwrap();
            assert_eq!(found.username, expected, "{hostname} {groups:?}");
        }
        let none = ConfiguredCredentials::of(&DeviceCredentialsConfig::default());
        assert!(none.is_empty() && none.credentials("sw1", &[]).is_none());
    }

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let source = ConfiguredCredentials::of(&DeviceCredentialsConfig {
            default: Some(login("admin", LateSecret::File(path.clone()))),
            ..DeviceCredentialsConfig::default()
        });
        let password = || {
            let credentials = source.credentials("sw1", &[])?;
            Some(credentials.password.expose_secret().to_owned())
        };
        assert_eq!(password(), None, "the file does not exist");
        let (unusable, _) = source.problems();
        assert!(unusable[0].contains("password"), "{unusable:?}");
        // The same size: only the time and the inode tell.
        for secret in ["first-1", "second2"] {
            let new = folder.path().join("new");
            std::fs::write(&new, format!("{secret}\n")).unwrap();
            std::fs::rename(&new, &path).unwrap();
            assert_eq!(password().as_deref(), Some(secret));
        }
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(
            password().as_deref(),
            Some("second2"),
            "an empty file has no secret"
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(password().as_deref(), Some("second2"), "the last one stays");
        std::fs::write(&path, "third").unwrap();
        assert_eq!(password().as_deref(), Some("third"));
        assert!(source.problems().0.is_empty());
        assert!(!format!("{source:?}").contains("third"));
    }
}
