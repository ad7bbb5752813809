use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use lockstep_execution::StepFailure;
use thiserror::Error;

use crate::document::PROTOCOL;

/// What went wrong with the process of a program: the failure of the step that waited for it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("the program cannot be started: {0}")]
    NotStarted(String),
    /// It took too long.
    #[error("the program took longer than {0} s, and was ended")]
    TimedOut(u64),
    /// It did not end when there was nothing left to do.
    #[error("the program did not end within {0} s after its input was closed, and was ended")]
    NotEnded(u64),
    /// The element was told to stop.
    #[error("it was told to stop")]
    Cancelled,
    /// It exited.
    #[error("the program exited with status {code} {}{}", when(*.answered), said(.last_line.as_ref()))]
    Exited {
        /// The exit status.
        code: i32,
        /// Whether it had answered what it was asked.
        answered: bool,
        /// The last line of its error output.
        last_line: Option<String>,
    },
    /// A signal killed it.
    #[error("the program was killed by {} {}{}", name_of(*.signal), when(*.answered), said(.last_line.as_ref()))]
    Signal {
        /// The number of the signal.
        signal: i32,
        /// Whether it had answered what it was asked.
        answered: bool,
        /// The last line of its error output.
        last_line: Option<String>,
    },
    /// It closed its standard output, and went on.
    #[error("the program closed its standard output before it answered, and went on; it was ended")]
    ClosedOutput,
    /// Its last document has no end.
    #[error("the program ended in the middle of a document: {0}")]
    HalfDocument(String),
    /// A line is not UTF-8.
    #[error("the program wrote a line that is not UTF-8, at byte {0} of the line")]
    NotUtf8(usize),
    /// A line is no document.
    #[error("the program wrote a line that is no document: {reason}: {line}")]
    NotADocument {
        /// What is wrong.
        reason: String,
        /// The beginning of the line.
        line: String,
    },
    /// A document was not expected.
    #[error("the program wrote {found} where {expected} was expected")]
    Unexpected {
        /// What it wrote.
        found: String,
        /// What it was to write.
        expected: String,
    },
    /// It speaks another version of the protocol.
    #[error("the program speaks version {0} of the protocol, and this worker version {PROTOCOL}")]
    Protocol(u32),
    /// It wrote too much.
    #[error("the program wrote more than {most} bytes to its {stream}, and was ended")]
    Output {
        /// Where.
        stream: &'static str,
        /// The bound.
        most: u64,
    },
    /// It used too much memory.
    #[error("the program and its processes used more than {0} bytes of memory, and were ended")]
    Memory(u64),
    /// It started too many processes.
    #[error("the program had more than {0} processes at once, and all were ended")]
    Processes(u32),
    /// It left processes behind.
    #[error(
        "the program ended and left {0} of its processes running, which were ended; let it wait for them"
    )]
    Left(usize),
    /// What watches it was ended by somebody else.
    #[error("the process that watches the program was ended from outside; the program was ended, too")]
    Unsupervised,
    /// Its pipes cannot be used.
    #[error("the program cannot be spoken to: {0}")]
    Broken(String),
}

impl ProcessError {
    /// A word for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotStarted(_) => "not-started",
            Self::TimedOut(_) | Self::NotEnded(_) => "timed-out",
            Self::Cancelled => "cancelled",
            Self::Exited { .. } => "exited",
            Self::Signal { .. } => "killed-by-signal",
            Self::ClosedOutput
            | Self::HalfDocument(_)
            | Self::NotUtf8(_)
            | Self::NotADocument { .. }
            | Self::Unexpected { .. }
            | Self::Protocol(_) => "wrong-answer",
            Self::Output { .. } => "too-much-output",
            Self::Memory(_) => "too-much-memory",
            Self::Processes(_) => "too-many-processes",
            Self::Left(_) => "left-processes",
            Self::Unsupervised | Self::Broken(_) => "broken",
        }
    }
}

impl From<ProcessError> for StepFailure {
    fn from(error: ProcessError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}

fn when(answered: bool) -> &'static str {
    if answered {
        "after it answered"
    } else {
        "before it answered"
    }
}

fn said(last_line: Option<&String>) -> String {
    last_line.map_or_else(String::new, |line| {
        format!("; the last line of its error output: {line}")
    })
}

/// The name of a signal, such as `SIGSEGV`.
fn name_of(number: i32) -> String {
    // It is written like "signal: 11 (SIGSEGV)".
    let written = ExitStatus::from_raw(number).to_string();
    let name = written.split_once('(').and_then(|(_, name)| name.split_once(')'));
    name.map_or_else(|| format!("signal {number}"), |(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_names() {
        let table = [
            (11, "SIGSEGV"),
            (9, "SIGKILL"),
            (15, "SIGTERM"),
            (6, "SIGABRT"),
            (40, "signal 40"),
        ];
        for (number, expected) in table {
            assert_eq!(name_of(number), expected);
        }
    }
}
