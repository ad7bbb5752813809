//! The only place that writes to terminals: results on stdout, everything else on stderr; and questions. Whatever is printed comes
//! out visible: text of repositories, forges, CloudVision and messages cannot control the terminal, begin a line of its own, or be a
//! command to a CI system, and user information of URLs is masked. A closed pipe is not an error.

mod log;
mod progress;
mod table;
mod visible;

use std::io::{BufRead, ErrorKind, IsTerminal, Write};

use anyhow::Context;
use lockstep_protocol::mask_urls;
use serde::Serialize;

pub(crate) use log::LogWriter;
pub(crate) use progress::{Bar, Progress};
pub(crate) use table::lines as table;
pub(crate) use visible::visible;

/// Prints a line of the result.
pub(crate) fn line(text: &str) {
    write(stdout(), &format!("{}\n", shown(text)));
}

/// Prints a text that has lines of its own, such as a file, and is not cut. It must not contain URLs with secrets.
pub(crate) fn document(text: &str) {
    let mut whole = String::with_capacity(text.len() + 1);
    for line in text.lines() {
        // Tabs indent; they cannot do harm inside of a document.
        let parts = line.split('\t').map(|part| visible::field(part, usize::MAX));
        whole.push_str(&visible::inert(&parts.collect::<Vec<_>>().join("\t")));
        whole.push('\n');
    }
    write(stdout(), &whole);
}

/// Prints the result as JSON. Values stay what they are: characters that a terminal would obey are escaped as JSON allows it.
pub(crate) fn json(value: &impl Serialize) {
    let text =
        serde_json::to_string_pretty(value).expect("results have string keys and no failing serializers");
    write(stdout(), &format!("{}\n", visible::json(&text)));
}

/// Prints an error.
pub(crate) fn error(text: &str) {
    write(stderr(), &format!("{}\n", shown(&format!("lockstep: {text}"))));
}

/// Prints a note or a warning: anything that is not a result.
pub(crate) fn note(text: &str) {
    write(stderr(), &format!("{}\n", shown(text)));
}

/// Prints panics as everything else, since their messages may contain text from outside.
pub(crate) fn print_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let place = panic
            .location()
            .map(|place| format!(" at {place}"))
            .unwrap_or_default();
        note(&format!(
            "thread {name:?} panicked{place}: {}",
            panic.payload_as_str().unwrap_or("no message")
        ));
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            backtrace.to_string().lines().for_each(note);
        }
    }));
}

/// Whether a question can be asked.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && stderr().is_terminal()
}

/// Whether the next line of input is a yes. A thread reads it, so that Ctrl-C ends the process without waiting for a line.
///
/// # Errors
/// If the line cannot be read.
pub(crate) async fn confirmed() -> anyhow::Result<bool> {
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

/// A text as one line that can be printed anywhere.
pub(crate) fn shown(text: &str) -> String {
    visible::inert(&visible(&mask_urls(text))).into_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only place that writes to terminals"
)]
fn stdout() -> std::io::Stdout {
    std::io::stdout()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only place that writes to terminals"
)]
fn stderr() -> std::io::Stderr {
    std::io::stderr()
}

fn write(mut to: impl Write, text: &str) {
    let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    // `lockstep devices list | head` closes the pipe. Other errors of stderr cannot be printed anywhere.
    if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}
