//! The limits on texts and lists, enforced while a message is decoded. The JSON Schemas contain each limit that a schema
//! can express. Lengths of texts count characters (Unicode scalar values), as JSON Schema does.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::json::Text;

/// The most characters of a name, a label and every other single-line text.
pub const MAX_LABEL: usize = 255;
/// The most characters of a note, which may have several lines.
pub const MAX_NOTE: usize = 1000;
/// The most characters of a path inside a repository.
pub const MAX_PATH: usize = 4096;
/// The most paths of one `lockstep.repository.changed`. A sender with more paths leaves the field out instead of
/// truncating it.
pub const MAX_PATHS: usize = 10_000;
/// The most interfaces of one `lockstep.interface.updated`, and the most neighbours of one `lockstep.device.provisioned`.
pub const MAX_INTERFACES: usize = 4096;
/// The most devices of one inventory chunk.
pub const MAX_CHUNK_DEVICES: usize = 1000;
/// The most groups of one inventory chunk, and the most groups of one device in it.
pub const MAX_CHUNK_GROUPS: usize = 1000;
/// The most interfaces of one inventory chunk.
pub const MAX_CHUNK_INTERFACES: usize = 10_000;
/// The most clients of one inventory chunk.
pub const MAX_CHUNK_CLIENTS: usize = 10_000;
/// The most links of one inventory chunk.
pub const MAX_CHUNK_LINKS: usize = 1000;
/// The most management domains of one inventory chunk.
pub const MAX_CHUNK_DOMAINS: usize = 1000;
/// The most bytes of an object with members of any name, as compact JSON: what an inventory says about a device beside its attributes, a
/// schema of a task.
pub const MAX_OBJECT: usize = 64 * 1024;
/// The largest number of an object that another system numbers: programs with 64-bit floating-point numbers read it exactly.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;
/// The most entity ids, and the most names of entities, in one `lockstep.task.requested`.
pub const MAX_ENTITIES: usize = 100_000;
/// The most characters in the name of an entity: a hostname and the name of an interface.
pub const MAX_ENTITY_NAME: usize = 512;
/// The most pre-tasks, and the most post-tasks, of a task.
pub const MAX_TASKS: usize = 20;
/// The most devices, and the most tasks, that a sweep of CloudVision may be limited to.
pub const MAX_CVP_NAMES: usize = 1000;

/// Whether a text is 1 to 255 characters without control characters.
pub(crate) fn is_label(text: &str) -> bool {
    check_label(text).is_ok()
}

pub(crate) fn check_label(text: &str) -> Result<(), String> {
    check_line(text, MAX_LABEL)
}

/// Whether a text is 1 to `most` characters without control characters.
pub(crate) fn check_line(text: &str, most: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    check_length(text, most)?;
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("contains the control character {c:?}")),
        None => Ok(()),
    }
}

fn check_note(text: &str) -> Result<(), String> {
    check_length(text, MAX_NOTE)?;
    let refused = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    match text.chars().find(refused) {
        Some(c) => Err(format!("contains the control character {c:?}")),
        None => Ok(()),
    }
}

fn check_length(text: &str, most: usize) -> Result<(), String> {
    // A text never has more characters than bytes, and the byte length needs no counting.
    if text.len() <= most {
        return Ok(());
    }
    match text.chars().count() {
        length if length > most => Err(format!("has {length} characters; the maximum is {most}")),
        _ => Ok(()),
    }
}

/// Reads a single-line text: 1 to 255 characters without control characters.
pub(crate) fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    check_label(&text).map_err(D::Error::custom)?;
    Ok(text)
}

/// Reads a single-line text; absent and `null` are `None`.
pub(crate) fn optional_label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.as_deref()
        .map_or(Ok(()), check_label)
        .map_err(D::Error::custom)?;
    Ok(text)
}

/// Reads a text of at most 1,000 characters that may have several lines; absent and `null` are `None`.
pub(crate) fn optional_note<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.as_deref()
        .map_or(Ok(()), check_note)
        .map_err(D::Error::custom)?;
    Ok(text)
}

/// Reads the number of an object of another system.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        number if number <= MAX_NUMBER => Ok(number),
        number => Err(D::Error::custom(format!(
            "is {number}; the maximum is {MAX_NUMBER}"
        ))),
    }
}

/// Reads the number of an object of another system; absent and `null` are `None`.
pub(crate) fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Option::<u64>::deserialize(deserializer)? {
        Some(number) if number > MAX_NUMBER => Err(D::Error::custom(format!(
            "is {number}; the maximum is {MAX_NUMBER}"
        ))),
        number => Ok(number),
    }
}

/// Reads a VLAN, 1 to 4,094; absent and `null` are `None`.
pub(crate) fn optional_vlan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    match Option::<u16>::deserialize(deserializer)? {
        Some(vlan) if !(1..=4094).contains(&vlan) => {
            Err(D::Error::custom(format!("is {vlan}; a VLAN is 1 to 4094")))
        }
        vlan => Ok(vlan),
    }
}

/// Reads an object of at most 65,536 bytes; absent and `null` are `None`.
pub(crate) fn optional_object<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    let object = Option::<Map<String, Value>>::deserialize(deserializer)?;
    let bytes = match &object {
        None => 0,
        Some(object) => serde_json::to_vec(object).map_err(D::Error::custom)?.len(),
    };
    if bytes > MAX_OBJECT {
        return Err(D::Error::custom(format!(
            "has {bytes} bytes; the maximum is {MAX_OBJECT}"
        )));
    }
    Ok(object)
}

