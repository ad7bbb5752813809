use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The lifecycle state of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeadLetterState {
    /// Unsettled: neither requeued nor dropped.
    Dead,
    /// Requeued, and not processed again yet.
    Requeued,
    /// Processed again; `GET /v1/messages` shows the outcome.
    Processed,
    /// Dropped by an operator.
    Dropped,
}

impl DeadLetterState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Dead, Self::Requeued, Self::Processed, Self::Dropped];

    /// The state as it is stored and serialized.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Requeued => "requeued",
            Self::Processed => "processed",
            Self::Dropped => "dropped",
        }
    }
}

impl FromStr for DeadLetterState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                format!("{text:?} is not a state of dead letters; expected one of {known}")
            })
    }
}

impl fmt::Display for DeadLetterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A dead letter in `GET /v1/dead`. Lane and code are strings, since a newer worker may have stored values that this
/// version does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterView {
    /// The number by which requeue and drop select it.
    pub number: u64,
    /// The lifecycle state.
    pub state: DeadLetterState,
    /// The message's source.
    pub source: String,
    /// The message's id, unique within the source.
    pub id: String,
    /// How often the message had been requeued when it was dead-lettered.
    pub redrive_count: u32,
    /// The lane in which the message was dead-lettered.
    pub lane: String,
    /// The message type; empty if it could not be read.
    #[serde(rename = "type")]
    pub kind: String,
    /// The message's subject, usually a hostname.
    pub subject: Option<String>,
    /// The authenticated sender.
    pub by: Option<String>,
    /// The stable code of the reason, for programs.
    pub code: String,
    /// The reason, for people.
    pub reason: String,
    /// The JSON path of the error in the message.
    pub place: Option<String>,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the message was first received.
    pub first_at: Timestamp,
    /// When the message was dead-lettered.
    pub died_at: Timestamp,
    /// When the dead letter was requeued or dropped.
    pub settled_at: Option<Timestamp>,
    /// The authenticated sender of the command that requeued or dropped it.
    pub settled_by: Option<String>,
    /// The length of the body in bytes.
    pub bytes: u64,
}

/// A dead letter with its body in `GET /v1/dead/{number}`. The body is unchanged from what the sender published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterDetail {
    /// The fields that the list shows, too.
    #[serde(flatten)]
    pub dead_letter: DeadLetterView,
    /// The AMQP properties of the message.
    pub properties: DeadLetterProperties,
    /// The body, if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in base64, if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// The AMQP properties of a dead letter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterProperties {
    /// The `message_id` property, normally the id of the envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The `type` property, normally the type of the envelope.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The media type of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The id of the message that this one replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The reply queue for results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The sender's timestamp, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
}

/// One page of dead letters, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterPage {
    /// The dead letters of this page, by descending number.
    pub dead_letters: Vec<DeadLetterView>,
    /// The value of `before` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// The counts of unsettled dead letters in `GET /v1/dead/counts`: what a command that selects all of them would settle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterCounts {
    /// The number of the newest one: the value to send as `up_to`. Absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<u64>,
    /// How many dead letters are unsettled.
    pub total: u64,
    /// The counts by lane, type and code, largest first.
    pub groups: Vec<DeadLetterGroup>,
    /// Whether `groups` was truncated; `total` counts all dead letters.
    pub truncated: bool,
}

/// The number of dead letters with the same lane, type and code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterGroup {
    /// The lane in which they were dead-lettered.
    pub lane: String,
    /// The message type; empty if it could not be read.
    #[serde(rename = "type")]
    pub kind: String,
    /// The stable code of the reason.
    pub code: String,
    /// How many dead letters there are.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn states_are_serialized_parsed_and_displayed_alike() {
        for state in DeadLetterState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        let error = "gone".parse::<DeadLetterState>().unwrap_err();
        assert_eq!(
            error,
            "\"gone\" is not a state of dead letters; expected one of dead, requeued, processed, dropped"
        );
    }

    #[test]
    fn a_detail_is_flat_and_has_one_body() {
        let json = json!({
            "number": 42, "state": "dead", "source": "urn:test", "id": "1", "redrive_count": 0, "lane": "events",
            "type": "lockstep.device.removed", "subject": null, "by": "ops", "code": "unknown-device",
            "reason": "no device is named sw9", "place": "$.data.hostname", "attempts": 1,
            "first_at": "2026-02-03T04:05:06Z", "died_at": "2026-02-03T04:05:07Z", "settled_at": null,
            "settled_by": null, "bytes": 2, "properties": {"type": "lockstep.device.removed"}, "body": "{}",
        });
        let detail: DeadLetterDetail = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(detail.dead_letter.number, 42);
        assert_eq!(serde_json::to_value(detail).unwrap(), json);
    }
}
