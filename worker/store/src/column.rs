//! Converts column values to Rust values and back. A value that this program does not write is [`StoreError::Corrupt`].

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::{CauseDetail, Digest, EncodedResult, Identity, Kind, SmolStr, WorkResult};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{DeadLetterState, HistoryChange, InboxState, MessageProperties, StoreError, Version};

/// PostgreSQL cannot store U+0000 in texts. U+FFFD replaces it in what is stored about a message; otherwise a message with it
/// could not be dead-lettered.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn corrupt(what: &str, reason: impl Display) -> StoreError {
    StoreError::Corrupt {
        what: what.to_owned(),
        reason: reason.to_string(),
    }
}

/// A text with a syntax, such as a hostname.
pub(super) fn name<T>(what: &str, text: String) -> Result<T, StoreError>
where
    T: TryFrom<String>,
    T::Error: Display,
{
    T::try_from(text).map_err(|error| corrupt(what, error))
}

/// A text with a syntax; `None` for a null.
pub(super) fn optional_name<T>(what: &str, text: Option<String>) -> Result<Option<T>, StoreError>
where
    T: TryFrom<String>,
    T::Error: Display,
{
    text.map(|text| name(what, text)).transpose()
}

/// A value that is parsed from its text, such as a state or a time.
pub(super) fn word<T>(what: &str, text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| corrupt(what, error))
}

/// A count or a number that is never negative.
pub(super) fn number<T>(what: &str, number: i64) -> Result<T, StoreError>
where
    T: TryFrom<i64>,
    T::Error: Display,
{
    T::try_from(number).map_err(|error| corrupt(what, format!("{number}: {error}")))
}

/// A word, or nothing.
pub(super) fn optional_word<T>(what: &str, text: Option<String>) -> Result<Option<T>, StoreError>
where
    T: FromStr,
    T::Err: Display,
{
    text.map(|text| word(what, &text)).transpose()
}

/// A value that is stored as JSON.
pub(super) fn json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(what, error))
}

pub(super) fn identity(source: String, id: String) -> Result<Identity, StoreError> {
    Ok(Identity {
        source: name("inbox.source", source)?,
        id: name("inbox.id", id)?,
    })
}

/// The column of an actor that is part of a key, and therefore not null: an empty text for none.
pub(super) fn key_actor(actor: Option<&str>) -> &str {
    actor.unwrap_or_default()
}

pub(super) fn read_key_actor(actor: &str) -> Option<SmolStr> {
    (!actor.is_empty()).then(|| actor.into())
}

/// A count, which is never negative.
pub(super) fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

pub(super) fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    let bytes = bytes.try_into().map_err(|error| corrupt("inbox.digest", error))?;
    Ok(Digest::from_bytes(bytes))
}

pub(super) const fn inbox_state(state: InboxState) -> &'static str {
    match state {
        InboxState::Applied => "applied",
        // Its result says that it was refused.
        InboxState::Dead | InboxState::Refused => "dead",
    }
}

pub(super) fn read_inbox_state(text: &str, result: &WorkResult) -> Result<InboxState, StoreError> {
    match (text, result) {
        ("applied", _) => Ok(InboxState::Applied),
        ("dead", WorkResult::MessageRejected(rejected)) if rejected.refused => Ok(InboxState::Refused),
        ("dead", _) => Ok(InboxState::Dead),
        (other, _) => Err(corrupt("inbox.state", format!("unknown state {other:?}"))),
    }
}

pub(super) fn redrive_count(redrive_count: u32) -> i32 {
    i32::try_from(redrive_count).unwrap_or(i32::MAX)
}

pub(super) fn read_redrive_count(what: &str, redrive_count: i32) -> Result<u32, StoreError> {
    u32::try_from(redrive_count).map_err(|error| corrupt(what, error))
}

pub(super) fn dead_letter_properties(properties: &MessageProperties) -> String {
    serde_json::to_string(properties).expect("a struct of texts has no failing serializers")
}

