//! The output of commands: results on stdout, everything else on stderr; and questions on the terminal. A closed pipe is not an
//! error.

use std::io::{BufRead, ErrorKind, IsTerminal, Write};

use anyhow::Context;
use serde::Serialize;

/// Prints a line of the result.
pub(super) fn line(text: &str) {
    write(std::io::stdout().lock(), &format!("{text}\n"));
}

/// Prints the result as JSON.
pub(super) fn json(value: &impl Serialize) {
    let text =
        serde_json::to_string_pretty(value).expect("results have string keys and no failing serializers");
    line(&text);
}

/// Prints an error.
pub(super) fn error(text: &str) {
    write(std::io::stderr().lock(), &format!("lockstep: {text}\n"));
}

/// Prints a note or a warning: anything that is not a result.
pub(super) fn note(text: &str) {
    write(std::io::stderr().lock(), &format!("{text}\n"));
}

/// Text from outside in one line, with control characters escaped, so that it cannot control the terminal.
pub(super) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// Progress in one line that each update overwrites; only on a terminal.
pub(super) struct Progress(bool);

impl Progress {
    pub(super) fn new() -> Self {
        Self(std::io::stderr().is_terminal())
    }

    pub(super) fn show(&self, text: &str) {
        if self.0 {
            write(std::io::stderr().lock(), &format!("\r\x1b[K{text}"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}

/// Whether a question can be asked.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether the next line of input is a yes. A thread reads it, so that Ctrl-C ends the process without waiting for a line.
///
/// # Errors
/// If the line cannot be read.
pub(super) async fn confirmed() -> anyhow::Result<bool> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).map(|_| line);
        let _ = sender.send(read);
    });
    let line = receiver
        .await
        .context("got no answer")?
        .context("cannot read the answer")?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn write(mut to: impl Write, text: &str) {
    let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    // `lockstep devices list | head` closes the pipe. Other errors of stderr cannot be printed anywhere.
    if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        for (text, expected) in [
            ("Zürich \u{2713}", "Zürich \u{2713}"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\u{1b}]0;x\u{7}\u{9b}1m", "\\u{1b}]0;x\\u{7}\\u{9b}1m"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }
}
