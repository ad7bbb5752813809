use super::links::{self, InvalidLink, Resolved};
use super::tree_reader::TreeReader;
use super::{Content, IntentProblem};

/// What reading a file returns.
pub(super) enum FileRead<'a> {
    Bytes(&'a [u8]),
    /// The path is a link to a folder.
    Folder,
    /// There is no such file.
    Absent,
    /// Its content is not read yet, and recorded as needed.
    Pending,
    /// Its content is not in the repository.
    Missing,
    /// It cannot be read.
    Invalid(IntentProblem),
}

/// Reads a file, following links inside the tree.
pub(super) fn read_file<'a>(reader: &TreeReader<'a>, path: &[u8]) -> FileRead<'a> {
    let invalid = |reason: String| FileRead::Invalid(IntentProblem::whole(path, reason));
    let own = reader.tree().get(path);
    let entry = match own.filter(|entry| !entry.mode.is_link()) {
        Some(entry) => entry,
        // A link, or a path below one.
        None => match links::resolve(reader, path) {
            Resolved::File(target) => target,
            Resolved::Folder(_) => return FileRead::Folder,
            Resolved::Pending => return FileRead::Pending,
            Resolved::Invalid(InvalidLink::Dangling(_)) if own.is_none() => return FileRead::Absent,
            Resolved::Invalid(reason) => return invalid(reason.to_string()),
        },
    };
    if !entry.mode.is_file() {
        return invalid("is a submodule, must be a file".to_owned());
    }
    match reader.content(entry) {
        None => FileRead::Pending,
        Some(Content::Bytes(bytes)) => FileRead::Bytes(bytes),
        Some(Content::Missing) => FileRead::Missing,
        Some(Content::TooLarge(size)) => invalid(format!(
            "has {size} bytes, more than the limit of {}; split it",
            super::MOST_BYTES
        )),
    }
}
