//! A result with its JSON, which is encoded once: the inbox row and every publication of the result have the same bytes.

use std::ops::Deref;

use serde_json::Value;

use crate::kind::DataError;
use crate::{Kind, Message, WorkResult};

/// The result of a message, and its JSON: the `data` of its envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedResult {
    result: WorkResult,
    json: String,
}

/// Why a text is not the JSON of a result.
#[derive(Debug, thiserror::Error)]
pub enum NotAResult {
    /// It is not JSON.
    #[error("it is not JSON")]
    Json(#[from] serde_json::Error),
    /// It does not fit its type.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Its type is not that of a result.
    #[error("{0} is not the type of a result")]
    Kind(Kind),
}

impl EncodedResult {
    /// Encodes a result.
    pub fn new(result: WorkResult) -> Self {
        let json = encode(&result);
        Self { result, json }
    }

    /// Reads a result that was encoded, and keeps its text as it is, also what this version does not know.
    ///
    /// # Errors
    /// The text is not a result of this type.
    pub fn read(kind: Kind, json: String) -> Result<Self, NotAResult> {
        let data: Value = serde_json::from_str(&json)?;
        match Message::from_data(kind, &data)? {
            Message::Result(result) => Ok(Self { result, json }),
            Message::Event(_) | Message::Command(_) | Message::Internal(_) => Err(NotAResult::Kind(kind)),
        }
    }

    /// The JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The result, without its JSON.
    pub fn into_result(self) -> WorkResult {
        self.result
    }
}

fn encode(result: &WorkResult) -> String {
    serde_json::to_string(result).expect("bodies of results have string keys and no failing serializers")
}

impl From<WorkResult> for EncodedResult {
    fn from(result: WorkResult) -> Self {
        Self::new(result)
    }
}

impl Deref for EncodedResult {
    type Target = WorkResult;

    fn deref(&self) -> &WorkResult {
        &self.result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;
    use crate::results::MessageRejected;

    fn encoded() -> EncodedResult {
        EncodedResult::new(WorkResult::MessageRejected(MessageRejected {
            code: Code::Crashed,
            reason: "a \"reason\"".to_owned(),
            place: None,
            message_type: None,
            refused: false,
        }))
    }

    #[test]
    fn what_was_encoded_is_read_with_the_same_bytes() {
        let encoded = encoded();
        let read = EncodedResult::read(encoded.kind(), encoded.json().to_owned());
        assert_eq!(read.unwrap(), encoded);
    }

    #[test]
    fn what_another_version_wrote_keeps_its_bytes() {
        let encoded = encoded();
        let newer = encoded.json().replace('}', r#", "newer": 7 }"#);
        let read = EncodedResult::read(encoded.kind(), newer.clone()).unwrap();
        assert_eq!((read.json(), &*read), (&*newer, &*encoded));
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let table = [
            (Kind::MessageRejected, "{", "it is not JSON"),
            (Kind::MessageRejected, "{}", "missing field `code`"),
            (
                Kind::DeviceMarkRequested,
                r#"{"hostname": "sw1"}"#,
                "is not the type of a result",
            ),
        ];
        for (kind, json, expected) in table {
            let error = EncodedResult::read(kind, json.to_owned())
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
