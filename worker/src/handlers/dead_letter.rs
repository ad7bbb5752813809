//! `lockstep.dead-letter.requeue-requested` and `lockstep.dead-letter.drop-requested`: what somebody decided about messages
//! that could not be worked. Who was first counts: a dead letter that was requeued or dropped stays so.

use lockstep_protocol::Code;
use lockstep_protocol::commands::{DeadLetterSelection, MAX_DEAD_LETTERS};
use lockstep_protocol::results::{DeadLetterAction, DeadLettersSettled, MAX_DEVICES};

use super::decision::{Answer, Decision};
use super::rejection::Rejection;
use crate::store::{Effects, Facts, Keys, LetterState, Letters, SettleLetters};

pub(super) fn keys(dead_letter: Option<u64>, matching: Option<&DeadLetterSelection>) -> Keys {
    let letters = which(dead_letter, matching).ok();
    Keys {
        letters: letters.into_iter().collect(),
        ..Keys::default()
    }
}

pub(super) fn decide(
    action: DeadLetterAction,
    dead_letter: Option<u64>,
    matching: Option<&DeadLetterSelection>,
    facts: &Facts,
) -> Result<Decision, Rejection> {
    let mut numbers: Vec<u64> = Vec::new();
    let (mut unchanged, mut more) = (0, false);
    match which(dead_letter, matching)? {
        Letters::One(number) => match facts.letter(number) {
            None => return Err(unknown(number)),
            Some(LetterState::Dead) => numbers.push(number),
            Some(LetterState::Requeued | LetterState::Worked | LetterState::Dropped) => unchanged = 1,
        },
        Letters::Matching(selection) => {
            let most = MAX_DEAD_LETTERS as usize;
            numbers.extend(facts.matching(&selection).take(most + 1));
            more = numbers.len() > most;
            numbers.truncate(most);
        }
    }
    let settled = DeadLettersSettled {
        action,
        settled: numbers.len() as u64,
        truncated: numbers.len() > MAX_DEVICES,
        dead_letters: numbers.iter().copied().take(MAX_DEVICES).collect(),
        unchanged,
        more,
    };
    Ok(Decision {
        effects: Effects {
            letters: Some(SettleLetters { action, numbers }),
            ..Effects::default()
        },
        answer: Answer::DeadLetters(settled),
    })
}

fn which(dead_letter: Option<u64>, matching: Option<&DeadLetterSelection>) -> Result<Letters, Rejection> {
    match (dead_letter, matching) {
        (Some(number), None) => Ok(Letters::One(number)),
        (None, Some(selection)) => Ok(Letters::Matching(selection.clone())),
        (None, None) | (Some(_), Some(_)) => Err(Rejection::new(
            Code::InvalidData,
            "$.data",
            "exactly one of dead_letter and matching must be given",
        )),
    }
}

fn unknown(number: u64) -> Rejection {
    let reason = format!(
        "there is no dead letter {number}; it may have been settled long ago, see what there is with: lockstep dead list"
    );
    Rejection::new(Code::UnknownDeadLetter, "$.data.dead_letter", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(decision: &Decision) -> &DeadLettersSettled {
        match &decision.answer {
            Answer::DeadLetters(settled) => settled,
            Answer::Flags(verdict) => panic!("{verdict:?}"),
        }
    }

    fn up_to(number: u64) -> DeadLetterSelection {
        DeadLetterSelection {
            up_to: number,
            code: None,
            lane: None,
            message_type: None,
        }
    }

    #[test]
    fn one_that_nobody_settled_is_settled() {
        for action in [DeadLetterAction::Requeued, DeadLetterAction::Dropped] {
            let mut facts = Facts::default();
            facts.know_letter(7, LetterState::Dead);
            let decision = decide(action, Some(7), None, &facts).unwrap();
            let expected = SettleLetters {
                action,
                numbers: vec![7],
            };
            assert_eq!(decision.effects.letters, Some(expected));
            let told = settled(&decision);
            assert_eq!(
                (told.settled, told.unchanged, &told.dead_letters[..]),
                (1, 0, &[7][..])
            );
        }
    }

    #[test]
    fn one_that_was_settled_stays_as_it_is() {
        for state in [LetterState::Requeued, LetterState::Worked, LetterState::Dropped] {
            let mut facts = Facts::default();
            facts.know_letter(7, state);
            let decision = decide(DeadLetterAction::Requeued, Some(7), None, &facts).unwrap();
            assert_eq!(
                decision
                    .effects
                    .letters
                    .as_ref()
                    .map(|letters| letters.numbers.len()),
                Some(0)
            );
            assert_eq!(
                (settled(&decision).settled, settled(&decision).unchanged),
                (0, 1),
                "{state:?}"
            );
        }
    }

    #[test]
    fn what_is_not_there_or_not_said_is_rejected_with_its_place() {
        let facts = Facts::default();
        let selection = up_to(9);
        let table = [
            (Some(7), None, Code::UnknownDeadLetter, "$.data.dead_letter"),
            (None, None, Code::InvalidData, "$.data"),
            (Some(7), Some(&selection), Code::InvalidData, "$.data"),
        ];
        for (number, matching, code, place) in table {
            let rejection = decide(DeadLetterAction::Dropped, number, matching, &facts).unwrap_err();
            assert_eq!((rejection.code, rejection.place.as_str()), (code, place));
        }
    }

    #[test]
    fn no_more_than_a_command_settles_and_it_says_so() {
        let most = u64::from(MAX_DEAD_LETTERS);
        let mut facts = Facts::default();
        facts.know_matching(up_to(most + 5), (1..=most + 1).collect());
        // Another command of the batch was first with this one.
        facts.know_letter(3, LetterState::Dropped);
        let decision = decide(DeadLetterAction::Requeued, None, Some(&up_to(most + 5)), &facts).unwrap();
        let told = settled(&decision);
        assert_eq!((told.settled, told.more, told.truncated), (most, false, true));
        facts.know_letter(3, LetterState::Dead);
        let decision = decide(DeadLetterAction::Requeued, None, Some(&up_to(most + 5)), &facts).unwrap();
        assert_eq!(
            (settled(&decision).settled, settled(&decision).more),
            (most, true)
        );
    }
}
