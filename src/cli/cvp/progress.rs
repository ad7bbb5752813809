use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lockstep_cvp::sweep::{Action, SweepEvent};

/// The progress of a sweep, on stderr; only on a terminal.
#[derive(Clone, Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Shows the progress bar.
    pub(super) fn start(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {msg} {bar:30} {pos}/{len} tasks, {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }

    /// Updates the bar, and prints failures and warnings.
    pub(super) fn update(&self, event: &SweepEvent<'_>) {
        match event {
            SweepEvent::Listed(tasks) => self.0.set_length(*tasks),
            SweepEvent::Settled(report) => {
                self.0.inc(1);
                if report.outcome.action() == Action::Failed {
                    let error = report.outcome.answer().unwrap_or_default();
                    self.note(&format!("task {}: {error}", report.task_id));
                }
            }
            SweepEvent::Warning { what, error } => self.note(&format!("warning: {what}: {error}")),
        }
    }

    /// Prints a line above the bar, also if there is no bar.
    fn note(&self, text: &str) {
        self.0.suspend(|| crate::cli::output::note(text));
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
