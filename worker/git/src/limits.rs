use std::fmt;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

/// Sets the limits of a process, then becomes the program. A limit that the system sets lower already stays as it is. Where none can be
/// set, the program does not start. A write beyond the limit fails with an error that git reports, instead of a signal (25, SIGXFSZ).
const SCRIPT: &str = r#"limit() {
    ulimit -S "$1" "$2" 2>/dev/null && return
    case "$(ulimit -S "$1" 2>/dev/null)" in
        ''|unlimited) echo "this system cannot limit a process (ulimit $1)" >&2; exit 125 ;;
    esac
}
trap '' 25
ulimit -c 0
limit -v "$1"; limit -f "$2"; limit -t "$3"
shift 3
exec "$@""#;

/// The most threads of a process of git (`pack.threads`).
const THREADS: u64 = 2;

/// What git may use. The kernel enforces it, since what a repository sends decides how much git allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The memory (address space) of each process, in MiB.
    pub memory_mib: u64,
    /// The size of a clone, and of each file that git writes, in MiB.
    pub clone_mib: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 1024,
            clone_mib: 4096,
        }
    }
}

/// A limit that git reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The memory of a process, in MiB.
    Memory(u64),
    /// The size of the clone or of one of its files, in MiB.
    CloneSize(u64),
}

/// Says what the limit is, and which key raises it.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(most) => write!(
                f,
                "needs more than {most} MiB of memory; if the repository is the intended one, raise repositories.memory_mib"
            ),
            Self::CloneSize(most) => write!(
                f,
                "needs more than {most} MiB of disk; if the repository is the intended one, raise repositories.clone_mib"
            ),
        }
    }
}

impl Limits {
    /// The size of a clone in bytes.
    pub(super) fn clone_bytes(self) -> u64 {
        self.clone_mib.saturating_mul(1024 * 1024)
    }

    /// A command that runs the program, to which arguments can be added, within the limits. The processor time ends after the deadline,
    /// for processes that nobody watches any more.
    pub(super) fn command(self, program: &Path, deadline: Duration) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "sh"])
            .arg(self.memory_mib.saturating_mul(1024).to_string())
            // Blocks of 512 bytes.
            .arg(self.clone_mib.saturating_mul(2048).to_string())
            .arg(deadline.as_secs().saturating_mul(THREADS).max(1).to_string())
            .arg(program);
        command
    }

    /// The limit that ended a command, by its error output.
    pub(super) fn reached(self, stderr: &str) -> Option<Limit> {
        // A remote reports its own problems on lines that begin like this.
        let own = || {
            stderr
                .lines()
                .filter(|line| !line.trim_start().starts_with("remote:"))
        };
        let says = |text: &str| own().any(|line| line.contains(text));
        if says("File too large") {
            Some(Limit::CloneSize(self.clone_mib))
        } else if says("ut of memory") || says("Cannot allocate memory") {
            Some(Limit::Memory(self.memory_mib))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(7);

    async fn run(limits: Limits, script: &str) -> std::process::Output {
        let mut command = limits.command(Path::new("/bin/sh"), TIME);
        command.args(["-c", script]).output().await.unwrap()
    }

    #[tokio::test]
    async fn a_program_runs_within_the_limits() {
        let limits = Limits {
            memory_mib: 512,
            clone_mib: 1,
        };
        let output = run(limits, "ulimit -v; ulimit -f; ulimit -t; ulimit -c; echo \"$@\"").await;
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "524288\n2048\n14\n0\n\n"
        );
    }

    #[tokio::test]
    async fn a_lower_limit_of_the_system_stays() {
        let limits = Limits {
            memory_mib: 2048,
            clone_mib: 64,
        };
        let outer = Limits {
            memory_mib: 512,
            clone_mib: 1,
        };
        let inner = limits.command(Path::new("/bin/sh"), TIME);
        let mut command = outer.command(Path::new("/bin/sh"), TIME);
        // The outer limits become hard ones, which the inner ones exceed.
        command.args(["-c", r#"ulimit -H -v 524288; ulimit -H -f 2048; exec "$@""#, "sh"]);
        command.arg(inner.as_std().get_program());
        command.args(inner.as_std().get_args());
        let output = command
            .args(["-c", "ulimit -v; ulimit -f"])
            .output()
            .await
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "524288\n2048\n");
    }

    #[test]
    fn the_limit_that_was_reached_is_recognised() {
        let limits = Limits::default();
        let table = [
            (
                "fatal: Out of memory, malloc failed (tried to allocate 9 bytes)",
                Some(Limit::Memory(1024)),
            ),
            (
                "fatal: mmap failed: Cannot allocate memory",
                Some(Limit::Memory(1024)),
            ),
            ("remote: fatal: Out of memory", None),
            (
                "fatal: write error: File too large\nfatal: fetch-pack: invalid index-pack output",
                Some(Limit::CloneSize(4096)),
            ),
            ("fatal: couldn't find remote ref refs/heads/main", None),
        ];
        for (stderr, expected) in table {
            assert_eq!(limits.reached(stderr), expected, "{stderr}");
        }
    }
}
