use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lockstep_cvp::sweep::{Action, SweepEvent};

/// How far a sweep has come, on stderr, and only on a terminal.
#[derive(Clone, Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Begins to show it.
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

    /// Something happened.
    pub(super) fn tell(&self, event: &SweepEvent<'_>) {
        match event {
            SweepEvent::Listed(tasks) => self.0.set_length(*tasks),
            SweepEvent::Settled(report) => {
                self.0.inc(1);
                if report.outcome.action() == Action::Failed {
                    let error = report.outcome.answer().unwrap_or_default();
                    self.say(&format!("task {}: {error}", report.task_id));
                }
            }
            SweepEvent::Warning { what, error } => self.say(&format!("warning: {what}: {error}")),
        }
    }

    /// Says something above the bar, also where there is none.
    fn say(&self, text: &str) {
        self.0.suspend(|| crate::cli::output::note(text));
    }

    /// Takes it away.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
