//! Dead letters: those a batch makes, and those its commands are about.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_protocol::Identity;
use lockstep_protocol::commands::DeadLetterSelection;
use lockstep_protocol::results::DeadLetterAction;

use super::{Facts, Origin};
use crate::{DeadLetterState, NewDeadLetter, SettleDeadLetters};

/// What is known of dead letters, and what the batch did to them so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DeadLetterFacts {
    known: BTreeMap<u64, DeadLetterState>,
    matching: BTreeMap<DeadLetterSelection, Vec<u64>>,
    new: Vec<NewDeadLetter>,
    settled: Vec<SettledDeadLetters>,
}

/// Dead letters that a command requeued or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledDeadLetters {
    /// Whether they were requeued or dropped.
    pub action: DeadLetterAction,
    /// Which, in order.
    pub numbers: Vec<u64>,
    /// The command.
    pub request: Identity,
    /// Who sent it, as authenticated.
    pub by: Option<String>,
    /// When it was applied.
    pub at: Timestamp,
}

impl DeadLetterFacts {
    pub(super) fn settle(&mut self, dead_letters: SettleDeadLetters, from: &Origin<'_>) {
        let state = match dead_letters.action {
            DeadLetterAction::Requeued => DeadLetterState::Requeued,
            DeadLetterAction::Dropped => DeadLetterState::Dropped,
        };
        for number in &dead_letters.numbers {
            self.known.insert(*number, state);
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
    /// Adds a dead letter that is there.
    pub fn know_dead_letter(&mut self, number: u64, state: DeadLetterState) {
        self.dead_letters.known.insert(number, state);
    }

    /// Adds which dead letters match, in order: nobody had settled them when the batch began.
    pub fn know_matching(&mut self, selection: DeadLetterSelection, numbers: Vec<u64>) {
        for number in &numbers {
            self.know_dead_letter(*number, DeadLetterState::Dead);
        }
        self.dead_letters.matching.insert(selection, numbers);
    }

    /// Where a dead letter is in its life, after what the batch did so far; `None` if there is none of that number.
    pub fn dead_letter(&self, number: u64) -> Option<DeadLetterState> {
        self.dead_letters.known.get(&number).copied()
    }

    /// The dead letters that match and that nobody settled yet, in order.
    pub fn matching(&self, selection: &DeadLetterSelection) -> impl Iterator<Item = u64> {
        let numbers = self.dead_letters.matching.get(selection).into_iter().flatten();
        numbers
            .copied()
            .filter(|number| self.dead_letter(*number) == Some(DeadLetterState::Dead))
    }

    /// Adds a dead letter to be written; one that is there already stays as it is.
    pub fn file(&mut self, dead_letter: NewDeadLetter) {
        self.dead_letters.new.push(dead_letter);
    }

    /// Dead letters to be written.
    pub fn new_dead_letters(&self) -> &[NewDeadLetter] {
        &self.dead_letters.new
    }

    /// Dead letters that are requeued or dropped.
    pub fn settled_dead_letters(&self) -> &[SettledDeadLetters] {
        &self.dead_letters.settled
    }

    /// Whether rows of dead letters are written.
    pub(crate) fn change_dead_letters(&self) -> bool {
        let dead_letters = &self.dead_letters;
        !(dead_letters.new.is_empty()
            && dead_letters.settled.is_empty()
            && self.finished_follow_ups().is_empty()
            && self.postponed_follow_ups().is_empty())
    }
}
