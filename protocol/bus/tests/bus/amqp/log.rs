//! Counts log events of the code under test on this thread, for behaviour that is visible only in the log.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// Counts the events with one message until it is dropped.
pub(crate) struct LogCounter {
    count: Arc<AtomicUsize>,
    _guard: DefaultGuard,
}

impl LogCounter {
    pub(crate) fn listen(message: &'static str) -> Self {
        let count = Arc::default();
        let listener = Listener {
            message,
            count: Arc::clone(&count),
        };
        Self {
            count,
            _guard: tracing::subscriber::set_default(listener),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

struct Listener {
    message: &'static str,
    count: Arc<AtomicUsize>,
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Matching(self));
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Matching<'a>(&'a Listener);

impl Visit for Matching<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" && format!("{value:?}") == self.0.message {
            self.0.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
