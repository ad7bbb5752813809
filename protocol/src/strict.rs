//! Stricter JSON decoding than serde's default: structs are read from objects only.

use std::borrow::Cow;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use crate::json::Json;

/// Deserializes structs from JSON objects only. Serde also accepts a list of the fields' values in the order of the Rust
/// source; that order is not part of the protocol.
pub(crate) struct Strict<'a>(pub(crate) &'a Json<'a>);

impl Strict<'_> {
    fn refuse(&self, expected: &dyn Expected) -> serde_json::Error {
        let found = match self.0 {
            Json::Null => Unexpected::Unit,
            Json::Bool(value) => Unexpected::Bool(*value),
            Json::Number(_) => Unexpected::Other("number"),
            Json::Text(text) => Unexpected::Str(text),
            Json::List(_) => Unexpected::Other("list"),
            Json::Object(_) => Unexpected::Map,
        };
        serde_json::Error::invalid_type(found, expected)
    }
}

fn entries<'a>(
    object: &'a [(Cow<'a, str>, Json<'a>)],
) -> MapDeserializer<'a, impl Iterator<Item = (&'a str, Strict<'a>)>, serde_json::Error> {
    MapDeserializer::new(object.iter().map(|(key, value)| (key.as_ref(), Strict(value))))
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
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::Number(number) => number.deserialize_any(visitor),
            Json::Text(text) => visitor.visit_borrowed_str(text),
            Json::List(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(Strict));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Json::Object(object) => visitor.visit_map(entries(object)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Json::Null => visitor.visit_none(),
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
            Json::Object(object) => visitor.visit_map(entries(object)),
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
            Json::Text(text) => visitor.visit_enum(text.as_ref().into_deserializer()),
            // serde would read `{"variant": null}` as the unit variant.
            Json::Object(object)
                if object.len() == 1 && !object.iter().any(|(_, value)| *value == Json::Null) =>
            {
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
    use serde_json::{Value, json};

    use super::*;
    use crate::commands::SyncTargets;
    use crate::events::LinknetEnd;

    #[test]
    fn a_struct_is_not_read_from_a_list() {
        let end = json!({"hostname": "sw1", "interface": "Ethernet1"});
        assert!(LinknetEnd::deserialize(Strict(&Json::from(&end))).is_ok());
        let list = json!(["sw1", "Ethernet1"]);
        let error = LinknetEnd::deserialize(Strict(&Json::from(&list))).unwrap_err();
        assert_eq!(error.to_string(), "invalid type: list, expected an object");
    }

    #[test]
    fn an_enum_is_a_string_or_an_object_with_one_key() {
        let read = |value: Value| {
            SyncTargets::deserialize(Strict(&Json::from(&value))).map_err(|error| error.to_string())
        };
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
}
