use lockstep_protocol::{Code, Hostname};

/// Why a message can never be done as it is: it goes to the dead letters, and its sender is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} at {place}: {reason}")]
pub struct Rejection {
    /// Why, for programs.
    pub code: Code,
    /// Where in the message, as a JSON path.
    pub place: String,
    /// Why, for people, and what to do.
    pub reason: String,
}

impl Rejection {
    /// A rejection with its place.
    pub fn new(code: Code, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code,
            place: place.into(),
            reason: reason.into(),
        }
    }

    /// The message names a device that is not there.
    pub fn unknown_device(hostname: &Hostname, place: impl Into<String>) -> Self {
        let reason = format!(
            "no device is named {hostname}; import it (`lockstep devices import`), then requeue this (`lockstep dead requeue`)"
        );
        Self::new(Code::UnknownDevice, place, reason)
    }
}
