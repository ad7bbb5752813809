//! What commands print: results to stdout, everything else to stderr. A reader that went away is no error.

use std::io::{ErrorKind, IsTerminal, Write};

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

fn write(mut to: impl Write, text: &str) {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Ok(()) => {}
        // `lockstep devices list | head`: nobody reads on.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        // There is no place left to say so.
        Err(_) => {}
    }
}
