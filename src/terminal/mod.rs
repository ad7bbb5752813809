//! The only place that writes to terminals: results on stdout, everything else on stderr; and questions. Whatever is printed comes
//! out visible: text of repositories, forges, CloudVision and messages cannot control the terminal, begin a line of its own, or be a
//! command to a CI system, and user information of URLs is masked. Only [`data`] for other programs stays as it is where it does not go to
//! a terminal. A closed pipe is not an error.

mod difference;
mod failure;
mod log;
mod pager;
mod progress;
mod table;
mod visible;

use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use lockstep_protocol::mask_urls;
use rustix::termios::tcgetwinsize;
use serde::Serialize;

pub(crate) use difference::difference;
pub(crate) use failure::Failure;
pub(crate) use log::LogWriter;
pub(crate) use progress::{Bar, Board, Progress};
pub(crate) use table::{fitted, lines as table};
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

/// Prints the result as JSON in one line.
pub(crate) fn json_line(value: &impl Serialize) {
    let text = serde_json::to_string(value).expect("results have string keys and no failing serializers");
    write(stdout(), &format!("{}\n", visible::json(&text)));
}

/// Prints data for other programs as they are; on a terminal, visible.
pub(crate) fn data(text: &str) {
    if stdout().is_terminal() {
        document(text);
    } else {
        write(stdout(), text);
    }
}

/// Prints the lines of a table, whose cells are visible. `pager` is the command that shows a table that is longer than the
/// terminal, empty for the default one; none prints it in any case.
pub(crate) fn lines(lines: &[String], pager: Option<&str>) {
    let mut text = String::new();
    for line in lines {
        text.push_str(&visible::inert(line));
        text.push('\n');
    }
    let is_longer = size().is_some_and(|size| lines.len() >= size.rows);
    match pager.filter(|_| is_longer) {
        Some(pager) if pager::show(&text, pager) => {}
        _ => write(stdout(), &text),
    }
}

/// Prints lines in place of everything that is on the terminal, as many as fit.
pub(crate) fn redraw(lines: &[String]) {
    let rows = size().map_or(usize::MAX, |size| size.rows);
    let mut text = "\x1b[H\x1b[2J".to_owned();
    for line in lines.iter().take(rows.saturating_sub(1)) {
        text.push_str(&visible::inert(line));
        text.push('\n');
    }
    write(stdout(), &text);
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// The size of the terminal that shows results; none if they go elsewhere.
pub(crate) fn size() -> Option<Size> {
    let stdout = stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = tcgetwinsize(&stdout).ok()?;
    // Terminals of some test tools and serial lines do not know their size.
    let known = |size: u16, default: usize| if size == 0 { default } else { size.into() };
    Some(Size {
        columns: known(size.ws_col, 80),
        rows: known(size.ws_row, 24),
    })
}

/// Whether errors are JSON: the choice of the command line, made before anything is printed.
static JSON_ERRORS: AtomicBool = AtomicBool::new(false);

/// Prints errors as JSON from now on.
pub(crate) fn errors_as_json() {
    JSON_ERRORS.store(true, Ordering::Relaxed);
}

/// Prints an error of a command that ends with exit code 1.
pub(crate) fn error(text: &str) {
    failure(&Failure::new("failed", text));
}

/// Prints an error: as text, or as JSON in one line.
pub(crate) fn failure(failure: &Failure) {
    if JSON_ERRORS.load(Ordering::Relaxed) {
        let text = serde_json::to_string(&serde_json::json!({ "error": failure }))
            .expect("an error has string keys and no failing serializers");
        write(stderr(), &format!("{}\n", visible::json(&text)));
        return;
    }
    let text = &failure.message;
    write(stderr(), &format!("{}\n", shown(&format!("lockstep: {text}"))));
    failure.details.iter().for_each(|line| note(line));
    failure.hint.iter().for_each(|line| note(line));
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
