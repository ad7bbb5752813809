use super::bounds::{MOST_BYTES, MOST_TOTAL_BYTES};
use super::contents::Content;
use super::links::{self, InvalidLink, Resolved};
use super::tree_reader::TreeReader;
use super::{Entry, IntentProblem};

/// What is at a path.
pub(super) enum Located<'a> {
    File(&'a Entry),
    /// There is no such file.
    Absent,
    /// It cannot be a file with settings.
    Invalid(IntentProblem),
}

/// Finds the entry with the content of a file, following links inside the tree.
pub(super) fn locate<'a>(reader: &TreeReader<'a>, path: &[u8]) -> Located<'a> {
    let invalid = |reason: String| Located::Invalid(IntentProblem::whole(path, reason));
    let own = reader.tree().get(path);
    let entry = match own.filter(|entry| !entry.mode.is_link()) {
        Some(entry) => entry,
        // A link, or a path below one.
        None => match links::resolve(reader, path) {
            Resolved::File(target) => target,
            Resolved::Folder(_) => return invalid("is a link to a folder, must be a file".to_owned()),
            Resolved::Invalid(InvalidLink::Dangling(_)) if own.is_none() => return Located::Absent,
            Resolved::Invalid(reason) => return invalid(reason.to_string()),
        },
    };
    if entry.mode.is_file() {
        Located::File(entry)
    } else {
        invalid("is a submodule, must be a file".to_owned())
    }
}

/// The bytes of a file.
///
/// # Errors
/// If there are none.
pub(super) fn bytes(path: &[u8], content: Content) -> Result<Vec<u8>, IntentProblem> {
    let reason = match content {
        Content::Bytes(bytes) => return Ok(bytes),
        Content::Missing => "its content is not in the clone; fetch the repository again".to_owned(),
        Content::TooLarge(size) => {
            format!("has {size} bytes, more than the limit of {MOST_BYTES}; split it")
        }
        Content::TooMuch => format!(
            "is not read, because the files to check have more than the limit of {MOST_TOTAL_BYTES} bytes together; change them in several commits"
        ),
    };
    Err(IntentProblem::whole(path, reason))
}
