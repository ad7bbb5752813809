//! Reads trees and files with the `git` command. It checks nothing out, fetches nothing and runs nothing from the repository.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail};
use lockstep_intent::{Content, Contents, Listing, MOST_BYTES, ObjectId};

/// Variables that point git to another repository. Hooks and scripts of git set them.
const REPOSITORY_VARIABLES: [&str; 5] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
];

/// A repository on this machine.
pub(super) struct Git(PathBuf);

impl Git {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// All files in the tree of a commit.
    pub(super) fn listing(&self, revision: &str) -> anyhow::Result<Listing> {
        let tree = format!("{revision}^{{tree}}");
        let tree = self
            .output(&["rev-parse", "--verify", "--end-of-options", &tree])
            .with_context(|| {
                format!(
                    "cannot find {revision} in {}; if it exists upstream, fetch it first (a shallow clone has only few commits)",
                    self.0.display()
                )
            })?;
        let tree = String::from_utf8(tree).context("git did not print the id of a tree")?;
        let tree: ObjectId = tree.trim_end().parse()?;
        let listing = self.output(&["ls-tree", "-r", "-z", "--full-tree", tree.as_str()])?;
        Ok(Listing::parse(&listing)?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.0).args(arguments);
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C");
        for variable in REPOSITORY_VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    fn output(&self, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        let output = self
            .command(arguments)
            .stdin(Stdio::null())
            .output()
            .context("cannot run git; is it installed?")?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(anyhow!("git {} failed: {message}", arguments[0]))
    }

    /// Reads objects with one git command.
    pub(super) fn read(&self, objects: &[ObjectId], contents: &mut Contents) -> anyhow::Result<()> {
        let mut process = self
            .command(&["cat-file", "--batch", "--buffer"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run git; is it installed?")?;
        let mut stdin = process.stdin.take().context("git has no input")?;
        let mut stdout = BufReader::new(process.stdout.take().context("git has no output")?);
        let read = std::thread::scope(|scope| {
            // Writing and reading run at the same time, because the pipes are smaller than the data.
            scope.spawn(move || {
                for object in objects {
                    if writeln!(stdin, "{object}").is_err() {
                        return;
                    }
                }
            });
            objects.iter().try_for_each(|object| {
                contents.insert(object.clone(), content(&mut stdout, object)?);
                anyhow::Ok(())
            })
        });
        drop(stdout);
        let status = process.wait().context("git did not end")?;
        read.and_then(|()| {
            if status.success() {
                Ok(())
            } else {
                bail!("git cat-file failed: {status}")
            }
        })
    }
}

/// `OBJECT blob SIZE`, the bytes and a line feed; or `OBJECT missing`.
fn content(from: &mut impl BufRead, object: &ObjectId) -> anyhow::Result<Content> {
    let mut header = String::new();
    from.read_line(&mut header)?;
    let fields: Vec<&str> = header.split_whitespace().collect();
    let size: u64 = match fields[..] {
        [id, "blob", size] if id == object.as_str() => size.parse().context("git printed no size")?,
        [id, "missing"] if id == object.as_str() => return Ok(Content::Missing),
        _ => bail!("git printed {:?} for the object {object}", header.trim_end()),
    };
    // The content and the line feed after it.
    let mut bytes = from.take(size + 1);
    if size > MOST_BYTES {
        std::io::copy(&mut bytes, &mut std::io::sink())?;
        return Ok(Content::TooLarge(size));
    }
    let mut content = Vec::with_capacity(usize::try_from(size + 1)?);
    bytes.read_to_end(&mut content)?;
    if content.pop() != Some(b'\n') || content.len() as u64 != size {
        bail!("git ended in the middle of the object {object}");
    }
    Ok(Content::Bytes(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_from_the_output_of_git() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let object: ObjectId = id.parse().unwrap();
        let other = "f".repeat(40);
        let table: [(String, Result<Content, &str>); 6] = [
            (
                format!("{id} blob 3\na\nb\nrest"),
                Ok(Content::Bytes(b"a\nb".to_vec())),
            ),
            (format!("{id} blob 0\n\n"), Ok(Content::Bytes(Vec::new()))),
            (format!("{id} missing\n"), Ok(Content::Missing)),
            (format!("{other} blob 1\na\n"), Err("git printed")),
            (format!("{id} tree 1\na\n"), Err("git printed")),
            (format!("{id} blob 5\na\nb"), Err("git ended in the middle")),
        ];
        for (answer, expected) in table {
            match (content(&mut answer.as_bytes(), &object), expected) {
                (Ok(content), Ok(expected)) => assert_eq!(content, expected, "{answer}"),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (got, _) => panic!("{answer}: {got:?}"),
            }
        }
    }
}
