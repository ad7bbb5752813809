//! The dead letters that a batch writes, and those that its commands settle.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::{Code, Identity};

use super::{Facts, Origin};
use crate::{DeadLetterSelector, DeadLetterState, NewDeadLetter, SettleDeadLetters};

/// The dead letters that were read, with the changes of the batch so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DeadLetterFacts {
    states: BTreeMap<u64, DeadLetterState>,
    matching: BTreeMap<DeadLetterSelector, Vec<u64>>,
    /// Those that cannot be requeued.
    final_codes: BTreeMap<u64, Code>,
    new: Vec<NewDeadLetter>,
    settled: Vec<SettledDeadLetters>,
}

/// Dead letters that a command requeued or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledDeadLetters {
    /// Whether they were requeued or dropped.
    pub action: DeadLetterAction,
    /// Their numbers, ascending.
    pub numbers: Vec<u64>,
    /// The identity of the command.
    pub request: Identity,
    /// The authenticated sender of the command.
    pub by: Option<String>,
    /// When the command was applied.
    pub at: Timestamp,
}

impl DeadLetterFacts {
    pub(super) fn settle(&mut self, dead_letters: SettleDeadLetters, from: &Origin<'_>) {
        let state = match dead_letters.action {
            DeadLetterAction::Requeued => DeadLetterState::Requeued,
            DeadLetterAction::Dropped => DeadLetterState::Dropped,
        };
        for number in &dead_letters.numbers {
            self.states.insert(*number, state);
        }
        if !dead_letters.numbers.is_empty() {
            self.settled.push(SettledDeadLetters {
                action: dead_letters.action,
                numbers: dead_letters.numbers,
                request: from.identity.clone(),
                by: from.actor.map(str::to_owned),
                at: from.at,
            });
        }
    }
}

impl Facts {
    /// Adds a dead letter that exists.
    pub fn add_dead_letter(&mut self, number: u64, state: DeadLetterState) {
        self.dead_letters.states.insert(number, state);
    }

    /// Adds the code of a dead letter that cannot be requeued.
    pub fn add_final_dead_letter(&mut self, number: u64, code: Code) {
        self.dead_letters.final_codes.insert(number, code);
    }

    /// The code of a dead letter if it cannot be requeued.
    pub fn final_code(&self, number: u64) -> Option<Code> {
        self.dead_letters.final_codes.get(&number).copied()
    }

    /// Adds the dead letters that match a selection, ascending. They were unsettled when the batch began.
    pub fn add_matching_dead_letters(&mut self, selector: DeadLetterSelector, numbers: Vec<u64>) {
        for number in &numbers {
            self.add_dead_letter(*number, DeadLetterState::Dead);
        }
        self.dead_letters.matching.insert(selector, numbers);
    }

    /// The state of a dead letter, with the changes of the batch so far. `None` if there is none with this number.
    pub fn dead_letter(&self, number: u64) -> Option<DeadLetterState> {
        self.dead_letters.states.get(&number).copied()
    }

    /// The unsettled dead letters that match, ascending.
    pub fn matching(&self, selector: &DeadLetterSelector) -> impl Iterator<Item = u64> {
        let numbers = self.dead_letters.matching.get(selector).into_iter().flatten();
        numbers
            .copied()
            .filter(|number| self.dead_letter(*number) == Some(DeadLetterState::Dead))
    }

    /// Adds a dead letter to be written. If the store has it already, the stored one stays unchanged.
    pub fn write_dead_letter(&mut self, dead_letter: NewDeadLetter) {
        self.dead_letters.new.push(dead_letter);
    }

    /// Dead letters to be written.
    pub fn new_dead_letters(&self) -> &[NewDeadLetter] {
        &self.dead_letters.new
    }

    /// Dead letters to be marked as requeued or dropped.
    pub fn settled_dead_letters(&self) -> &[SettledDeadLetters] {
        &self.dead_letters.settled
    }

    /// Whether the batch writes to the table of dead letters.
    pub(crate) fn change_dead_letters(&self) -> bool {
        let dead_letters = &self.dead_letters;
        !(dead_letters.new.is_empty()
            && dead_letters.settled.is_empty()
            && self.finished_follow_ups().is_empty()
            && self.postponed_follow_ups().is_empty())
    }
}
