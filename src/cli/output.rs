//! What commands print: results to stdout, everything else to stderr. A reader that went away is no error.

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

/// Says what went wrong.
pub(super) fn complain(text: &str) {
    write(std::io::stderr().lock(), &format!("lockstep: {text}\n"));
}

/// Says something that is no result.
pub(super) fn note(text: &str) {
    write(std::io::stderr().lock(), &format!("{text}\n"));
}

/// A text that somebody else wrote, in one line, without what a terminal would obey.
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

/// How far something has come, in one line that is written over; only on a terminal.
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

/// Whether there is somebody to ask.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether the next line says yes. Read by a thread of its own, which nobody waits for at the end: Ctrl-C is an answer,
/// too.
pub(super) async fn confirmed() -> anyhow::Result<bool> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).map(|_| line);
        let _ = tell.send(read);
    });
    let line = told
        .await
        .context("nobody answered")?
        .context("cannot read the answer")?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn write(mut to: impl Write, text: &str) {
    let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    // `lockstep devices list | head`: nobody reads on. Of other errors there is no place left to speak.
    if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelt_out() {
        for (text, expected) in [
            ("Zürich \u{2713}", "Zürich \u{2713}"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\u{1b}]0;x\u{7}\u{9b}1m", "\\u{1b}]0;x\\u{7}\\u{9b}1m"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }
}
