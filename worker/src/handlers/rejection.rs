use lockstep_protocol::{Code, Hostname, Kind};

/// Why a message can never be processed as it is. The message is dead-lettered, and its sender gets the rejection as a
/// result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} at {place}: {reason}")]
pub struct Rejection {
    /// The reason, for programs.
    pub code: Code,
    /// The JSON path of what is wrong, such as `$.data.hostname`; for a repository's content, a file with line and column.
    pub place: String,
    /// The reason, for people, and what to do about it.
    pub reason: String,
}

impl Rejection {
    /// Rejects what is at this place of the message.
    pub fn new(code: Code, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code,
            place: place.into(),
            reason: reason.into(),
        }
    }

    /// The message names a device that does not exist.
    pub fn unknown_device(hostname: &Hostname, place: impl Into<String>) -> Self {
        let reason = format!(
            "no device is named {hostname}; import it (`lockstep devices import`), then requeue this (`lockstep dead requeue`)"
        );
        Self::new(Code::UnknownDevice, place, reason)
    }

    /// The message reached a lane that does not process its kind; no lane processes results.
    pub fn wrong_lane(kind: Kind) -> Self {
        let reason = match (kind.ingress(), kind.lane()) {
            (Some(lane), _) => {
                format!(
                    "the {lane} lane processes {kind}; publish it to lockstep.events, which routes it there"
                )
            }
            (None, Some(lane)) => {
                format!("the {lane} lane processes {kind}, and a worker published it to another")
            }
            (None, None) => format!("{kind} is a result; workers process events and commands"),
        };
        Self::new(Code::UnexpectedType, "$.type", reason)
    }
}
