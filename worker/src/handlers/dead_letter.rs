//! `lockstep.dead-letter.requeue-requested` and `lockstep.dead-letter.drop-requested`: an operator requeues or drops dead
//! letters. The first decision counts: a dead letter that was requeued or dropped before is left as it is.

use lockstep_protocol::Code;
use lockstep_protocol::commands::{
    DeadLetterDropRequested, DeadLetterRequeueRequested, DeadLetterSelection, MAX_DEAD_LETTERS,
};
use lockstep_protocol::results::{DeadLetterAction, DeadLettersSettled, MAX_DEVICES};

use super::{Decision, DraftResult, Handler, HandlerContext, Rejection};
use lockstep_store::{DeadLetterSelector, DeadLetterState, Effects, Facts, Keys, SettleDeadLetters};

impl Handler for DeadLetterRequeueRequested {
    fn keys(&self, keys: &mut Keys) {
        let selector = selector(
            DeadLetterAction::Requeued,
            self.dead_letter,
            self.matching.as_ref(),
        );
        // An invalid selection asks for nothing, and is rejected when the message is decided.
        keys.dead_letters.extend(selector.ok());
    }

    fn decide(&self, _: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        decide(
            DeadLetterAction::Requeued,
            self.dead_letter,
            self.matching.as_ref(),
            facts,
        )
    }
}

impl Handler for DeadLetterDropRequested {
    fn keys(&self, keys: &mut Keys) {
        let selector = selector(
            DeadLetterAction::Dropped,
            self.dead_letter,
            self.matching.as_ref(),
        );
        // An invalid selection asks for nothing, and is rejected when the message is decided.
        keys.dead_letters.extend(selector.ok());
    }

    fn decide(&self, _: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        decide(
            DeadLetterAction::Dropped,
            self.dead_letter,
            self.matching.as_ref(),
            facts,
        )
    }
}

fn decide(
    action: DeadLetterAction,
    dead_letter: Option<u64>,
    matching: Option<&DeadLetterSelection>,
    facts: &Facts,
) -> Result<Decision, Rejection> {
    let mut numbers: Vec<u64> = Vec::new();
    let (mut unchanged, mut more) = (0, false);
    let selector = selector(action, dead_letter, matching)?;
    match &selector {
        DeadLetterSelector::One(number) => match facts.dead_letter(*number) {
            None => return Err(unknown(*number)),
            Some(DeadLetterState::Dead) => match facts.final_code(*number) {
                Some(code) if action == DeadLetterAction::Requeued => {
                    return Err(not_requeueable(*number, code));
                }
                Some(_) | None => numbers.push(*number),
            },
            Some(DeadLetterState::Requeued | DeadLetterState::Processed | DeadLetterState::Dropped) => {
                unchanged = 1;
            }
        },
        DeadLetterSelector::Matching(_) | DeadLetterSelector::Requeueable(_) => {
            let most = MAX_DEAD_LETTERS as usize;
            numbers.extend(facts.matching(&selector).take(most + 1));
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
            dead_letters: Some(SettleDeadLetters { action, numbers }),
            ..Effects::default()
        },
        result: DraftResult::DeadLettersSettled(settled),
    })
}

fn selector(
    action: DeadLetterAction,
    dead_letter: Option<u64>,
    matching: Option<&DeadLetterSelection>,
) -> Result<DeadLetterSelector, Rejection> {
    match (dead_letter, matching) {
        (Some(number), None) => Ok(DeadLetterSelector::One(number)),
        (None, Some(selection)) => Ok(match action {
            DeadLetterAction::Requeued => DeadLetterSelector::Requeueable(selection.clone()),
            DeadLetterAction::Dropped => DeadLetterSelector::Matching(selection.clone()),
        }),
        (None, None) | (Some(_), Some(_)) => Err(Rejection::new(
            Code::InvalidData,
            "$.data",
            "give exactly one of dead_letter and matching",
        )),
    }
}

