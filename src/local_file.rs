//! Files and folders of this machine that decide what Lockstep does, or that hold its secrets: who may have written them, and who
//! may read them.
//!
//! A file that Lockstep finds by itself (`./lockstep.toml`, what is in the data folder) counts only if it belongs to the user or to
//! root. One that an operator names counts whoever owns it, since containers mount files of other users. No file counts that every
//! user may write. A group that the process is in may write, because clusters of containers give volumes to such a group; that and a
//! secret that every user may read is a warning: secrets are mounted with mode 0444, where no other user exists.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use rustix::fs::OFlags;
use rustix::process::{getegid, geteuid, getgroups};

/// How a file came to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Lockstep looked for it in the working directory.
    Found,
    /// An operator named it.
    Named,
}

/// A file that was read, and what others may do with it all the same: in words, with what to do about it.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) text: String,
    /// A group may change it.
    pub(crate) writable: Option<String>,
    /// Every user may read it, which matters if it contains a secret.
    pub(crate) readable: Option<String>,
}

impl Contents {
    /// What others may do with it, if it is a secret.
    pub(crate) fn warnings(self) -> impl Iterator<Item = String> {
        self.writable.into_iter().chain(self.readable)
    }
}

/// Owner, group and mode of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    user: u32,
    group: u32,
    mode: u32,
}

/// The user and the groups of this process.
#[derive(Clone, Debug)]
struct Identity {
    user: u32,
    groups: Vec<u32>,
}

impl Access {
    fn of(metadata: &Metadata) -> Self {
        Self {
            user: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode() & 0o7777,
        }
    }
}

impl Identity {
    fn of_process() -> Self {
        let groups = getgroups().unwrap_or_default();
        let groups = groups.into_iter().chain([getegid()]);
        Self {
            user: geteuid().as_raw(),
            groups: groups.map(rustix::process::Gid::as_raw).collect(),
        }
    }

    /// Why a file does not count; none if it does.
    fn refusal(&self, access: Access, origin: Origin) -> Option<String> {
        let Access { user, group, mode } = access;
        if origin == Origin::Found && user != self.user && user != 0 {
            return Some(format!(
                "belongs to user {user}, and this process runs as user {}; change its owner (chown), or name another one",
                self.user
            ));
        }
        let by_group = mode & 0o020 != 0 && !self.groups.contains(&group);
        let by_all = mode & 0o002 != 0;
        let writers = match (by_all, by_group) {
            (false, false) => return None,
            (true, _) => "every user of this machine".to_owned(),
            (false, true) => format!("group {group}"),
        };
        Some(format!(
            "has mode {mode:04o}, so {writers} can change it; run chmod go-w on it"
        ))
    }
}

/// That a group may change a file that counts.
fn writable(access: Access) -> Option<String> {
    let Access { group, mode, .. } = access;
    let text = || format!("has mode {mode:04o}, so group {group} can change it; run chmod go-w on it");
    (mode & 0o020 != 0).then(text)
}

/// That every user may read a file.
fn readable(access: Access) -> Option<String> {
    let mode = access.mode;
    let text =
        || format!("has mode {mode:04o}, so every user of this machine can read it; run chmod go-rwx on it");
    (mode & 0o004 != 0).then(text)
}

/// Reads a file. Its owner and mode are those of the opened file, so that nobody can exchange it in between.
///
/// # Errors
/// If it cannot be read, or other users may have written it.
pub(crate) fn read(path: &Path, origin: Origin) -> anyhow::Result<Contents> {
    let identity = Identity::of_process();
    if origin == Origin::Found {
        // A link of somebody else would choose which file of ours is read.
        let link = std::fs::symlink_metadata(path).with_context(|| cannot_read(path))?;
        if link.is_symlink() {
            let access = Access {
                mode: 0,
                ..Access::of(&link)
            };
            refuse(path, identity.refusal(access, origin))?;
        }
    }
    let mut file = File::open(path).with_context(|| cannot_read(path))?;
    let metadata = file.metadata().with_context(|| cannot_read(path))?;
    let mut contents = Contents {
        text: String::new(),
        writable: None,
        readable: None,
    };
    // Others cannot write to a pipe or terminal that this process got.
    if metadata.is_file() {
        let access = Access::of(&metadata);
        refuse(path, identity.refusal(access, origin))?;
        contents.writable = writable(access).map(|text| about(path, &text));
        contents.readable = readable(access).map(|text| about(path, &text));
    }
    file.read_to_string(&mut contents.text)
        .with_context(|| cannot_read(path))?;
    Ok(contents)
}

