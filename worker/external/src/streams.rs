//! The output of a program, bounded.

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use crate::ProcessError;
use crate::text::Secrets;

/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;
/// How many lines of the error output of one process are logged, and how many of its documents.
pub(crate) const MAX_LOGGED: usize = 200;
/// The most bytes of a line of the error output that are kept.
const MAX_LINE: usize = 4096;

/// Lines that a program writes to its standard output.
#[derive(Debug)]
pub(crate) struct Lines {
    from: Receiver,
    buffer: Vec<u8>,
    /// Where the next line begins. What is before is dropped at the next reading, and not at each line.
    begin: usize,
    /// Up to where there is no line feed after that.
    searched: usize,
    left: u64,
    most: u64,
    ended: bool,
}

impl Lines {
    pub(crate) fn new(from: Receiver, most: u64) -> Self {
        Self {
            from,
            buffer: Vec::new(),
            begin: 0,
            searched: 0,
            left: most,
            most,
            ended: false,
        }
    }

    /// Whether nothing more will be read.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Reads more. Safe to cancel.
    pub(crate) async fn read(&mut self) -> Result<(), ProcessError> {
        self.buffer.drain(..self.begin);
        self.searched -= self.begin;
        self.begin = 0;
        self.buffer.reserve(CHUNK);
        let read = self.from.read_buf(&mut self.buffer).await;
        let read = read.map_err(|error| ProcessError::Broken(error.to_string()))?;
        self.ended = read == 0;
        self.left = self.left.checked_sub(read as u64).ok_or(ProcessError::Output {
            stream: "standard output",
            most: self.most,
        })?;
        Ok(())
    }

    /// The next whole line that was read, without its end. Empty lines are left out.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return None;
            };
            let line = &self.buffer[self.begin..self.searched + at];
            let is_empty = line.trim_ascii().is_empty();
            let line = line.to_vec();
            self.searched += at + 1;
            self.begin = self.searched;
            if !is_empty {
                return Some(line);
            }
        }
    }

    /// What was read of a line that has no end.
    pub(crate) fn rest(&self) -> &[u8] {
        self.buffer[self.begin..].trim_ascii()
    }

    /// All that was read.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }
}

/// The error output of a program, which becomes lines of the log.
#[derive(Debug)]
pub(crate) struct ErrorLines {
    from: Receiver,
    line: Vec<u8>,
    last: Option<String>,
    logged: usize,
    left: u64,
    most: u64,
    ended: bool,
}

impl ErrorLines {
    pub(crate) fn new(from: Receiver, most: u64) -> Self {
        Self {
            from,
            line: Vec::new(),
            last: None,
            logged: 0,
            left: most,
            most,
            ended: false,
        }
    }

    /// Whether nothing more will be read.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Reads more, and logs it. Safe to cancel.
    pub(crate) async fn read(&mut self, provider: &str, secrets: &Secrets) -> Result<(), ProcessError> {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = match self.from.read_buf(&mut chunk).await {
            Ok(read) => read,
            Err(error) => return Err(ProcessError::Broken(error.to_string())),
        };
        self.ended = read == 0;
        for byte in chunk {
            if byte == b'\n' {
                self.log(provider, secrets);
            } else if self.line.len() < MAX_LINE {
                self.line.push(byte);
            }
        }
        if self.ended {
            self.log(provider, secrets);
        }
        self.left = self.left.checked_sub(read as u64).ok_or(ProcessError::Output {
            stream: "error output",
            most: self.most,
        })?;
        Ok(())
    }

    fn log(&mut self, provider: &str, secrets: &Secrets) {
        let line = secrets.line(&String::from_utf8_lossy(&self.line));
        self.line.clear();
        if line.is_empty() {
            return;
        }
        match self.logged {
            ..MAX_LOGGED => {
                tracing::info!(provider, line, "an external provider wrote to its error output");
            }
            MAX_LOGGED => {
                tracing::warn!(
                    provider,
                    lines = MAX_LOGGED,
                    "an external provider wrote many lines to its error output; the rest of this run is not logged"
                );
            }
            _ => {}
        }
        self.logged = self.logged.saturating_add(1);
        self.last = Some(line);
    }

    /// The last line that was read.
    pub(crate) fn last(&self) -> Option<String> {
        self.last.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn lines_are_taken_whole_and_in_order_within_a_bound() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut lines = Lines::new(Receiver::from_owned_fd(reader.into()).unwrap(), 20);
        let text = |line: Option<Vec<u8>>| line.map(|line| String::from_utf8(line).unwrap());
        writer.write_all(b"a\n\n  \nbc\nd").unwrap();
        lines.read().await.unwrap();
        assert_eq!(text(lines.take()).as_deref(), Some("a"));
        assert_eq!(text(lines.take()).as_deref(), Some("bc"));
        assert_eq!((lines.take(), lines.rest()), (None, &b"d"[..]));
        writer.write_all(b"e\n").unwrap();
        lines.read().await.unwrap();
        assert_eq!(text(lines.take()).as_deref(), Some("de"));
        assert!(lines.rest().is_empty() && !lines.is_ended());
        writer.write_all(b"123456789").unwrap();
        let most = lines.read().await.unwrap_err();
        assert_eq!(most.reason(), "too-much-output");
    }
}
