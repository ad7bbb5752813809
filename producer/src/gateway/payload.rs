//! Reading payloads: JSON as forges send it, of which only what is needed is looked at.

use lockstep_protocol::Code;
use serde::de::DeserializeOwned;

use super::rejection::WebhookRejection;

/// Reads a payload, or says where it does not fit.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, WebhookRejection> {
    let broken = |reason: &str| WebhookRejection::payload(Code::InvalidJson, "$", reason);
    let text = std::str::from_utf8(body)
        .map_err(|error| broken(&format!("is not UTF-8 from byte {} on", error.valid_up_to())))?;
    // An object and nothing else: serde would read a list of the values as well.
    match text.trim_start_matches([' ', '\t', '\r', '\n']).chars().next() {
        Some('{') => {}
        Some(_) => return Err(broken("is no JSON object")),
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
        .map_err(|error| broken(&format!("something follows the JSON object: {error}")))?;
    Ok(payload)
}
