use serde::Deserialize;
use serde_json::Value;

/// A payload of NetBox or Nautobot does not have the expected format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at {place}")]
pub struct PayloadError {
    /// Whether it is not JSON at all.
    pub syntax: bool,
    /// The JSON path of the error.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

impl PayloadError {
    pub(crate) fn data(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            syntax: false,
            place: place.into(),
            reason: reason.into(),
        }
    }
}

/// Reads a JSON object; errors have the place.
pub(crate) fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, PayloadError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| PayloadError {
        syntax: error.inner().classify() != serde_json::error::Category::Data,
        place: at(&error.path().to_string()),
        reason: error.inner().to_string(),
    })?;
    deserializer.end().map_err(|error| PayloadError {
        syntax: true,
        place: "$".to_owned(),
        reason: format!("more data after the JSON object: {error}"),
    })?;
    Ok(read)
}

/// Reads a value; errors have the place.
pub(crate) fn of_value<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, PayloadError> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| PayloadError::data(at(&error.path().to_string()), error.inner().to_string()))
}

fn at(path: &str) -> String {
    match path {
        "." => "$".to_owned(),
        path => format!("$.{path}"),
    }
}
