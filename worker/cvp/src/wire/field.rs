use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The longest text, in bytes. CloudVision's own descriptions and notes have a few hundred.
const LONGEST_TEXT: usize = 16 * 1024;

/// A field of an answer. Reading a field never fails; the gate decides what an unreadable one means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Absent or null.
    #[default]
    Missing,
    /// Present, with a value that the field cannot have.
    Unreadable,
    /// Present and valid.
    Is(T),
}

/// A type that fields can have.
pub trait FromWire: Sized {
    /// Reads a value. It fails only if the text is not JSON.
    ///
    /// # Errors
    /// The deserializer's.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error>;

    /// A value that cannot be read: how an unreadable field is written.
    fn unreadable() -> Value {
        Value::Bool(false)
    }
}

impl<T> Field<T> {
    /// The value, if it could be read.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Missing | Self::Unreadable => None,
        }
    }

    /// Converts the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Is(value) => Field::Is(f(value)),
            Self::Missing => Field::Missing,
            Self::Unreadable => Field::Unreadable,
        }
    }
}

impl Field<String> {
    /// The text; empty if it is missing or unreadable.
    pub fn text(&self) -> &str {
        self.get().map_or("", String::as_str)
    }
}

impl<'de, T: FromWire> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer)
    }
}

/// Reads a text, a number or a flag: `from` reads a value that is not null.
pub(super) fn scalar<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    from: impl FnOnce(Value) -> Field<T>,
) -> Result<Field<T>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => Field::Missing,
        value => from(value),
    })
}

/// Reads an object or a list. Only its type's own fields become values, which are few of many.
pub(super) fn composite<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Field<T>, D::Error> {
    let text = Box::<RawValue>::deserialize(deserializer)?;
    Ok(match text.get() {
        "null" => Field::Missing,
        text => serde_json::from_str(text).ok().into(),
    })
}

/// It is read again as the same field.
impl<T: FromWire + Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing => serializer.serialize_none(),
            Self::Unreadable => T::unreadable().serialize(serializer),
            Self::Is(value) => value.serialize(serializer),
        }
    }
}

/// Some releases write identifiers as numbers. A text that is too long is unreadable, since reports repeat texts.
impl FromWire for String {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        scalar(deserializer, |value| match value {
            Value::String(text) if text.len() <= LONGEST_TEXT => Field::Is(text),
            Value::Number(number) => Field::Is(number.to_string()),
            _ => Field::Unreadable,
        })
    }
}

/// Some endpoints write words.
impl FromWire for bool {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        scalar(deserializer, |value| match value {
            Value::Bool(flag) => Field::Is(flag),
            Value::String(word) => match word.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" => Field::Is(true),
                "false" | "no" => Field::Is(false),
                "" => Field::Missing,
                _ => Field::Unreadable,
            },
            _ => Field::Unreadable,
        })
    }

    fn unreadable() -> Value {
        Value::from("unreadable")
    }
}

/// Some releases write counts and times as text or as fractions.
impl FromWire for i64 {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        scalar(deserializer, |value| match value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)).into(),
            Value::String(text) if text.trim().is_empty() => Field::Missing,
            Value::String(text) => text.trim().parse().ok().into(),
            _ => Field::Unreadable,
        })
    }
}

/// `None` means that the value could not be read.
impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unreadable, Self::Is)
    }
}

fn whole(number: f64) -> Option<i64> {
    // Above about 2^53 a float does not identify an integer.
    #[expect(clippy::cast_possible_truncation, reason = "the bounds are checked before")]
    (number.abs() < 9e15).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: FromWire>(value: &Value) -> Field<T> {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn texts_are_read_from_texts_and_numbers() {
        let table = [
            (json!("1811"), Field::Is("1811".to_owned())),
            (json!(1811), Field::Is("1811".to_owned())),
            (json!(""), Field::Is(String::new())),
            (json!(null), Field::Missing),
            (json!(true), Field::Unreadable),
            (json!(["1811"]), Field::Unreadable),
            (json!({}), Field::Unreadable),
        ];
        for (value, expected) in table {
            assert_eq!(read::<String>(&value), expected, "{value}");
        }
    }

    #[test]
    fn flags_are_read_from_flags_and_words() {
        let table = [
            (json!(true), Field::Is(true)),
            (json!("True"), Field::Is(true)),
            (json!("yes"), Field::Is(true)),
            (json!("false"), Field::Is(false)),
            (json!("no"), Field::Is(false)),
            (json!(""), Field::Missing),
            (json!(null), Field::Missing),
            (json!(0), Field::Unreadable),
            (json!("perhaps"), Field::Unreadable),
        ];
        for (value, expected) in table {
            assert_eq!(read::<bool>(&value), expected, "{value}");
        }
    }

    #[test]
    fn numbers_are_read_from_numbers_and_texts() {
        let table = [
            (json!(1_600_000_000_000_i64), Field::Is(1_600_000_000_000)),
            (json!("1600000000000"), Field::Is(1_600_000_000_000)),
            (json!(1.6e12), Field::Is(1_600_000_000_000)),
            (json!(""), Field::Missing),
            (json!(null), Field::Missing),
            (json!("soon"), Field::Unreadable),
            (json!(1e300), Field::Unreadable),
            (json!(false), Field::Unreadable),
        ];
        for (value, expected) in table {
            assert_eq!(read::<i64>(&value), expected, "{value}");
        }
    }
}
