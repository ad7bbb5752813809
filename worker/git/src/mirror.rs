mod sizes;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use lockstep_protocol::CommitId;

use super::{Git, GitError, Remote};

/// The ref of the clone that points to the fetched tip.
const TIP: &str = "refs/lockstep/tip";
/// The size of the largest file that is read, in bytes.
const MAX_BLOB: u64 = 10 * 1024 * 1024;

/// A bare clone of one branch. It is a cache: if it is lost or damaged, it is cloned again.
#[derive(Clone, Debug)]
pub struct Mirror {
    git: Git,
    remote: Remote,
    folder: PathBuf,
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blob {
    Content(Vec<u8>),
    /// The file has so many bytes, more than 10 MiB, and is not read.
    TooLarge(u64),
}

/// The lock of the clone, held until this is dropped.
struct Locked(#[expect(dead_code, reason = "held for its lock")] File);

impl Mirror {
    /// Uses a clone in this folder. The first fetch creates it.
    pub fn new(git: Git, remote: Remote, folder: impl Into<PathBuf>) -> Self {
        Self {
            git,
            remote,
            folder: folder.into(),
        }
    }

    /// The remote that it is a clone of.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Asks the remote for the tip of the branch, without fetching it.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn remote_tip(&self) -> Result<CommitId, GitError> {
        let branch = self.remote.branch();
        let wanted = format!("refs/heads/{branch}");
        let arguments = ["--end-of-options", self.remote.url(), &wanted];
        let answer = self
            .git
            .output("ls-remote", None, Some(&self.remote), arguments, Vec::new());
        let answer = answer.await?;
        let text = String::from_utf8_lossy(&answer);
        // The pattern also matches refs that only end with it.
        let tip = text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(_, name)| *name == wanted);
        match tip {
            Some((commit, _)) => commit_of("ls-remote", commit),
            None => Err(GitError::NoBranch {
                branch: branch.to_owned(),
            }),
        }
    }