pub(super) const fn dead_letter_state(action: DeadLetterAction) -> &'static str {
    match action {
        DeadLetterAction::Requeued => DeadLetterState::Requeued.as_str(),
        DeadLetterAction::Dropped => DeadLetterState::Dropped.as_str(),
    }
}

/// What a message says about a cause; an empty text for nothing, so that most rows have no null more.
pub(super) fn cause_detail(detail: Option<&CauseDetail>) -> String {
    detail.map_or_else(String::new, |detail| {
        serde_json::to_string(detail).expect("a struct of texts and numbers has no failing serializers")
    })
}

pub(super) fn read_cause_detail(text: &str) -> Result<Option<Arc<CauseDetail>>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(json("cause.detail", text)?)))
}

/// What changed, as JSON; null for nothing.
pub(super) fn history_change(change: &HistoryChange) -> Option<String> {
    let change = (*change != HistoryChange::default()).then_some(change)?;
    Some(serde_json::to_string(change).expect("a struct of texts has no failing serializers"))
}

pub(super) fn read_history_change(text: Option<String>) -> Result<HistoryChange, StoreError> {
    text.map_or_else(
        || Ok(HistoryChange::default()),
        |text| json("device_history.detail", &text),
    )
}

pub(super) fn read_result(kind: &str, json: String) -> Result<EncodedResult, StoreError> {
    let kind: Kind = word("inbox.result_type", kind)?;
    EncodedResult::read(kind, json).map_err(|error| corrupt("inbox.result", error))
}

/// The time of a version as text, because no column type holds nanoseconds.
pub(super) fn version_time(version: &Version) -> String {
    version.time.to_string()
}

pub(super) fn read_version(time: Option<String>, id: Option<String>) -> Result<Option<Version>, StoreError> {
    let (Some(time), Some(id)) = (time, id) else {
        return Ok(None);
    };
    Ok(Some(Version {
        time: word("device.version_time", &time)?,
        id: name("device.version_id", id)?,
    }))
}

/// What the inventory says about a device.
pub(super) fn data(data: &Map<String, Value>) -> String {
    Value::Object(data.clone()).to_string()
}

pub(super) fn read_data(text: &str) -> Result<Map<String, Value>, StoreError> {
    json("device.data", text)
}

/// A time in microseconds since 1970, rounded down. The store keeps all times so, except those of versions.
pub(super) fn microseconds(time: Timestamp) -> i64 {
    time.as_nanosecond()
        .div_euclid(1000)
        .try_into()
        .expect("the years of jiff fit in 63 bits of microseconds")
}

pub(super) fn read_microseconds(what: &str, microseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds).map_err(|error| corrupt(what, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_down_to_the_microsecond_before_and_after_1970() {
        for (time, expected) in [
            ("1970-01-01T00:00:00.000001999Z", 1),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("9999-12-30T22:00:00Z", 253_402_207_200_000_000),
        ] {
            assert_eq!(microseconds(time.parse().unwrap()), expected, "{time}");
        }
        assert_eq!(
            microseconds(Timestamp::MAX) / 1_000_000,
            Timestamp::MAX.as_second()
        );
        assert_eq!(
            read_microseconds("at", microseconds(Timestamp::MIN)).unwrap(),
            Timestamp::MIN
        );
    }

    #[test]
    fn a_value_that_this_program_does_not_write_is_corrupt() {
        let result = read_result(
            "lockstep.message.rejected",
            r#"{"code": "crashed", "reason": ""}"#.to_owned(),
        )
        .unwrap();
        assert!(matches!(
            read_inbox_state("APPLIED", &result),
            Err(StoreError::Corrupt { .. })
        ));
        assert!(matches!(digest(&[0; 31]), Err(StoreError::Corrupt { .. })));
        let negative: Result<u32, _> = number("dead_letter.redrive_count", -1);
        assert!(matches!(negative, Err(StoreError::Corrupt { .. })));
        let event = read_result("lockstep.device.removed", r#"{"hostname": "sw1"}"#.to_owned());
        assert!(matches!(event, Err(StoreError::Corrupt { .. })));
    }
}
