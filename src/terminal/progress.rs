use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{shown, stderr, write};

/// Progress in one line that each update overwrites; only on a terminal.
pub(crate) struct Progress(bool);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(stderr().is_terminal())
    }

    pub(crate) fn show(&self, text: &str) {
        if self.0 {
            write(stderr(), &format!("\r\x1b[K{}", shown(text)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}

/// A progress bar on stderr; only on a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Shows a bar. `unit` names what it counts.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that writes to terminals"
    )]
    pub(crate) fn start(what: &'static str, unit: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style = format!("{{spinner}} {{msg}} {{bar:30}} {{pos}}/{{len}} {unit}, {{elapsed}}");
        let style = ProgressStyle::with_template(&style);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }

    /// Sets how much there is to do.
    pub(crate) fn set_length(&self, length: u64) {
        self.0.set_length(length);
    }

    /// Counts one as done.
    pub(crate) fn advance(&self) {
        self.0.inc(1);
    }

    /// Prints a note above the bar, also if there is no bar.
    pub(crate) fn note(&self, text: &str) {
        self.0.suspend(|| super::note(text));
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// A progress bar with lines below it, on stderr.
#[derive(Debug)]
pub(crate) struct Board(ProgressBar);

impl Board {
    /// Shows a board; none if stderr is no terminal.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that writes to terminals"
    )]
    pub(crate) fn start() -> Option<Self> {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if bar.is_hidden() {
            return None;
        }
        let style = ProgressStyle::with_template("{spinner} {bar:30} {pos}/{len}, {elapsed}\n{msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Some(Self(bar))
    }

    /// Sets the bar, and the lines below it, whose text is visible and fits the terminal.
    pub(crate) fn show(&self, done: u64, of: u64, lines: &[String]) {
        self.0.set_length(of);
        self.0.set_position(done);
        self.0.set_message(lines.join("\n"));
    }

    /// Prints a note above the board.
    pub(crate) fn note(&self, text: &str) {
        self.0.suspend(|| super::note(text));
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
