use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{DeadLetterState, MessageProperties};

/// A dead letter in the answer of `GET /v1/dead`. Lane and code are texts, since a newer worker may know more of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterView {
    /// The number that requeue and drop take.
    pub number: u64,
    /// Whether it was requeued or dropped, or neither.
    pub state: DeadLetterState,
    /// The `source` of the message.
    pub source: String,
    /// The `id` of the message, unique within its source.
    pub id: String,
    /// How often the message was requeued before this dead letter was written.
    pub redrive_count: u32,
    /// The lane that dead-lettered the message.
    pub lane: String,
    /// The type, as the sender wrote it; empty where it could not be read.
    #[serde(rename = "type")]
    pub kind: String,
    /// The subject of the message, such as a hostname.
    pub subject: Option<String>,
    /// The authenticated sender.
    pub by: Option<String>,
    /// Why the message was dead-lettered: a stable code.
    pub code: String,
    /// The same for people.
    pub reason: String,
    /// The place in the message that is wrong, as a JSON path.
    pub place: Option<String>,
    /// How often the message was tried.
    pub attempts: u32,
    /// When the message was received first.
    pub first_at: Timestamp,
    /// When the message was dead-lettered.
    pub dead_lettered_at: Timestamp,
    /// When it was requeued or dropped; null before.
    pub settled_at: Option<Timestamp>,
    /// The authenticated operator who requeued or dropped it; null before.
    pub settled_by: Option<String>,
    /// The length of the body in bytes.
    pub bytes: u64,
}

/// The answer of `GET /v1/dead/{number}`. The body is untrusted: it has whatever the sender wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterDetail {
    /// The same as in lists.
    #[serde(flatten)]
    pub dead_letter: DeadLetterView,
    /// The AMQP properties of the message.
    pub properties: MessageProperties,
    /// The body, if it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in base64, if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// The answer of `GET /v1/dead`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterPage {
    /// One page of dead letters, newest first.
    pub dead_letters: Vec<DeadLetterView>,
    /// The value of `before` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// How many dead letters match, on all pages; only if the request has `total=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// The answer of `GET /v1/dead/counts`: the unsettled dead letters, which a command for all of them selects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterCounts {
    /// The number of the newest one: the value of `up_to` for such a command. Absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<u64>,
    /// The number of unsettled dead letters, also of those in no listed group.
    pub total: u64,
    /// The same by lane, type and code; the largest group first.
    pub groups: Vec<DeadLetterGroup>,
    /// Whether `groups` does not list every group.
    pub truncated: bool,
}

/// The number of unsettled dead letters with the same lane, type and code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterGroup {
    /// The lane that dead-lettered the messages.
    pub lane: String,
    /// The type, as the senders wrote it; empty where it could not be read.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why they were dead-lettered: a stable code.
    pub code: String,
    /// The number of dead letters.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_detail_is_flat_and_has_one_body() {
        let json = json!({
            "number": 42, "state": "dead", "source": "urn:test", "id": "1", "redrive_count": 0, "lane": "events",
            "type": "lockstep.device.removed", "subject": null, "by": "ops", "code": "unknown-device",
            "reason": "no device is named sw9", "place": "$.data.hostname", "attempts": 1,
            "first_at": "2026-02-03T04:05:06Z", "dead_lettered_at": "2026-02-03T04:05:07Z", "settled_at": null,
            "settled_by": null, "bytes": 2, "properties": {"type": "lockstep.device.removed"}, "body": "{}",
        });
        let detail: DeadLetterDetail = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(detail.dead_letter.number, 42);
        assert_eq!(serde_json::to_value(detail).unwrap(), json);
    }
}
