use std::collections::HashMap;
use std::fmt::Write;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use lockstep_protocol::CommitId;

use super::access::{self, Access};
use super::blobs::{self, Blob};
use super::command::Call;
use super::{Git, GitError, Limit, Remote, RemoteError, leftovers};

/// The ref of the clone that points to the fetched tip.
const TIP: &str = "refs/lockstep/tip";

/// The most bytes of the name of a folder, with room for that of its lock.
const MOST_NAME: usize = 240;

/// A bare clone of one branch. It is a cache: if it is lost or damaged, it is cloned again.
#[derive(Clone, Debug)]
pub struct Mirror {
    git: Git,
    remote: Remote,
    folder: PathBuf,
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

    /// A clone of another branch, in a folder beside this one.
    ///
    /// # Errors
    /// If it is not the name of a branch.
    pub fn of_branch(&self, branch: &str) -> Result<Self, RemoteError> {
        let name = self.folder.file_stem().unwrap_or_default().to_string_lossy();
        // Names of branches have slashes, and may differ in case only.
        let mut folder = format!("{name}.branch-");
        for byte in branch.bytes() {
            // Writing to a String does not fail.
            let _ = write!(folder, "{byte:02x}");
        }
        folder.push_str(".git");
        if folder.len() > MOST_NAME {
            return Err(RemoteError::Branch(branch.to_owned()));
        }
        Ok(Self {
            git: self.git.clone(),
            remote: self.remote.with_branch(branch)?,
            folder: self.folder.with_file_name(folder),
        })
    }

    /// The remote that it is a clone of.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(super) fn git(&self) -> &Git {
        &self.git
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks the remote for the tip of the branch, without fetching it.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn remote_tip(&self) -> Result<CommitId, GitError> {
        let branch = self.remote.branch();
        let wanted = format!("refs/heads/{branch}");
        let access = Access::open(&self.remote, &self.folder)?;
        let call = Call {
            command: "ls-remote",
            access: Some(&access),
            arguments: &["--end-of-options", self.remote.url(), &wanted],
            ..Call::default()
        };
        let answer = self.git.output(call).await?;
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

    /// Fetches the branch and returns its tip. Clones again if the clone cannot be used, or has grown too large.
    ///
    /// # Errors
    /// See [`GitError`]. What a failed fetch wrote is removed.
    pub async fn fetch(&self) -> Result<CommitId, GitError> {
        let _locked = self.lock()?;
        access::remove_leftovers(&self.folder).map_err(GitError::Clone)?;
        let (mut fetched, mut size) = self.tidied(self.fetch_into_clone().await).await?;
        let most = self.git.limits();
        if fetched.is_ok() && size > most.clone_bytes() {
            // A new clone lacks what earlier tips had.
            (fetched, size) = self.tidied(self.clone_again().await).await?;
        }
        let tip = fetched?;
        if size <= most.clone_bytes() {
            return Ok(tip);
        }
        self.remove().await?;
        Err(GitError::Limit {
            command: "fetch",
            limit: Limit::CloneSize(most.clone_mib),
        })
    }

    async fn tidied<T>(&self, fetched: T) -> Result<(T, u64), GitError> {
        Ok((fetched, self.tidy().await?))
    }

    async fn fetch_into_clone(&self) -> Result<CommitId, GitError> {
        self.tidy().await?;
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
        self.remove().await?;
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
        let made = self.git.output(Call {
            command: "init",
            arguments: &arguments,
            ..Call::default()
        });
        made.await?;
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
        let access = Access::open(&self.remote, &self.folder)?;
        let fetched = self.git.output(Call {
            command: "fetch",
            folder: Some(&self.folder),
            access: Some(&access),
            arguments: &arguments,
            ..Call::default()
        });
        match fetched.await {
            Err(GitError::Failed { message, .. }) if message.contains("couldn't find remote ref") => {
                return Err(GitError::NoBranch {
                    branch: self.remote.branch().to_owned(),
                });
            }
            other => other?,
        };
        // Git decides whether the clone needs it. A failure does no harm.
        if let Err(error) = self.local("gc", &["--auto", "--quiet"]).await {
            tracing::debug!(folder = %self.folder.display(), %error, "git gc failed");
        }
        let wanted = format!("{TIP}^{{commit}}");
        let tip = self.local("rev-parse", &["--verify", "--quiet", &wanted]).await?;
        commit_of("rev-parse", String::from_utf8_lossy(&tip).trim())
    }

    /// Removes what killed commands left in the clone, and returns its size in bytes.
    async fn tidy(&self) -> Result<u64, GitError> {
        let folder = self.folder.clone();
        on_disk(move || leftovers::remove(&folder)).await
    }

    async fn remove(&self) -> Result<(), GitError> {
        let folder = self.folder.clone();
        on_disk(move || match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    /// Whether the clone has this commit.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn has(&self, commit: &CommitId) -> Result<bool, GitError> {
        let object = format!("{commit}^{{commit}}");
        let call = Call {
            command: "cat-file",
            folder: Some(&self.folder),
            arguments: &["-e", &object],
            ..Call::default()
        };
        self.git.succeeds(call).await
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
        blobs::read(&self.git, &self.folder, objects).await
    }

    /// The sizes of files in bytes, by their object ids, so that a caller reads only what it has room for. Objects that the clone does
    /// not have are left out.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn sizes(&self, objects: &[String]) -> Result<HashMap<String, u64>, GitError> {
        blobs::sizes(&self.git, &self.folder, objects).await
    }

    async fn local(&self, command: &'static str, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let call = Call {
            command,
            folder: Some(&self.folder),
            arguments,
            ..Call::default()
        };
        self.git.output(call).await
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

/// Runs work on many files where it holds nobody up.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, GitError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(std::io::Error::other)
        .flatten()
        .map_err(GitError::Clone)
}

fn commit_of(command: &'static str, text: &str) -> Result<CommitId, GitError> {
    text.parse().map_err(|error| GitError::unexpected(command, error))
}
