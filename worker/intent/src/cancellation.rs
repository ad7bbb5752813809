use std::cell::Cell;
use std::fmt;

/// How many steps are taken between two questions.
const STEPS: u32 = 64;

/// Tells an examination whether its caller still waits for it. The loops of an examination ask at each step, and end early; their
/// results are incomplete then, and are discarded.
pub struct Cancellation<'a> {
    ask: &'a dyn Fn() -> bool,
    steps: Cell<u32>,
    cancelled: Cell<bool>,
}

/// The caller cancelled the examination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the examination was cancelled")]
pub struct Cancelled;

impl Cancellation<'static> {
    /// The caller waits for the end.
    pub fn never() -> Self {
        Self::new(&|| false)
    }
}

impl<'a> Cancellation<'a> {
    /// `ask` is called now and then. After it returned true once, it is not called again.
    pub fn new(ask: &'a dyn Fn() -> bool) -> Self {
        Self {
            ask,
            steps: Cell::new(0),
            cancelled: Cell::new(false),
        }
    }

    /// Whether to end. To be called at each step of a loop.
    pub(crate) fn is_cancelled(&self) -> bool {
        let steps = self.steps.get();
        if steps.is_multiple_of(STEPS) && !self.cancelled.get() {
            self.cancelled.set((self.ask)());
        }
        self.steps.set(steps.wrapping_add(1));
        self.cancelled.get()
    }

    /// Asks now.
    ///
    /// # Errors
    /// If the caller has cancelled.
    pub fn check(&self) -> Result<(), Cancelled> {
        if !self.cancelled.get() {
            self.cancelled.set((self.ask)());
        }
        if self.cancelled.get() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Cancellation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancellation")
            .field(&self.cancelled.get())
            .finish()
    }
}
