//! A JSON value that borrows its texts from the body that it was read from.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Number, Value};

/// A JSON value. The keys of an object are sorted, as in [`Value`]: its JSON text is canonical.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// A text that is borrowed where it has no escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

/// Objects with fewer keys are searched for a duplicate key one by one.
const FEW_KEYS: usize = 16;

/// Reads any JSON value. Refuses duplicate keys, since parsers differ in which one they take, and U+0000, which PostgreSQL
/// cannot store. `null` is `None`.
pub(crate) fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json<'de>>, D::Error> {
    let value = AnyValue.deserialize(deserializer)?;
    Ok(Some(value).filter(|value| *value != Json::Null))
}

impl<'a> From<&'a Value> for Json<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(text.into()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.into(), value.into()));
                Self::Object(entries.collect())
            }
        }
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(entries) => {
                serializer.collect_map(entries.iter().map(|(key, value)| (key.as_ref(), value)))
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(AnyText)
    }
}

struct AnyText;

impl<'de> Visitor<'de> for AnyText {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text)))
    }
}

struct AnyValue;

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn check_nul<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') {
        return Err(E::custom("contains U+0000, which is not allowed"));
    }
    Ok(())
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        check_nul(text)?;
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Json<'de>, E> {
        check_nul(text)?;
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Json<'de>, E> {
        check_nul(&text)?;
        Ok(Json::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(AnyValue)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut object: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        let mut many = HashSet::new();
        while let Some(Text(key)) = entries.next_key()? {
            check_nul(&key)?;
            let occurs = if object.len() < FEW_KEYS {
                object.iter().any(|(other, _)| *other == key)
            } else {
                if many.is_empty() {
                    many.extend(object.iter().map(|(other, _)| other.clone()));
                }
                !many.insert(key.clone())
            };
            if occurs {
                return Err(A::Error::custom(format!("the key {key:?} occurs twice")));
            }
            object.push((key, entries.next_value_seed(AnyValue)?));
        }
        object.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Json<'_>>, String> {
        value(&mut serde_json::Deserializer::from_str(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn duplicate_keys_and_nul_are_refused() {
        let text = r#"{"a": [1, -2, 0.5, true, null, "x", {"b": 18446744073709551615}]}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read(text), Ok(Some(Json::from(&expected))));
        assert_eq!(read("null"), Ok(None));
        assert!(
            read(r#"{"a": {"b": 1, "b": 1}}"#)
                .unwrap_err()
                .contains("the key \"b\" occurs twice")
        );
        assert!(read(r#"["\u0000"]"#).unwrap_err().contains("U+0000"));
        assert!(read(r#"{"\u0000": 1}"#).unwrap_err().contains("U+0000"));
    }

    #[test]
    fn a_duplicate_key_is_found_among_many() {
        let entries = |keys: &[usize]| -> String {
            let entries: Vec<String> = keys.iter().map(|key| format!("\"{key}\": 1")).collect();
            format!("{{{}}}", entries.join(","))
        };
        let keys: Vec<usize> = (0..100).collect();
        assert!(read(&entries(&keys)).is_ok());
        for again in [0, 15, 16, 50, 99] {
            let error = read(&entries(&[&keys[..], &[again]].concat())).unwrap_err();
            assert!(
                error.contains(&format!("the key \"{again}\" occurs twice")),
                "{error}"
            );
        }
    }

    #[test]
    fn the_text_of_a_value_is_canonical() {
        let text = r#"{"b": {"d": [1.0, 1e300, "\"\u00e4\n"], "c": -1}, "ab": {}, "a": [], "B": false}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let json = read(text).unwrap().unwrap();
        assert_eq!(
            serde_json::to_string(&json).unwrap(),
            serde_json::to_string(&value).unwrap()
        );
    }
}
