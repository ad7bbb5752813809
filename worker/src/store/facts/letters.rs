//! Dead letters: those a batch makes, and those its commands are about.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_protocol::Identity;
use lockstep_protocol::commands::DeadLetterSelection;
use lockstep_protocol::results::DeadLetterAction;

use super::{Facts, Originator};
use crate::store::{DeadLetter, LetterState, SettleLetters};

/// What is known of dead letters, and what the batch did to them so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LetterFacts {
    known: BTreeMap<u64, LetterState>,
    matching: BTreeMap<DeadLetterSelection, Vec<u64>>,
    new: Vec<DeadLetter>,
    worked: Vec<u64>,
    settled: Vec<SettledLetters>,
}

/// Dead letters that a command requeued or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledLetters {
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

impl LetterFacts {
    pub(super) fn worked(&mut self, number: u64) {
        self.worked.push(number);
    }

    pub(super) fn settle(&mut self, letters: SettleLetters, from: &Originator<'_>) {
        let state = match letters.action {
            DeadLetterAction::Requeued => LetterState::Requeued,
            DeadLetterAction::Dropped => LetterState::Dropped,
        };
        for number in &letters.numbers {
            self.known.insert(*number, state);
        }
        if !letters.numbers.is_empty() {
            self.settled.push(SettledLetters {
                action: letters.action,
                numbers: letters.numbers,
                request: from.identity.clone(),
                by: from.actor.map(str::to_owned),
                at: from.at,
            });
        }
    }
}

impl Facts {
    /// Adds a dead letter that is there.
    pub fn know_letter(&mut self, number: u64, state: LetterState) {
        self.letters.known.insert(number, state);
    }

    /// Adds which dead letters match, in order: nobody had settled them when the batch began.
    pub fn know_matching(&mut self, selection: DeadLetterSelection, numbers: Vec<u64>) {
        for number in &numbers {
            self.know_letter(*number, LetterState::Dead);
        }
        self.letters.matching.insert(selection, numbers);
    }

    /// Where a dead letter is in its life, after what the batch did so far; `None` if there is none of that number.
    pub fn letter(&self, number: u64) -> Option<LetterState> {
        self.letters.known.get(&number).copied()
    }

    /// The dead letters that match and that nobody settled yet, in order.
    pub fn matching(&self, selection: &DeadLetterSelection) -> impl Iterator<Item = u64> {
        let numbers = self.letters.matching.get(selection).into_iter().flatten();
        numbers
            .copied()
            .filter(|number| self.letter(*number) == Some(LetterState::Dead))
    }

    /// Adds a dead letter to be written; one that is there already stays as it is.
    pub fn file(&mut self, letter: DeadLetter) {
        self.letters.new.push(letter);
    }

    /// Dead letters to be written.
    pub fn new_letters(&self) -> &[DeadLetter] {
        &self.letters.new
    }

    /// Dead letters that were requeued and are worked now.
    pub fn worked_letters(&self) -> &[u64] {
        &self.letters.worked
    }

    /// Dead letters that are requeued or dropped.
    pub fn settled_letters(&self) -> &[SettledLetters] {
        &self.letters.settled
    }
}
