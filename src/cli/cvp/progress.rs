use lockstep_cvp::sweep::{Action, SweepEvent};

use crate::cli::output;

/// The progress of a sweep, on stderr; only on a terminal.
#[derive(Clone, Debug)]
pub(super) struct Progress(output::Bar);

impl Progress {
    /// Shows the progress bar.
    pub(super) fn start(what: &'static str) -> Self {
        Self(output::Bar::start(what, "tasks"))
    }

    /// Updates the bar, and prints failures and warnings.
    pub(super) fn update(&self, event: &SweepEvent<'_>) {
        match event {
            SweepEvent::Listed(tasks) => self.0.set_length(*tasks),
            SweepEvent::Settled(report) => {
                self.0.advance();
                if report.outcome.action() == Action::Failed {
                    let error = report.outcome.answer().unwrap_or_default();
                    self.0.note(&format!("task {}: {error}", report.task_id));
                }
            }
            SweepEvent::Warning { what, error } => self.0.note(&format!("warning: {what}: {error}")),
        }
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        self.0.end();
    }
}