/// Checks a file that something else reads. One that does not exist is left to that.
///
/// # Errors
/// If other users may have written it.
pub(crate) fn check(path: &Path) -> anyhow::Result<()> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            let identity = Identity::of_process();
            refuse(path, identity.refusal(Access::of(&metadata), Origin::Named))
        }
        _ => Ok(()),
    }
}

/// Checks a folder that only this process writes to, and everything in it but the contents of folders. Returns what others may do
/// with it all the same.
///
/// # Errors
/// If it belongs to another user or others may write to it, or if that is so for something in it, or something in it is a link.
pub(crate) fn check_folder(folder: &Path) -> anyhow::Result<Vec<String>> {
    let access = check_place(folder)?;
    let mut warnings = Vec::new();
    if access.mode & 0o077 != 0 {
        let mode = access.mode;
        let text = format!("has mode {mode:04o}, so other users can use it; run chmod 700 on it");
        warnings.push(about(folder, &text));
    }
    let mut readable_files = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| cannot_read(folder))?;
    for entry in entries {
        let entry = entry.with_context(|| cannot_read(folder))?;
        let Some(access) = check_own(&entry.path())? else {
            continue;
        };
        if entry.file_type().is_ok_and(|kind| kind.is_file()) && readable(access).is_some() {
            readable_files.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    if !readable_files.is_empty() {
        let files = readable_files.join(", ");
        let text = format!(
            "has files with modes by which every user of this machine can read them ({files}); run chmod go-rwx on them"
        );
        warnings.push(about(folder, &text));
    }
    Ok(warnings)
}

/// Checks a folder that only this process writes to, but not what is in it. It may be a link: its path was named.
///
/// # Errors
/// If it belongs to another user or others may write to it.
pub(crate) fn check_place(folder: &Path) -> anyhow::Result<Access> {
    let metadata = std::fs::metadata(folder).with_context(|| cannot_read(folder))?;
    let access = Access::of(&metadata);
    refuse(folder, Identity::of_process().refusal(access, Origin::Found))?;
    Ok(access)
}

/// Checks a file of ours that something else opens; none if it does not exist.
///
/// # Errors
/// If it is a link, or other users may have written it.
pub(crate) fn check_own(path: &Path) -> anyhow::Result<Option<Access>> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| cannot_read(path)),
    };
    if metadata.is_symlink() {
        bail!(
            "{} is a link, and links here are not followed; replace it by what it points to",
            path.display()
        );
    }
    let access = Access::of(&metadata);
    refuse(path, Identity::of_process().refusal(access, Origin::Found))?;
    Ok(Some(access))
}

/// Reads a file of ours in a folder that was checked, without following a link; none if it does not exist.
///
/// # Errors
/// If it cannot be read, or other users may have written it.
pub(crate) fn read_own(path: &Path) -> anyhow::Result<Option<String>> {
    let no_link = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits())?;
    let mut file = match File::options().read(true).custom_flags(no_link).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| cannot_read(path)),
    };
    let metadata = file.metadata().with_context(|| cannot_read(path))?;
    refuse(
        path,
        Identity::of_process().refusal(Access::of(&metadata), Origin::Found),
    )?;
    let mut text = String::new();
    file.read_to_string(&mut text)
        .with_context(|| cannot_read(path))?;
    Ok(Some(text))
}

fn refuse(path: &Path, refusal: Option<String>) -> anyhow::Result<()> {
    match refusal {
        Some(reason) => bail!("{}", about(path, &reason)),
        None => Ok(()),
    }
}

