//! Reads trees and files with the `git` command. It checks nothing out, fetches nothing and runs nothing from the repository.

use std::collections::HashMap;
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, anyhow, bail};
use lockstep_intent::bounds::{MOST_BYTES, MOST_LISTING_BYTES};
use lockstep_intent::{IntentProblem, Listing, ListingError, ObjectId, ReadObjects};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// The most bytes of git's answer about the size of an object.
const MOST_SIZE_LINE: usize = 128;
/// The most bytes of git's error output that are kept.
const MOST_STDERR: u64 = 16 * 1024;
/// The most memory of a git process, in bytes, without the files that it maps. A small pack of deltas can make it grow by gigabytes.
const MOST_MEMORY: u64 = 1024 * 1024 * 1024;

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

    /// All files in the tree of a commit, whose bounds are those of a worker for the tree that is to be examined.
    ///
    /// # Errors
    /// A problem of the tree is the inner error.
    pub(super) fn listing(&self, revision: &str) -> anyhow::Result<Result<Listing, IntentProblem>> {
        let tree = format!("{revision}^{{tree}}");
        let tree = self
            .output(&["rev-parse", "--verify", "--end-of-options", &tree], &[], 1024)
            .with_context(|| {
                format!(
                    "cannot find {revision} in {}; if it exists upstream, fetch it first (a shallow clone has only few commits)",
                    self.0.display()
                )
            })?;
        let tree =
            String::from_utf8(tree.unwrap_or_default()).context("git did not print the id of a tree")?;
        let tree: ObjectId = tree.trim_end().parse()?;
        let arguments = ["ls-tree", "-r", "-z", "--full-tree", tree.as_str()];
        let Some(listing) = self.output(&arguments, &[], MOST_LISTING_BYTES)? else {
            return Ok(Err(Listing::exceeded()));
        };
        match Listing::parse_within_bounds(&listing) {
            Ok(listing) => Ok(Ok(listing)),
            Err(ListingError::Exceeded(problem)) => Ok(Err(problem)),
            Err(error) => Err(error.into()),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.0).args(arguments);
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for variable in REPOSITORY_VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    /// Runs git with this input. Returns its output, or `None` if it has more than `most` bytes, and git is killed.
    fn output(&self, arguments: &[&str], input: &[u8], most: usize) -> anyhow::Result<Option<Vec<u8>>> {
        let mut process = self
            .command(arguments)
            .spawn()
            .context("cannot run git; is it installed?")?;
        limit_memory(&process);
        let mut stdin = process.stdin.take().context("git has no input")?;
        let stdout = process.stdout.take().context("git has no output")?;
        let stderr = process.stderr.take().context("git has no error output")?;
        // The pipes are smaller than the data, so all three are served at the same time.
        let (output, message) = std::thread::scope(|scope| {
            // Git may end without reading all of its input; its exit status reports failures.
            scope.spawn(move || stdin.write_all(input).ok());
            let message = scope.spawn(move || read(stderr, MOST_STDERR));
            let output = read(stdout, most as u64 + 1);
            if output.as_ref().is_ok_and(|output| output.len() > most) {
                process.kill().ok();
            }
            (output, message.join().unwrap_or_else(|_| Ok(Vec::new())))
        });
        let status = process.wait().context("git did not end")?;
        let output = output.context("cannot read the output of git")?;
        if output.len() > most {
            return Ok(None);
        }
        if status.success() {
            return Ok(Some(output));
        }
        let message = String::from_utf8_lossy(&message.unwrap_or_default())
            .trim()
            .to_owned();
        Err(anyhow!("git {} failed ({status}): {message}", arguments[0]))
    }

    /// Asks about objects by one git command that answers in the order of the questions.
    fn ask(&self, arguments: &[&str], objects: &[ObjectId], most: usize) -> anyhow::Result<Vec<u8>> {
        let input: String = objects
            .iter()
            .flat_map(|object| [object.as_str(), "\n"])
            .collect();
        self.output(arguments, input.as_bytes(), most)?
            .with_context(|| format!("git {} printed more than {most} bytes", arguments[0]))
    }
}

fn read(from: impl Read, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Without the limit, the command still works.
fn limit_memory(process: &Child) {
    let limit = Rlimit {
        current: Some(MOST_MEMORY),
        maximum: Some(MOST_MEMORY),
    };
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    prlimit(pid, Resource::Data, limit).ok();
}

impl ReadObjects for Git {
    type Error = anyhow::Error;

    fn sizes(&mut self, objects: &[ObjectId]) -> anyhow::Result<HashMap<ObjectId, u64>> {
        let most = objects.len() * MOST_SIZE_LINE;
        let answer = self.ask(&["cat-file", "--batch-check", "--buffer"], objects, most)?;
        let mut answer = answer.as_slice();
        let mut sizes = HashMap::with_capacity(objects.len());
        for object in objects {
            if let Some(size) = size(&mut answer, object)? {
                sizes.insert(object.clone(), size);
            }
        }
        Ok(sizes)
    }

    fn contents(&mut self, objects: &[ObjectId]) -> anyhow::Result<HashMap<ObjectId, Vec<u8>>> {
        // The caller asks for some together, or for one that may be read.
        let most = 2 * usize::try_from(MOST_BYTES)? + objects.len() * MOST_SIZE_LINE;
        let answer = self.ask(&["cat-file", "--batch", "--buffer"], objects, most)?;
        let mut answer = answer.as_slice();
        let mut contents = HashMap::with_capacity(objects.len());
        for object in objects {
            if let Some(content) = content(&mut answer, object)? {
                contents.insert(object.clone(), content);
            }
        }
        Ok(contents)
    }
}

/// `OBJECT blob SIZE`, or `OBJECT missing`.
fn size(from: &mut &[u8], object: &ObjectId) -> anyhow::Result<Option<u64>> {
    let mut header = String::new();
    from.read_line(&mut header)?;
    let fields: Vec<&str> = header.split_whitespace().collect();
    match fields[..] {
        [id, "blob", size] if id == object.as_str() => Ok(Some(size.parse().context("git printed no size")?)),
        [id, "missing"] if id == object.as_str() => Ok(None),
        _ => bail!("git printed {:?} for the object {object}", header.trim_end()),
    }
}

/// The answer with the size, the bytes and a line feed; or `OBJECT missing`.
fn content(from: &mut &[u8], object: &ObjectId) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(size) = size(from, object)? else {
        return Ok(None);
    };
    let size = usize::try_from(size)?;
    match (from.get(..size), from.get(size)) {
        (Some(content), Some(b'\n')) => {
            *from = &from[size + 1..];
            Ok(Some(content.to_vec()))
        }
        _ => bail!("git ended in the middle of the object {object}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content, or the begin of the error.
    type Expected = Result<Option<Vec<u8>>, &'static str>;

    #[test]
    fn objects_are_read_from_the_output_of_git() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let object: ObjectId = id.parse().unwrap();
        let other = "f".repeat(40);
        let table: [(String, Expected); 6] = [
            (format!("{id} blob 3\na\nb\nrest"), Ok(Some(b"a\nb".to_vec()))),
            (format!("{id} blob 0\n\n"), Ok(Some(Vec::new()))),
            (format!("{id} missing\n"), Ok(None)),
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