    /// Fetches the branch and returns its tip. Clones again if the clone cannot be used.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn fetch(&self) -> Result<CommitId, GitError> {
        let _locked = self.lock()?;
        if !self.folder.join("HEAD").exists() {
            return self.clone_again().await;
        }
        match self.fetch_once().await {
            Ok(tip) => Ok(tip),
            Err(error @ (GitError::Failed { .. } | GitError::Unexpected { .. })) => {
                // If the remote answers, the clone itself is damaged.
                self.remote_tip().await?;
                tracing::warn!(folder = %self.folder.display(), %error, "the clone is damaged; cloning again");
                self.clone_again().await
            }
            Err(error) => Err(error),
        }
    }

    async fn clone_again(&self) -> Result<CommitId, GitError> {
        // The length of the id also tells the object format of the remote: SHA-1 or SHA-256.
        let tip = self.remote_tip().await?;
        let format = if tip.as_str().len() == 64 {
            "sha256"
        } else {
            "sha1"
        };
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(GitError::Clone(error)),
            _ => {}
        }
        let format = format!("--object-format={format}");
        let folder = self.folder.to_string_lossy();
        let arguments = [
            "--quiet",
            "--bare",
            "--template=",
            &format,
            "--end-of-options",
            &*folder,
        ];
        self.git.output("init", None, None, arguments, Vec::new()).await?;
        self.fetch_once().await
    }

    async fn fetch_once(&self) -> Result<CommitId, GitError> {
        let refspec = format!("+refs/heads/{}:{TIP}", self.remote.branch());
        let arguments = [
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--end-of-options",
            self.remote.url(),
            &refspec,
        ];
        let fetched = self.git.output(
            "fetch",
            Some(&self.folder),
            Some(&self.remote),
            arguments,
            Vec::new(),
        );
        match fetched.await {
            Err(GitError::Failed { message, .. }) if message.contains("couldn't find remote ref") => {
                return Err(GitError::NoBranch {
                    branch: self.remote.branch().to_owned(),
                });
            }
            other => other?,
        };
        // Git decides whether the clone needs it. A failure does no harm.
        let collected = self
            .git
            .output("gc", Some(&self.folder), None, ["--auto", "--quiet"], Vec::new());
        if let Err(error) = collected.await {
            tracing::debug!(folder = %self.folder.display(), %error, "git gc failed");
        }
        let wanted = format!("{TIP}^{{commit}}");
        let tip = self.local("rev-parse", &["--verify", "--quiet", &wanted]).await?;
        commit_of("rev-parse", String::from_utf8_lossy(&tip).trim())
    }

    /// Whether the clone has this commit.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn has(&self, commit: &CommitId) -> Result<bool, GitError> {
        let object = format!("{commit}^{{commit}}");
        let answer = self
            .git
            .run("cat-file", Some(&self.folder), None, ["-e", &object], Vec::new());
        Ok(answer.await?.status.success())
    }

    /// The tree of a commit, as `git ls-tree -r -z` prints it.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn listing(&self, commit: &CommitId) -> Result<Vec<u8>, GitError> {
        if !self.has(commit).await? {
            return Err(GitError::NoCommit {
                commit: commit.clone(),
            });
        }
        self.local("ls-tree", &["-r", "-z", "--full-tree", commit.as_str()])
            .await
    }

    /// Reads the contents of files by their object ids. Objects that the clone does not have are left out.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn blobs(&self, objects: &[String]) -> Result<HashMap<String, Blob>, GitError> {
        const CHECK: &str = "cat-file";
        let asked: String = objects.iter().flat_map(|object| [object, "\n"]).collect();
        // Asks for the sizes first, so that a file that is too large is not read.
        let arguments = ["--batch-check=%(objectname) %(objecttype) %(objectsize)"];
        let sizes = self
            .git
            .output(CHECK, Some(&self.folder), None, arguments, asked.into_bytes());
        let sizes = String::from_utf8(sizes.await?).map_err(|error| unexpected(CHECK, error))?;
        let mut blobs = HashMap::new();
        let mut wanted = String::new();
        for line in sizes.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [object, "blob", size] = words[..] else {
                continue;
            };
            let size: u64 = size.parse().map_err(|error| unexpected(CHECK, error))?;
            if size > MAX_BLOB {
                blobs.insert(object.to_owned(), Blob::TooLarge(size));
            } else {
                wanted += object;
                wanted.push('\n');
            }
        }
        let contents = self
            .git
            .output(CHECK, Some(&self.folder), None, ["--batch"], wanted.into_bytes());
        read_batch(&contents.await?, &mut blobs).ok_or_else(|| unexpected(CHECK, "it is incomplete"))?;
        Ok(blobs)
    }

    async fn local(&self, command: &'static str, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        self.git
            .output(command, Some(&self.folder), None, arguments, Vec::new())
            .await
    }

    fn lock(&self) -> Result<Locked, GitError> {
        let parent = self.folder.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(GitError::Clone)?;
        let mut path = self.folder.clone().into_os_string();
        path.push(".lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(PathBuf::from(path));
        let file = file.map_err(GitError::Clone)?;
        match file.try_lock() {
            Ok(()) => Ok(Locked(file)),
            Err(TryLockError::WouldBlock) => Err(GitError::Busy),
            Err(TryLockError::Error(error)) => Err(GitError::Clone(error)),
        }
    }
}

/// Reads `OBJECT TYPE SIZE LF CONTENT LF …`; `None` if the bytes have another format.
fn read_batch(mut bytes: &[u8], blobs: &mut HashMap<String, Blob>) -> Option<()> {
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let header = std::str::from_utf8(&bytes[..end]).ok()?;
        let (object, rest) = header.split_once(' ')?;
        let size: usize = rest.strip_prefix("blob ")?.parse().ok()?;
        let content = bytes.get(end + 1..end + 1 + size)?;
        blobs.insert(object.to_owned(), Blob::Content(content.to_vec()));
        bytes = bytes.get(end + 1 + size..)?.strip_prefix(b"\n")?;
    }
    Some(())
}

fn commit_of(command: &'static str, text: &str) -> Result<CommitId, GitError> {
    text.parse().map_err(|error| unexpected(command, error))
}

fn unexpected(command: &'static str, what: impl std::fmt::Display) -> GitError {
    GitError::Unexpected {
        command,
        what: what.to_string(),
    }
}