fn about(path: &Path, text: &str) -> String {
    format!("{} {text}", path.display())
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_counts_by_owner_and_mode() {
        use Origin::{Found, Named};
        let us = Identity {
            user: 1000,
            groups: vec![1000, 27],
        };
        // Owner, group, mode, origin, refusal, warning, warning for a file with secrets.
        let table = [
            (1000, 1000, 0o600, Found, "", "", ""),
            (1000, 1000, 0o640, Found, "", "", ""),
            (
                1000,
                1000,
                0o644,
                Found,
                "",
                "",
                "every user of this machine can read it",
            ),
            (0, 0, 0o444, Found, "", "", "run chmod go-rwx on it"),
            (0, 27, 0o2770, Found, "", "group 27 can change it", ""),
            (1001, 1000, 0o600, Found, "belongs to user 1001", "", ""),
            (1001, 1001, 0o644, Named, "", "", "can read it"),
            (
                1000,
                100,
                0o664,
                Found,
                "mode 0664, so group 100 can change it",
                "",
                "",
            ),
            (1000, 100, 0o664, Named, "so group 100 can change it", "", ""),
            (
                1000,
                1000,
                0o666,
                Named,
                "every user of this machine can change it",
                "",
                "",
            ),
            (
                0,
                0,
                0o1777,
                Found,
                "every user of this machine can change it; run chmod go-w",
                "",
                "",
            ),
        ];
        for (user, group, mode, origin, refusal, warning, of_secret) in table {
            let access = Access { user, group, mode };
            let found = us.refusal(access, origin).unwrap_or_default();
            let matches = |found: &str, expected: &str| {
                found.is_empty() == expected.is_empty() && found.contains(expected)
            };
            assert!(matches(&found, refusal), "{access:?} {origin:?}: {found:?}");
            if found.is_empty() {
                for (found, expected) in [(writable(access), warning), (readable(access), of_secret)] {
                    let found = found.unwrap_or_default();
                    assert!(matches(&found, expected), "{access:?}: {found:?}");
                }
            }
        }
        let root = Identity {
            user: 0,
            groups: vec![0],
        };
        let access = Access {
            user: 1000,
            group: 1000,
            mode: 0o600,
        };
        assert!(
            root.refusal(access, Found).is_some(),
            "root obeys no file of a user"
        );
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_is_checked_with_everything_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        std::fs::create_dir(&folder).unwrap();
        set_mode(&folder, 0o700);
        let file = folder.join("store.sqlite");
        std::fs::write(&file, "").unwrap();
        for (of_folder, of_file, expected) in [
            (0o700, 0o600, Ok(0)),
            (0o755, 0o600, Ok(1)),
            (0o700, 0o644, Ok(1)),
            (0o755, 0o644, Ok(2)),
            (0o777, 0o600, Err("data has mode 0777, so every user")),
            (0o700, 0o666, Err("store.sqlite has mode 0666, so every user")),
        ] {
            set_mode(&folder, of_folder);
            set_mode(&file, of_file);
            match (check_folder(&folder), expected) {
                (Ok(warnings), Ok(count)) => assert_eq!(warnings.len(), count, "{warnings:?}"),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (found, expected) => panic!("{of_folder:o} {of_file:o}: {found:?}, expected {expected:?}"),
            }
        }
        set_mode(&folder, 0o700);
        set_mode(&file, 0o600);
        std::os::unix::fs::symlink(&file, folder.join("bus.sqlite")).unwrap();
        let error = check_folder(&folder).unwrap_err().to_string();
        assert!(error.contains("bus.sqlite is a link"), "{error}");
        assert!(
            read_own(&folder.join("bus.sqlite")).is_err(),
            "links are not followed"
        );
        assert!(read_own(&folder.join("none")).unwrap().is_none());
        assert_eq!(read_own(&file).unwrap().as_deref(), Some(""));
    }

    #[test]
    fn a_named_file_may_be_a_link_and_must_not_be_writable_by_all() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        set_mode(&file, 0o444);
        for origin in [Origin::Found, Origin::Named] {
            let contents = read(&link, origin).unwrap();
            assert_eq!(contents.text, "text", "a secret with mode 0444 is read");
            assert!(contents.writable.is_none() && contents.readable.is_some());
        }
        assert!(check(&link).is_ok() && check(&folder.path().join("none")).is_ok());
        set_mode(&file, 0o606);
        for origin in [Origin::Found, Origin::Named] {
            let error = read(&link, origin).unwrap_err().to_string();
            assert!(error.contains("link has mode 0606, so every user"), "{error}");
        }
        assert!(check(&link).is_err());
    }
}
