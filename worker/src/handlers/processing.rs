use lockstep_protocol::{Message, match_body};
use lockstep_store::{Facts, Keys};

use super::{Decision, HandlerContext, Rejection};
use crate::executions::ExecutionMessage;
use crate::repositories::RepositoryMessage;

/// Decides messages of one kind. It is implemented for the body of the kind; that registers the kind for batched lanes.
pub trait Handler {
    /// Adds what the message asks the store for, besides its inbox row.
    fn keys(&self, keys: &mut Keys);

    /// Decides what the message does.
    ///
    /// # Errors
    /// Why the message can never be processed as it is.
    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection>;
}

/// How the messages of a kind are processed.
#[expect(
    missing_debug_implementations,
    reason = "handlers are bodies seen by their rules"
)]
pub enum Processing<'a> {
    /// In batches, by a handler.
    Batch(&'a dyn Handler),
    /// By the runner of the repositories lane.
    Repositories(RepositoryMessage<'a>),
    /// By the runner of the executions lane.
    Executions(ExecutionMessage<'a>),
    /// By the lanes that run elements of executions: the number of the element.
    Element(u64),
    /// Not by this version.
    NotSupported,
}

/// The registration of a kind, implemented for its body. Bodies with a [`Handler`] have it by that.
#[diagnostic::on_unimplemented(
    message = "no part of the worker is registered for messages with the body `{Self}`",
    note = "implement `Handler` for it in a file of its own in `worker/src/handlers/`, or list it in `run_lane!`; or mark the kind as `(planned)`"
)]
pub trait Processable {
    /// How the message is processed.
    fn processing(&self) -> Processing<'_>;
}

impl<T: Handler> Processable for T {
    fn processing(&self) -> Processing<'_> {
        Processing::Batch(self)
    }
}

/// Registers kinds for the runner of a run lane, by their bodies: `$lane` is a variant of [`Processing`], and `$message` what it has.
macro_rules! run_lane {
    ($lane:ident($message:ident): $($body:ty => $variant:ident,)+) => {
        $(
            impl $crate::handlers::Processable for $body {
                fn processing(&self) -> $crate::handlers::Processing<'_> {
                    $crate::handlers::Processing::$lane($message::$variant(self))
                }
            }
        )+
    };
}
pub(crate) use run_lane;

/// How a message is processed; `None` for a result, which no worker processes.
pub fn processing(message: &Message) -> Option<Processing<'_>> {
    match message {
        Message::Event(event) => Some(match_body!(Event, event, body => Processable::processing(body))),
        Message::Command(command) => {
            Some(match_body!(Command, command, body => Processable::processing(body)))
        }
        Message::Internal(internal) => {
            Some(match_body!(Internal, internal, body => Processable::processing(body)))
        }
        Message::Result(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lockstep_protocol::topology::Lane;
    use lockstep_protocol::{Envelope, Kind};

    use super::*;

    #[test]
    fn the_lane_of_a_kind_is_one_that_processes_it_unless_the_kind_is_planned() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/golden");
        for kind in Kind::ALL {
            let bytes = std::fs::read(golden.join(format!("{kind}.json"))).unwrap();
            let message = Envelope::decode(&bytes).unwrap().envelope.message;
            let fits = match (processing(&message), kind.lane()) {
                (Some(Processing::Batch(_)), lane) => matches!(lane, Some(Lane::Events | Lane::Commands)),
                (Some(Processing::Repositories(_)), lane) => lane == Some(Lane::Repositories),
                (Some(Processing::Executions(_)), lane) => lane == Some(Lane::Executions),
                (Some(Processing::Element(_)), lane) => matches!(lane, Some(Lane::Devices | Lane::Cvp)),
                (Some(Processing::NotSupported), lane) => lane.is_some(),
                (None, lane) => lane.is_none(),
            };
            assert!(fits, "{kind}");
            let is_processed = matches!(
                processing(&message),
                Some(
                    Processing::Batch(_)
                        | Processing::Repositories(_)
                        | Processing::Executions(_)
                        | Processing::Element(_)
                )
            );
            let is_message = kind.lane().is_some();
            assert_eq!(is_processed, is_message && !kind.is_planned(), "{kind}");
        }
    }
}
