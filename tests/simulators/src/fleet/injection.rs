use std::time::Duration;

use super::configuration::Pattern;

/// What happens when a device gets a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device answers that it could not run the command, for this reason.
    Refused(String),
    /// The connection is closed without an answer.
    Lost,
    /// The connection is closed without an answer, and so is each further one, until the device gets another behaviour.
    Unreachable,
    /// The request is never answered.
    Hangs,
    /// The device takes this much longer.
    Delayed(Duration),
    /// The device restarts, and the connection is closed without an answer.
    Restarts,
    /// Somebody executes these configuration commands on the device.
    Configured(Vec<String>),
}

/// Whether something happens before a command is executed, or afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The command is not executed, if the fault ends the request.
    Before,
    /// The command is executed.
    After,
}

/// A fault of a device at commands of one kind.
#[derive(Clone, Debug)]
pub struct Injection {
    command: Pattern,
    when: When,
    fault: Fault,
    /// Commands that pass before the first fault.
    skipped: usize,
    /// Faults that are left; `None`: all.
    times: Option<usize>,
}

impl Injection {
    /// A fault before each command with these words, where `*` is any one word, and `**` at the end any words or none. Clients confirm a
    /// commit by `configure session * commit`.
    pub fn before(command: &str, fault: Fault) -> Self {
        Self::new(command, When::Before, fault)
    }

    /// A fault after the command was executed. See [`before`](Self::before).
    pub fn after(command: &str, fault: Fault) -> Self {
        Self::new(command, When::After, fault)
    }

    fn new(command: &str, when: When, fault: Fault) -> Self {
        Self {
            command: Pattern::new(command),
            when,
            fault,
            skipped: 0,
            times: None,
        }
    }

    /// It happens at most so many times.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// So many commands pass before.
    #[must_use]
    pub fn skipping(self, skipped: usize) -> Self {
        Self { skipped, ..self }
    }

    /// The fault, if there is one at this command.
    fn meet(&mut self, command: &str, when: When) -> Option<Fault> {
        if self.when != when || self.times == Some(0) || !self.command.is_match(command) {
            return None;
        }
        if self.skipped > 0 {
            self.skipped -= 1;
            return None;
        }
        self.times = self.times.map(|times| times - 1);
        Some(self.fault.clone())
    }
}

/// The fault at a command: that of the first injection that has one.
pub(crate) fn meet(injections: &mut [Injection], command: &str, when: When) -> Option<Fault> {
    injections
        .iter_mut()
        .find_map(|injection| injection.meet(command, when))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_it_was_injected() {
        let mut injections = [Injection::before("commit timer *", Fault::Lost)
            .skipping(1)
            .times(2)];
        let mut at = |when| meet(&mut injections, "commit timer 00:01:00", when).is_some();
        assert!(!at(When::After), "another moment");
        let met: Vec<bool> = (0..5).map(|_| at(When::Before)).collect();
        assert_eq!(met, [false, true, true, false, false]);
    }
}
