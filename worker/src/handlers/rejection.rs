use lockstep_protocol::{Code, Hostname, Kind};
use lockstep_store::Facts;

/// The longest place, in bytes.
const MAX_PLACE_BYTES: usize = 1024;
/// The longest reason, in bytes: room for many problems of a repository.
const MAX_REASON_BYTES: usize = 64 * 1024;

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
    /// Rejects what is at this place of the message. Longer texts are cut: both are in a result, a row and a line of the log.
    pub fn new(code: Code, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code,
            place: cut(place.into(), MAX_PLACE_BYTES),
            reason: cut(reason.into(), MAX_REASON_BYTES),
        }
    }

    /// The message names a device that does not exist.
    pub fn unknown_device(hostname: &Hostname, facts: &Facts, place: impl Into<String>) -> Self {
        let reason = match facts.spelling_of(hostname) {
            Some(spelling) => {
                format!("no device is named {hostname}; did you mean {spelling}? Upper and lower case differ")
            }
            None => without_device(hostname, facts),
        };
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

/// Why no device has this name, and what to do about it.
fn without_device(hostname: &Hostname, facts: &Facts) -> String {
    let Some(former) = facts.former_hostname(hostname) else {
        return format!(
            "no device is named {hostname}; import it (`lockstep devices import`), then send this again, or requeue its dead \
             letter (`lockstep dead requeue`)"
        );
    };
    let time = former.version.time;
    match &former.current {
        Some(current) => {
            format!("no device is named {hostname}; it was renamed to {current} ({time:.0}): write {current}")
        }
        None => format!(
            "no device is named {hostname}; {} was removed ({time:.0}). If it is back, import it (`lockstep devices import`), then \
             send this again, or requeue its dead letter (`lockstep dead requeue`)",
            former.hostname
        ),
    }
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_rejection_are_bounded() {
        let rejection = Rejection::new(Code::Crashed, "$".repeat(5000), "ä".repeat(1_000_000));
        assert_eq!(rejection.place.len(), MAX_PLACE_BYTES + '…'.len_utf8());
        assert_eq!(rejection.reason.len(), MAX_REASON_BYTES + '…'.len_utf8());
    }
}