/// Reads an RFC 3339 timestamp; absent and `null` are `None`.
pub(crate) fn optional_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let Some(Text(text)) = Option::<Text<'_>>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let refuse = |error: &dyn fmt::Display| {
        D::Error::custom(format!(
            "is not an RFC 3339 timestamp such as 2026-03-01T12:00:00Z: {error}"
        ))
    };
    if !is_rfc3339(&text) {
        return Err(refuse(
            &"expected a date, `T`, a time with seconds, and `Z` or an offset",
        ));
    }
    match text.parse() {
        Ok(time) => Ok(Some(time)),
        Err(error) => Err(refuse(&error)),
    }
}

/// Whether a text has the form of RFC 3339 with at most nine fractional digits. Checked here because jiff accepts other
/// forms too.
fn is_rfc3339(text: &str) -> bool {
    const FORM: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let fits = |byte: &u8, form: &u8| match form {
        b'd' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't'),
        other => byte == other,
    };
    let Some((date_time, rest)) = text.as_bytes().split_at_checked(FORM.len()) else {
        return false;
    };
    if !date_time.iter().zip(FORM).all(|(byte, form)| fits(byte, form)) {
        return false;
    }
    let offset = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&digits) {
                return false;
            }
            &fraction[digits..]
        }
        None => rest,
    };
    match offset {
        b"Z" | b"z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Reads a UUID in the hyphenated form of 36 characters; other forms that the `uuid` crate accepts are rejected.
pub(crate) fn uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let text = String::deserialize(deserializer)?;
    let usual_length = text.len() == 36;
    match Uuid::try_parse(&text) {
        Ok(id) if usual_length => Ok(id),
        _ => Err(D::Error::custom(
            "is not a UUID such as 0197a5d2-7c1f-7d3e-8a4b-5c6d7e8f9012",
        )),
    }
}

/// Reads a list whose length is within these bounds.
pub(crate) fn list<'de, D, T>(deserializer: D, length: RangeInclusive<usize>) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(List { length, key: None })
}

/// Reads a list whose length is within these bounds; absent and `null` are `None`.
pub(crate) fn optional_list<'de, D, T>(
    deserializer: D,
    length: RangeInclusive<usize>,
) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_option(OptionalList(List { length, key: None }))
}

struct OptionalList<T>(List<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OptionalList<T> {
    type Value = Option<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self.0).map(Some)
    }
}

/// Reads a list of at most `most` entries with distinct keys.
pub(crate) fn unique<'de, D, T>(
    deserializer: D,
    most: usize,
    key: fn(&T) -> String,
) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(List {
        length: 0..=most,
        key: Some(key),
    })
}

struct List<T> {
    length: RangeInclusive<usize>,
    key: Option<fn(&T) -> String>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
        let most = *self.length.end();
        let mut list = Vec::with_capacity(entries.size_hint().unwrap_or(0).min(most));
        let mut keys = HashSet::new();
        loop {
            let entry = Entry {
                full: (list.len() == most).then_some(most),
                key: self.key,
                keys: &mut keys,
                kind: PhantomData,
            };
            match entries.next_element_seed(entry)? {
                Some(entry) => list.push(entry),
                None => break,
            }
        }
        if list.len() < *self.length.start() {
            let least = self.length.start();
            return Err(A::Error::custom(format!(
                "has {} entries; the minimum is {least}",
                list.len()
            )));
        }
        Ok(list)
    }
}

/// One entry of a list. Its checks run while it is read, so that an error has the path of the entry, not of the list.
struct Entry<'a, T> {
    full: Option<usize>,
    key: Option<fn(&T) -> String>,
    keys: &'a mut HashSet<String>,
    kind: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Entry<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        if let Some(most) = self.full {
            return Err(D::Error::custom(format!(
                "is one entry too many; the maximum is {most}: split them over several messages"
            )));
        }
        let entry = T::deserialize(deserializer)?;
        if let Some(key) = self.key {
            let key = key(&entry);
            if self.keys.contains(&key) {
                return Err(D::Error::custom(format!("{key:?} occurs twice in this list")));
            }
            self.keys.insert(key);
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_rfc_3339() {
        for good in [
            "2026-03-01T12:00:00Z",
            "2026-03-01t12:00:00.123456789z",
            "2026-03-01T12:00:00+05:30",
        ] {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in [
            "",
            "2026-03-01",
            "2026-03-01 12:00:00Z",
            "2026-03-01T12:00:00",
            "2026-03-01T12:00Z",
            "20260301T120000Z",
            "2026-03-01T12:00:00.Z",
            "2026-03-01T12:00:00.1234567890Z",
            "2026-03-01T12:00:00+0530",
            "2026-03-01T12:00:00Z[Europe/Berlin]",
            "1772366400",
            "ää26-03-01T12:00:00Z",
        ] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }

    #[test]
    fn lengths_count_characters() {
        assert!(is_label(&"ä".repeat(255)));
        assert!(!is_label(&"ä".repeat(256)));
        assert!(!is_label(""));
        assert!(!is_label("a\nb"));
        assert!(check_note("two\nlines").is_ok());
        assert!(check_note("bell\u{7}").is_err());
        assert!(check_note(&"x".repeat(1001)).is_err());
    }
}
