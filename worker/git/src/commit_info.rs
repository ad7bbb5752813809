//! Reads what a commit says about itself, for people.

use lockstep_protocol::CommitId;
use lockstep_protocol::cause_detail::MAX_SUBJECT;

use super::command::Call;
use super::{GitError, Mirror};

/// The most bytes that are kept of what git prints: a subject is as long as its author wants.
const MOST_BYTES: usize = 16 * 1024;
/// The most commits that are counted.
const MOST_COMMITS: u64 = 100_000;

/// Author, subject and time of a commit, each as the commit has it: untrusted, but bounded and valid UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// The name of the author, without the e-mail address; at most 200 characters.
    pub author: String,
    /// The first line of the message; at most 200 characters.
    pub subject: String,
    /// When it was committed, in seconds since 1970. `None` if git cannot tell.
    pub committed_at: Option<i64>,
}

impl Mirror {
    /// What a commit says about itself.
    ///
    /// # Errors
    /// If the clone does not have it; see [`GitError`].
    pub async fn commit_info(&self, commit: &CommitId) -> Result<CommitInfo, GitError> {
        const COMMAND: &str = "log";
        let arguments = [
            "--max-count=1",
            "--no-show-signature",
            "--no-patch",
            "--no-color",
            "--encoding=UTF-8",
            "--format=%an%x00%ct%x00%s",
            "--end-of-options",
            commit.as_str(),
        ];
        let call = Call {
            command: COMMAND,
            folder: Some(self.folder()),
            arguments: &arguments,
            ..Call::default()
        };
        let printed = self.git().output_head(call, MOST_BYTES).await?;
        parse(&printed).ok_or_else(|| GitError::unexpected(COMMAND, "it has no author, time and subject"))
    }

    /// How many commits lead to this one that do not lead to `since`, at most 100,000.
    ///
    /// # Errors
    /// If the clone does not have both; see [`GitError`].
    pub async fn commits_since(&self, commit: &CommitId, since: &CommitId) -> Result<u64, GitError> {
        const COMMAND: &str = "rev-list";
        let most = format!("--max-count={MOST_COMMITS}");
        let range = format!("{since}..{commit}");
        let arguments = ["--count", &most, "--end-of-options", &range];
        let call = Call {
            command: COMMAND,
            folder: Some(self.folder()),
            arguments: &arguments,
            ..Call::default()
        };
        let printed = self.git().output(call).await?;
        let count = String::from_utf8_lossy(&printed);
        count
            .trim()
            .parse()
            .map_err(|error| GitError::unexpected(COMMAND, error))
    }
}

/// Reads `AUTHOR NUL SECONDS NUL SUBJECT`.
fn parse(printed: &[u8]) -> Option<CommitInfo> {
    let mut parts = printed.splitn(3, |byte| *byte == 0);
    let mut next = || parts.next().map(String::from_utf8_lossy);
    let (author, seconds, subject) = (next()?, next()?, next()?);
    let bounded = |text: &str| text.trim().chars().take(MAX_SUBJECT).collect();
    Some(CommitInfo {
        author: bounded(&author),
        subject: bounded(&subject),
        committed_at: seconds.parse().ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn author_time_and_subject_are_bounded_and_valid_text() {
        let table: [(&[u8], _); 5] = [
            (
                b"Ada\x001700000000\0core: New route\n",
                Some(("Ada", "core: New route", Some(1_700_000_000))),
            ),
            (
                b"A\xff\x00-5\0\x1b[31mred\n",
                Some(("A\u{fffd}", "\u{1b}[31mred", Some(-5))),
            ),
            (b"\0x\0\n", Some(("", "", None))),
            (b"Ada", None),
            (b"", None),
        ];
        for (printed, expected) in table {
            let found = parse(printed);
            let found = found
                .as_ref()
                .map(|info| (info.author.as_str(), info.subject.as_str(), info.committed_at));
            assert_eq!(found, expected, "{printed:?}");
        }
        let long = [b"a\x001\0".to_vec(), "ä".repeat(5000).into_bytes()].concat();
        assert_eq!(parse(&long).unwrap().subject, "ä".repeat(MAX_SUBJECT));
    }
}
