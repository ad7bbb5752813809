//! Reads files by their object ids.

use std::collections::HashMap;
use std::path::Path;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};

use super::command::Call;
use super::{Git, GitError};

const COMMAND: &str = "cat-file";
/// The size of the largest file that is read, in bytes.
const MAX_BLOB: u64 = 10 * 1024 * 1024;
/// The most bytes of all files of one command.
const MAX_TOTAL: u64 = 256 * 1024 * 1024;
/// The longest line before a content: an object id, a type and a size.
const MAX_HEADER: u64 = 128;

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blob {
    Content(Vec<u8>),
    /// The file has so many bytes, more than 10 MiB, and is not read.
    TooLarge(u64),
}

/// The sizes of files in bytes. Objects that the clone does not have, and those that are no files, are left out.
pub(super) async fn sizes(
    git: &Git,
    clone: &Path,
    objects: &[String],
) -> Result<HashMap<String, u64>, GitError> {
    let arguments = ["--batch-check=%(objectname) %(objecttype) %(objectsize)"];
    let sizes = git.output(call(clone, &arguments, objects)).await?;
    let sizes = String::from_utf8(sizes).map_err(|error| GitError::unexpected(COMMAND, error))?;
    let mut found = HashMap::with_capacity(objects.len());
    for line in sizes.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let [object, "blob", size] = words[..] {
            let size = size
                .parse()
                .map_err(|error| GitError::unexpected(COMMAND, error))?;
            found.insert(object.to_owned(), size);
        }
    }
    Ok(found)
}

/// Reads the files. Objects that the clone does not have are left out. Asks for the sizes first, so that what is too large is not
/// read.
pub(super) async fn read(
    git: &Git,
    clone: &Path,
    objects: &[String],
) -> Result<HashMap<String, Blob>, GitError> {
    let mut blobs = HashMap::new();
    let mut wanted = Vec::new();
    let mut total: u64 = 0;
    for (object, size) in sizes(git, clone, objects).await? {
        if size > MAX_BLOB {
            blobs.insert(object, Blob::TooLarge(size));
            continue;
        }
        total += size;
        if total > MAX_TOTAL {
            return Err(GitError::TooMuch {
                command: COMMAND,
                most: usize::try_from(MAX_TOTAL).unwrap_or(usize::MAX),
            });
        }
        wanted.push(object);
    }
    let contents = git.read(call(clone, &["--batch"], &wanted), async |stdout| {
        let read = read_batch(BufReader::new(stdout)).await;
        read.map_err(|error| GitError::unexpected(COMMAND, error))
    });
    blobs.extend(contents.await?);
    Ok(blobs)
}

fn call<'a>(clone: &'a Path, arguments: &'a [&'a str], objects: &[String]) -> Call<'a> {
    let input: String = objects.iter().flat_map(|object| [object, "\n"]).collect();
    Call {
        command: COMMAND,
        folder: Some(clone),
        arguments,
        input: input.into_bytes(),
        ..Call::default()
    }
}

/// Reads `OBJECT TYPE SIZE LF CONTENT LF …`. A content is read only if its announced size is within the bounds.
async fn read_batch(mut from: impl AsyncBufRead + Unpin) -> std::io::Result<Vec<(String, Blob)>> {
    let mut blobs = Vec::new();
    let mut left = MAX_TOTAL;
    loop {
        let mut header = Vec::new();
        (&mut from)
            .take(MAX_HEADER)
            .read_until(b'\n', &mut header)
            .await?;
        if header.is_empty() {
            return Ok(blobs);
        }
        let (object, size) =
            parse(&header).ok_or_else(|| std::io::Error::other("it has no header of a file"))?;
        left = match left.checked_sub(size) {
            Some(left) if size <= MAX_BLOB => left,
            _ => return Err(std::io::Error::other("it announces more bytes than before")),
        };
        let mut content = Vec::new();
        (&mut from).take(size).read_to_end(&mut content).await?;
        let complete = content.len() as u64 == size && from.read_u8().await? == b'\n';
        if !complete {
            return Err(std::io::Error::other("it is incomplete"));
        }
        blobs.push((object, Blob::Content(content)));
    }
}

fn parse(header: &[u8]) -> Option<(String, u64)> {
    let line = std::str::from_utf8(header).ok()?.strip_suffix('\n')?;
    let (object, rest) = line.split_once(' ')?;
    Some((object.to_owned(), rest.strip_prefix("blob ")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn contents_are_read_within_their_announced_sizes() {
        let id = "ab".repeat(20);
        let table = [
            (String::new(), Ok("")),
            (format!("{id} blob 3\na\nb\n{id} blob 0\n\n"), Ok("a\nb;;")),
            (format!("{id} blob 3\na\n"), Err("incomplete")),
            (format!("{id} blob 3\na\nbc"), Err("incomplete")),
            (format!("{id} tree 0\n\n"), Err("no header")),
            (format!("{id} blob 18446744073709551615\nx"), Err("more bytes")),
            (format!("{id} blob 10485761\nx"), Err("more bytes")),
            ("x".repeat(1 << 20), Err("no header")),
        ];
        for (text, expected) in table {
            let start: String = text.chars().take(60).collect();
            let read = read_batch(text.as_bytes()).await;
            match (read, expected) {
                (Ok(blobs), Ok(expected)) => {
                    let contents = blobs.into_iter().map(|(_, blob)| match blob {
                        Blob::Content(bytes) => String::from_utf8(bytes).unwrap() + ";",
                        Blob::TooLarge(_) => panic!("{start}"),
                    });
                    assert_eq!(contents.collect::<String>(), expected, "{start}");
                }
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().contains(expected), "{start}: {error}");
                }
                (read, _) => panic!("{start}: {read:?}"),
            }
        }
    }
}