fn unknown(number: u64) -> Rejection {
    let reason = format!(
        "dead letter {number} does not exist; it may have been settled and deleted long ago; list those that exist with: lockstep dead list"
    );
    Rejection::new(Code::UnknownDeadLetter, "$.data.dead_letter", reason)
}

fn not_requeueable(number: u64, code: Code) -> Rejection {
    let why = match code {
        Code::NotAllowed => "its sender was not allowed to publish it; let a sender that is allowed send it",
        _ => "its body is too large, and only the beginning is kept; let its sender send it in parts",
    };
    let reason = format!(
        "dead letter {number} cannot be requeued: {why}, then drop it (`lockstep dead drop {number}`)"
    );
    Rejection::new(Code::InvalidData, "$.data.dead_letter", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(decision: &Decision) -> &DeadLettersSettled {
        match &decision.result {
            DraftResult::DeadLettersSettled(settled) => settled,
            DraftResult::EventApplied(draft) => panic!("{draft:?}"),
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
    fn an_unsettled_dead_letter_is_settled() {
        for action in [DeadLetterAction::Requeued, DeadLetterAction::Dropped] {
            let mut facts = Facts::default();
            facts.add_dead_letter(7, DeadLetterState::Dead);
            let decision = decide(action, Some(7), None, &facts).unwrap();
            let expected = SettleDeadLetters {
                action,
                numbers: vec![7],
            };
            assert_eq!(decision.effects.dead_letters, Some(expected));
            let result = settled(&decision);
            assert_eq!(
                (result.settled, result.unchanged, &result.dead_letters[..]),
                (1, 0, &[7][..])
            );
        }
    }

    #[test]
    fn a_dead_letter_with_a_final_code_is_dropped_and_not_requeued() {
        for code in Code::FINAL {
            let mut facts = Facts::default();
            facts.add_dead_letter(7, DeadLetterState::Dead);
            facts.add_final_dead_letter(7, code);
            let rejection = decide(DeadLetterAction::Requeued, Some(7), None, &facts).unwrap_err();
            assert_eq!(
                (rejection.code, rejection.place.as_str()),
                (Code::InvalidData, "$.data.dead_letter")
            );
            let dropped = decide(DeadLetterAction::Dropped, Some(7), None, &facts).unwrap();
            assert_eq!(settled(&dropped).settled, 1);
        }
    }

    #[test]
    fn a_settled_dead_letter_stays_as_it_is() {
        for state in [
            DeadLetterState::Requeued,
            DeadLetterState::Processed,
            DeadLetterState::Dropped,
        ] {
            let mut facts = Facts::default();
            facts.add_dead_letter(7, state);
            let decision = decide(DeadLetterAction::Requeued, Some(7), None, &facts).unwrap();
            assert_eq!(
                decision
                    .effects
                    .dead_letters
                    .as_ref()
                    .map(|dead_letters| dead_letters.numbers.len()),
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
    fn an_unknown_number_or_an_ambiguous_selection_is_rejected_with_its_place() {
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
    fn a_command_settles_a_bounded_number_and_reports_whether_more_match() {
        let most = u64::from(MAX_DEAD_LETTERS);
        let mut facts = Facts::default();
        let selector = DeadLetterSelector::Requeueable(up_to(most + 5));
        facts.add_matching_dead_letters(selector, (1..=most + 1).collect());
        // Another command of the batch was first with this one.
        facts.add_dead_letter(3, DeadLetterState::Dropped);
        let decision = decide(DeadLetterAction::Requeued, None, Some(&up_to(most + 5)), &facts).unwrap();
        let result = settled(&decision);
        assert_eq!(
            (result.settled, result.more, result.truncated),
            (most, false, true)
        );
        facts.add_dead_letter(3, DeadLetterState::Dead);
        let decision = decide(DeadLetterAction::Requeued, None, Some(&up_to(most + 5)), &facts).unwrap();
        assert_eq!(
            (settled(&decision).settled, settled(&decision).more),
            (most, true)
        );
    }
}
