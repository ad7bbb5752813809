//! Stricter JSON decoding than serde's default: structs are read from objects only, duplicate keys and U+0000 are refused.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Number, Value};

/// Reads any JSON value. Refuses duplicate keys, since parsers differ in which one they take, and U+0000, which PostgreSQL
/// cannot store. `null` is `None`.
pub(crate) fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let value = AnyValue.deserialize(deserializer)?;
    Ok(Some(value).filter(|value| !value.is_null()))
}

struct AnyValue;

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
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
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        check_nul(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        check_nul(&text)?;
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(AnyValue)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            check_nul(&key)?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} occurs twice")));
            }
            object.insert(key, entries.next_value_seed(AnyValue)?);
        }
        Ok(Value::Object(object))
    }
}

/// Deserializes structs from JSON objects only. Serde also accepts a list of the fields' values in the order of the Rust
/// source; that order is not part of the protocol.
pub(crate) struct Strict<'a>(pub(crate) &'a Value);

impl Strict<'_> {
    fn refuse(&self, expected: &dyn Expected) -> serde_json::Error {
        let found = match self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(_) => Unexpected::Other("number"),
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Other("list"),
            Value::Object(_) => Unexpected::Map,
        };
        serde_json::Error::invalid_type(found, expected)
    }
}

fn entries(
    object: &Map<String, Value>,
) -> MapDeserializer<'_, impl Iterator<Item = (&str, Strict<'_>)>, serde_json::Error> {
    MapDeserializer::new(object.iter().map(|(key, value)| (key.as_str(), Strict(value))))
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Strict<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => number.deserialize_any(visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(Strict));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Value::Object(object) => visitor.visit_map(entries(object)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Object(object) => visitor.visit_map(entries(object)),
            _ => Err(self.refuse(&"an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            // serde would read `{"variant": null}` as the unit variant.
            Value::Object(object) if object.len() == 1 && !object.values().any(Value::is_null) => {
                visitor.visit_enum(MapAccessDeserializer::new(entries(object)))
            }
            _ => Err(self.refuse(&"a string, or an object with one key")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::commands::SyncTargets;
    use crate::events::LinknetEnd;

    #[test]
    fn a_struct_is_not_read_from_a_list() {
        let end = json!({"hostname": "sw1", "interface": "Ethernet1"});
        assert!(LinknetEnd::deserialize(Strict(&end)).is_ok());
        let list = json!(["sw1", "Ethernet1"]);
        let error = LinknetEnd::deserialize(Strict(&list)).unwrap_err();
        assert_eq!(error.to_string(), "invalid type: list, expected an object");
    }

    #[test]
    fn an_enum_is_a_string_or_an_object_with_one_key() {
        let read = |value: Value| SyncTargets::deserialize(Strict(&value)).map_err(|error| error.to_string());
        assert_eq!(read(json!("all")), Ok(SyncTargets::All));
        assert!(matches!(
            read(json!({"hostname": "sw1"})),
            Ok(SyncTargets::Hostname(_))
        ));
        assert!(read(json!({"hostname": "sw1", "group": "g"})).is_err());
        assert!(read(json!({"all": null})).is_err());
        assert!(read(json!({})).is_err());
        assert!(read(json!(7)).is_err());
    }

    #[test]
    fn duplicate_keys_and_nul_are_refused() {
        let read =
            |text: &str| value(&mut serde_json::Deserializer::from_str(text)).map_err(|e| e.to_string());
        let text = r#"{"a": [1, -2, 0.5, true, null, "x", {"b": 18446744073709551615}]}"#;
        assert_eq!(read(text), Ok(Some(serde_json::from_str(text).unwrap())));
        assert_eq!(read("null"), Ok(None));
        assert!(
            read(r#"{"a": {"b": 1, "b": 1}}"#)
                .unwrap_err()
                .contains("the key \"b\" occurs twice")
        );
        assert!(read(r#"["\u0000"]"#).unwrap_err().contains("U+0000"));
        assert!(read(r#"{"\u0000": 1}"#).unwrap_err().contains("U+0000"));
    }
}
