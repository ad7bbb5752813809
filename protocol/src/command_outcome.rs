//! What the audit says about the result of a command. Pure.

use crate::results::{CommandApplied, DeadLetterAction, ExecutionAccepted};
use crate::{Code, WorkResult};

/// What became of a command, in one line, without values that may be secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandOutcome {
    /// What was done, or why not; `None` if the result says no more than that it was done.
    pub detail: Option<String>,
    /// Why it is rejected; `None` if it is applied.
    pub code: Option<Code>,
}

impl CommandOutcome {
    /// The outcome that a result tells.
    pub fn of(result: &WorkResult) -> Self {
        let done = |detail: String| Self {
            detail: Some(detail),
            code: None,
        };
        match result {
            WorkResult::CommandApplied(CommandApplied { message, .. }) => done(message.clone()),
            WorkResult::ExecutionAccepted(ExecutionAccepted {
                execution, elements, ..
            }) => done(format!("execution {execution}, elements: {elements}")),
            WorkResult::DeadLettersSettled(settled) => {
                let what = match settled.action {
                    DeadLetterAction::Requeued => "requeued",
                    DeadLetterAction::Dropped => "dropped",
                };
                done(format!("{what}: {}", settled.settled))
            }
            WorkResult::MessageRejected(rejected) => Self {
                detail: Some(if quotes_values(rejected.code) {
                    rejected.place.clone().unwrap_or_else(|| "$".to_owned())
                } else {
                    rejected.reason.clone()
                }),
                code: Some(rejected.code),
            },
            _ => Self::default(),
        }
    }
}

/// Whether the reason of a rejection may repeat a value of the message: then only its place is told.
const fn quotes_values(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidJson | Code::InvalidEnvelope | Code::InvalidData | Code::InvalidArguments
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{DeadLettersSettled, MessageRejected};

    fn rejected(code: Code) -> WorkResult {
        WorkResult::MessageRejected(MessageRejected {
            code,
            reason: "\"s3cret\" is not a number".to_owned(),
            place: Some("$.data.arguments.password".to_owned()),
            message_type: None,
            refused: true,
        })
    }

    #[test]
    fn an_outcome_says_what_was_done_or_why_not_without_values_of_the_message() {
        let applied = WorkResult::CommandApplied(CommandApplied {
            changed: true,
            message: "executions go on".to_owned(),
            number: None,
            execution: None,
        });
        let dropped = WorkResult::DeadLettersSettled(DeadLettersSettled {
            action: DeadLetterAction::Dropped,
            settled: 2,
            dead_letters: vec![3, 4],
            truncated: false,
            unchanged: 0,
            more: false,
        });
        let accepted = WorkResult::ExecutionAccepted(ExecutionAccepted {
            execution: uuid::Uuid::nil(),
            elements: 7,
            dry_run: true,
            actor: None,
        });
        for (result, detail, code) in [
            (applied, "executions go on", None),
            (dropped, "dropped: 2", None),
            (
                accepted,
                "execution 00000000-0000-0000-0000-000000000000, elements: 7",
                None,
            ),
            (
                rejected(Code::UnknownTask),
                "\"s3cret\" is not a number",
                Some(Code::UnknownTask),
            ),
            (
                rejected(Code::InvalidArguments),
                "$.data.arguments.password",
                Some(Code::InvalidArguments),
            ),
        ] {
            let found = CommandOutcome::of(&result);
            assert_eq!((found.detail.as_deref(), found.code), (Some(detail), code));
        }
    }
}
