use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a dead letter is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeadLetterState {
    /// Nobody settled it yet.
    Dead,
    /// It is on its way to be worked again.
    Requeued,
    /// It was worked again; how that ended, its inbox row tells.
    Processed,
    /// It was dropped.
    Dropped,
}

impl DeadLetterState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Dead, Self::Requeued, Self::Processed, Self::Dropped];

    /// The state as it is stored and shown.
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
                format!("{text:?} is no state of dead letters; there are {known}")
            })
    }
}

impl fmt::Display for DeadLetterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A dead letter as `GET /v1/dead` shows it. Lane and code are texts, since a newer worker may know more of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterView {
    /// Its number: requeue and drop take it.
    pub number: u64,
    /// Where it is in its life.
    pub state: DeadLetterState,
    /// Where the message came from.
    pub source: String,
    /// Its id there.
    pub id: String,
    /// How often it was requeued before it died this time.
    pub redrive_count: u32,
    /// The lane in which it died.
    pub lane: String,
    /// The type it claims; empty where it could not be read.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it was about.
    pub subject: Option<String>,
    /// Who sent it, as authenticated.
    pub by: Option<String>,
    /// Why it died, for programs.
    pub code: String,
    /// Why it died, for people.
    pub reason: String,
    /// Where in the message the reason is.
    pub place: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was received first.
    pub first_at: Timestamp,
    /// When it died.
    pub died_at: Timestamp,
    /// When it was requeued or dropped.
    pub settled_at: Option<Timestamp>,
    /// By whom.
    pub settled_by: Option<String>,
    /// The length of its body in bytes.
    pub bytes: u64,
}

/// A dead letter as `GET /v1/dead/{number}` shows it: all of it. The body is what the sender put there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterDetail {
    /// All but its bytes.
    #[serde(flatten)]
    pub dead_letter: DeadLetterView,
    /// What stood beside the body.
    pub properties: DeadLetterProperties,
    /// The body, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in base64, where it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// What stood beside the body of a dead letter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterProperties {
    /// The message's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The message's type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The media type of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What an answer refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The reply queue answers should go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// When it was published, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
}

/// One page of dead letters, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterPage {
    /// The dead letters.
    pub dead_letters: Vec<DeadLetterView>,
    /// What to send as `before` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// How many dead letters nobody settled yet, as `GET /v1/dead/counts` shows it: what a command about all of them hits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterCounts {
    /// The newest of them: what is to be sent as `up_to`. Absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<u64>,
    /// How many there are.
    pub total: u64,
    /// How many of which kind, the most first.
    pub groups: Vec<DeadLetterGroup>,
    /// Whether `groups` was cut; `total` counts all.
    pub truncated: bool,
}

/// Dead letters alike in lane, type and code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterGroup {
    /// The lane in which they died.
    pub lane: String,
    /// The type they claim; empty where it could not be read.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why they died.
    pub code: String,
    /// How many they are.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_words_of_states_are_the_same_everywhere() {
        for state in DeadLetterState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        let error = "gone".parse::<DeadLetterState>().unwrap_err();
        assert_eq!(
            error,
            "\"gone\" is no state of dead letters; there are dead, requeued, processed, dropped"
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
