use std::time::Duration;

/// How a device answers `show configuration sessions detail`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// EOS up to 4.31: a session that waits for its confirmation is `pendingCommitTimer`, with `commitBy`.
    #[default]
    UpTo431,
    /// EOS since 4.32: such a session is `committed`, and the answer has `commitTimerSessionName` and `commitTimerExpireTime`.
    Since432,
}

impl Dialect {
    /// The dialect of a release such as `4.30.3M`.
    pub fn of(release: &str) -> Option<Self> {
        let (major, rest) = release.split_once('.')?;
        let minor = rest.split_once('.').map_or(rest, |(minor, _)| minor);
        let release: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        Some(if release < (4, 32) {
            Self::UpTo431
        } else {
            Self::Since432
        })
    }
}

/// How a device treats its configuration. Where the behaviour of a real device is unknown or differs by release, it can be chosen.
#[derive(Clone, Debug)]
pub struct Knobs {
    pub dialect: Dialect,
    /// Whether the end of a commit timer is shown in seconds since 1970 instead of seconds since the device started.
    pub absolute_times: bool,
    /// The most sessions that are neither committed nor aborted.
    pub max_pending: usize,
    /// Commands that the device refuses in its configuration: words, where `*` is any one word, and `**` at the end any words.
    pub refused: Vec<String>,
    /// Why the device refuses every commit.
    pub refuses_commit: Option<String>,
    /// The device goes back to the configuration before a commit this long after it was confirmed.
    pub reverts_after: Option<Duration>,
}

impl Default for Knobs {
    /// A device of EOS 4.30 with the limit of five sessions.
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            absolute_times: false,
            max_pending: 5,
            refused: Vec::new(),
            refuses_commit: None,
            reverts_after: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_tells_the_dialect() {
        let table = [
            ("4.30.3M", Some(Dialect::UpTo431)),
            ("4.31.5M", Some(Dialect::UpTo431)),
            ("4.32.0F", Some(Dialect::Since432)),
            ("4.33", Some(Dialect::Since432)),
            ("5.0.0F", Some(Dialect::Since432)),
            ("EOS", None),
            ("4.M", None),
        ];
        for (release, expected) in table {
            assert_eq!(Dialect::of(release), expected, "{release}");
        }
    }
}
