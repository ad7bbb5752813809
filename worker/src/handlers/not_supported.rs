//! Kinds that are planned: the protocol has them, and this version does not process them.

use lockstep_protocol::{Code, Kind, planned_bodies};

use super::Rejection;

/// Registers planned kinds, by their bodies.
macro_rules! not_supported {
    ($(planned $body:ty,)*) => {
        $(
            impl $crate::handlers::Processable for $body {
                fn processing(&self) -> $crate::handlers::Processing<'_> {
                    $crate::handlers::Processing::NotSupported
                }
            }
        )*
    };
}

planned_bodies!(Event, not_supported);
planned_bodies!(Command, not_supported);
planned_bodies!(Internal, not_supported);

/// A message of such a kind is dead-lettered. The reason promises no version that processes it: nobody here knows of one.
pub(super) fn rejection(kind: Kind) -> Rejection {
    let reason = format!(
        "{kind} is planned, and this version of Lockstep does not process it; the message is kept as a dead letter, which \
         `lockstep dead drop` discards"
    );
    Rejection::new(Code::NotSupported, "$.type", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_the_type_and_advises_no_upgrade() {
        for kind in Kind::ALL.iter().filter(|kind| kind.is_planned()) {
            let reason = rejection(*kind).reason;
            assert!(
                reason.contains(kind.as_str()) && reason.contains("dead drop"),
                "{reason}"
            );
            // A type has the word, too.
            let advice = reason.replace(kind.as_str(), "");
            assert!(
                !advice.contains("upgrade") && !advice.contains("requeue"),
                "{reason}"
            );
        }
    }
}
