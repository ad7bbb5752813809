use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use lockstep_intent::bounds::{MOST_BYTES, MOST_FOLDERS, MOST_PATHS, MOST_RENDERED_BYTES};
use lockstep_render::Files;

/// The text files in a folder, by their paths from it. As in a clone, links are followed inside of the folder only, and files that are too
/// large or no UTF-8 are left out.
///
/// # Errors
/// If a file cannot be read, or a bound is exceeded.
pub(crate) fn files(folder: &Path) -> anyhow::Result<Arc<Files>> {
    let root =
        fs::canonicalize(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    if !root.is_dir() {
        bail!("{} is not a folder", folder.display());
    }
    let mut walk = Walk {
        root: &root,
        seen: 0,
        bytes: 0,
        files: Vec::new(),
    };
    walk.folder(&root, "", 0)?;
    Ok(Arc::new(walk.files.into_iter().collect()))
}

struct Walk<'a> {
    root: &'a Path,
    /// The number of entries so far.
    seen: usize,
    bytes: u64,
    files: Vec<(String, Arc<str>)>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, path: &str, depth: usize) -> anyhow::Result<()> {
        if depth > MOST_FOLDERS {
            // Links may lead in a circle.
            return Ok(());
        }
        let unreadable = || format!("cannot read the folder {}", folder.display());
        for entry in fs::read_dir(folder).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if path.is_empty() && name == ".git" {
                continue;
            }
            self.seen += 1;
            if self.seen > MOST_PATHS {
                bail!(
                    "{} has more than the limit of {MOST_PATHS} files",
                    self.root.display()
                );
            }
            let below = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}/{name}")
            };
            let Some(place) = self.inside(&entry.path()) else {
                continue;
            };
            if place.is_dir() {
                self.folder(&place, &below, depth + 1)?;
            } else if place.is_file() {
                self.file(&place, below)?;
            }
        }
        Ok(())
    }

    /// The place of a file after its links, unless that is outside.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        if !path.is_symlink() {
            return Some(path.to_owned());
        }
        let target = fs::canonicalize(path).ok()?;
        target.starts_with(self.root).then_some(target)
    }

    fn file(&mut self, place: &Path, path: String) -> anyhow::Result<()> {
        let unreadable = || format!("cannot read {}", place.display());
        let mut bytes = Vec::new();
        let file = File::open(place).with_context(unreadable)?;
        file.take(MOST_BYTES + 1)
            .read_to_end(&mut bytes)
            .with_context(unreadable)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Ok(());
        }
        if let Ok(text) = String::from_utf8(bytes) {
            self.bytes += text.len() as u64;
            if self.bytes > MOST_RENDERED_BYTES {
                bail!(
                    "the files in {} have more than the limit of {MOST_RENDERED_BYTES} bytes together",
                    self.root.display()
                );
            }
            self.files.push((path, text.into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn text_files_are_read_and_links_are_followed_inside_only() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.yml"), "x").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("devices/d1")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        fs::write(at(".git/config"), "x").unwrap();
        fs::write(at("devices/d1/a.yml"), "a: 1\n").unwrap();
        fs::write(at("image.bin"), b"\xff\xfe").unwrap();
        symlink("d1", at("devices/d2")).unwrap();
        symlink("devices", at("devices/circle")).unwrap_or_default();
        symlink(outside.path(), at("outside")).unwrap();
        symlink("nothing", at("gone.yml")).unwrap();
        let files = files(folder.path()).unwrap();
        let paths: Vec<&str> = files.below("").map(|(path, _)| path).collect();
        assert_eq!(paths, ["devices/d1/a.yml", "devices/d2/a.yml"]);
        assert!(
            super::files(&at("image.bin"))
                .unwrap_err()
                .to_string()
                .contains("is not a folder")
        );
        assert!(super::files(&at("nowhere")).is_err());
    }
}
