//! Parses the JSON payloads of forges.

use lockstep_protocol::Code;
use serde::de::DeserializeOwned;

use super::rejection::WebhookRejection;

/// Parses a payload; errors contain the place. Unknown fields are ignored.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, WebhookRejection> {
    let broken = |reason: &str| WebhookRejection::payload(Code::InvalidJson, "$", reason);
    let text = std::str::from_utf8(body)
        .map_err(|error| broken(&format!("is not valid UTF-8 at byte {}", error.valid_up_to())))?;
    // Only an object is accepted: serde would also read a list of the values.
    match text.trim_start_matches([' ', '\t', '\r', '\n']).chars().next() {
        Some('{') => {}
        Some(_) => return Err(broken("is not a JSON object")),
        None => return Err(broken("the body is empty")),
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let payload = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let place = match path.as_str() {
            "." => "$".to_owned(),
            path => format!("$.{path}"),
        };
        let code = match error.inner().classify() {
            serde_json::error::Category::Data => Code::InvalidData,
            _ => Code::InvalidJson,
        };
        WebhookRejection::payload(code, place, &error.inner().to_string())
    })?;
    deserializer
        .end()
        .map_err(|error| broken(&format!("has more data after the JSON object: {error}")))?;
    Ok(payload)
}
