//! What a killed git leaves in a clone.

use std::fs::DirEntry;
use std::io::{ErrorKind, Result};
use std::path::Path;

/// Removes what a killed git left, and returns the size of the rest in bytes. No git may write to the clone meanwhile. Links are not
/// followed.
pub(super) fn remove(clone: &Path) -> Result<u64> {
    let mut size = 0;
    let mut folders = vec![clone.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let (is_folder, is_left) = (entry.file_type()?.is_dir(), is_leftover(&entry));
            match (is_folder, is_left) {
                (true, true) => std::fs::remove_dir_all(entry.path())?,
                (true, false) => folders.push(entry.path()),
                (false, true) => std::fs::remove_file(entry.path())?,
                (false, false) => size += entry.metadata()?.len(),
            }
        }
    }
    Ok(size)
}

/// Temporary files, locks, and marks that keep a pack which no ref may need. Refs of a clone have fixed names, which are none of these.
fn is_leftover(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    let is_temporary = name.starts_with("tmp_") || name.starts_with(".tmp-");
    is_temporary || name.ends_with(".lock") || name.ends_with(".keep") || name == "gc.pid"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_removed_and_the_rest_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let clone = folder.path().join("settings.git");
        for file in [
            "objects/pack/tmp_pack_Xy12",
            "objects/pack/tmp_idx_Xy12",
            "objects/pack/.tmp-17-pack-0.pack",
            "objects/pack/pack-0.keep",
            "objects/ab/tmp_obj_Xy12",
            "objects/tmp_objdir-incoming-Xy12/pack/x",
            "refs/lockstep/tip.lock",
            "shallow.lock",
            "gc.pid",
            "HEAD",
            "objects/pack/pack-0.pack",
            "refs/lockstep/tip",
        ] {
            let path = clone.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, [0; 10]).unwrap();
        }
        std::os::unix::fs::symlink("/", clone.join("everything")).unwrap();
        let size = remove(&clone).unwrap();
        assert_eq!(size, 30 + 1, "three files, and the link");
        assert_eq!(remove(&clone).unwrap(), size, "nothing else is removed");
        assert!(clone.join("refs/lockstep/tip").exists() && !clone.join("shallow.lock").exists());
        assert_eq!(remove(&folder.path().join("none")).unwrap(), 0);
    }
}
