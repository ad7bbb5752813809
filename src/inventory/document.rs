//! Reads a file of YAML or JSON as a value. Bounded: neither a large file nor an alias that stands for many others fills the memory.

use std::cell::Cell;
use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserializer, de::IgnoredAny};
use serde_json::{Map, Value};

use super::InventoryError;

/// The most bytes of a file: a hundred thousand devices with all they have.
const MOST_BYTES: u64 = 64 << 20;

/// The most values of a file, those that aliases repeat included.
const MOST_VALUES: u32 = 4_000_000;

/// The key whose value is merged into the map that it is in, see <https://yaml.org/type/merge.html>.
const MERGE: &str = "<<";

/// The bytes of a file.
///
/// # Errors
/// It cannot be read, or is too large.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, InventoryError> {
    let name = path.display();
    let cannot = |error: std::io::Error| InventoryError::one(format!("cannot read {name}: {error}"));
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > MOST_BYTES {
        let problem = format!("{name}: has more than {MOST_BYTES} bytes; split the inventory");
        return Err(InventoryError::one(problem));
    }
    Ok(bytes)
}

/// A file as text.
///
/// # Errors
/// It cannot be read, is too large, or is not UTF-8.
pub(crate) fn text(path: &Path) -> Result<String, InventoryError> {
    String::from_utf8(bytes(path)?).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        InventoryError::one(format!(
            "{}:{line}: is not UTF-8; save the file as UTF-8",
            path.display()
        ))
    })
}

/// The value of a text of YAML, or of JSON. Keys are text as they are written, `<<` is merged.
///
/// # Errors
/// The text is neither; a map has a key twice; there is a tag that is not one of YAML's own, a number that is not finite, or too much.
pub(super) fn value(file: &str, text: &str) -> Result<Value, InventoryError> {
    match json(file, text)? {
        Some(value) => Ok(value),
        None => yaml(file, text),
    }
}

/// The value of a text of JSON, such as `lockstep devices list --json` prints. YAML refuses some of the escapes of JSON. `None` if the text
/// is something else: YAML has lists and maps in brackets, too.
///
/// # Errors
/// A map has a key twice, or there is too much.
pub(super) fn json(file: &str, text: &str) -> Result<Option<Value>, InventoryError> {
    if !text.trim_start().starts_with(['[', '{']) {
        return Ok(None);
    }
    let left = Cell::new(MOST_VALUES);
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Values { left: &left }.deserialize(&mut json);
    match read.and_then(|value| json.end().map(|()| value)) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_data() => Err(InventoryError::one(format!("{file}: {error}"))),
        Err(_) => Ok(None),
    }
}

/// The value of a text of YAML. An error has the line and the column.
///
/// # Errors
/// See [`value`].
pub(super) fn yaml(file: &str, text: &str) -> Result<Value, InventoryError> {
    yaml_within(MOST_VALUES, file, text)
}

fn yaml_within(most: u32, file: &str, text: &str) -> Result<Value, InventoryError> {
    let left = Cell::new(most);
    let read = Values { left: &left }.deserialize(serde_norway::Deserializer::from_str(text));
    read.map_err(|error| {
        let place = error.location();
        let place = place.map(|place| format!(":{}:{}", place.line(), place.column()));
        InventoryError::one(format!("{file}{}: {error}", place.unwrap_or_default()))
    })
}

/// Reads values while some are left.
#[derive(Clone, Copy)]
struct Values<'a> {
    left: &'a Cell<u32>,
}

impl Values<'_> {
    fn count<E: Error>(self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom(format!(
                "has too many values, with what its aliases repeat: the maximum is {MOST_VALUES}; split the inventory"
            ))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = serde_json::Number::from_f64(value);
        let number = number.ok_or_else(|| E::custom(format!("{value} is not a finite number")))?;
        Ok(number.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        // A key is read as text, so that it keeps its spelling.
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} is there twice")));
            }
            map.insert(key, value);
        }
        if let Some(merged) = map.remove(MERGE) {
            merge(&mut map, merged).map_err(A::Error::custom)?;
        }
        Ok(map.into())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (tag, value) = tagged.variant::<String>()?;
        value.newtype_variant::<IgnoredAny>()?;
        Err(A::Error::custom(format!(
            "the tag !{} is not one of YAML's own; write the value itself",
            tag.trim_start_matches('!')
        )))
    }
}

/// Adds what the map does not have; of several maps the first one counts.
fn merge(map: &mut Map<String, Value>, merged: Value) -> Result<(), &'static str> {
    let maps = match merged {
        Value::Array(maps) => maps,
        one => vec![one],
    };
    for merged in maps {
        let Value::Object(merged) = merged else {
            return Err("<< must be a map, or a list of maps");
        };
        for (key, value) in merged {
            map.entry(key).or_insert(value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use serde_json::json;

    use super::*;

    fn problem(text: &str) -> String {
        value("hosts.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn anchors_are_merged_as_yaml_says() {
        let text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nx: {<<: *base, b: 9}\ny: {<<: [*base, *more], d: 5}\nz: *base\n";
        let read = value("f", text).unwrap();
        assert_eq!(read["x"], json!({"a": 1, "b": 9}));
        assert_eq!(read["y"], json!({"a": 1, "b": 2, "c": 4, "d": 5}));
        assert_eq!(read["z"], json!({"a": 1, "b": 2}));
    }

    #[test]
    fn keys_keep_their_spelling() {
        let read = value("f", "1: a\n007: b\n1.50: c\n0x10: d\ntrue: e\n~: f\n").unwrap();
        assert_eq!(
            read,
            json!({"1": "a", "007": "b", "1.50": "c", "0x10": "d", "true": "e", "~": "f"})
        );
    }

    #[test]
    fn what_yaml_readers_disagree_about_is_refused() {
        let table = [
            ("sw1: {}\nsw2: {}\nsw1: {}\n", "the key \"sw1\" is there twice"),
            ("{\"sw1\": 1, \"sw1\": 2}", "the key \"sw1\" is there twice"),
            ("sw1: {a: {x: 1, x: 2}}", "the key \"x\" is there twice"),
            ("sw1: !vault text\n", "the tag !vault is not one of YAML's own"),
            (
                "sw1: !python/object:os.system [ls]\n",
                "the tag !python/object:os.system is not",
            ),
            ("sw1: {<<: 7}\n", "<< must be a map"),
            ("sw1: .nan\n", "is not a finite number"),
            ("a: 1\n---\nb: 1\n", "more than one document"),
            ("a: [1,\n", "hosts.yaml:2:1"),
        ];
        for (text, expected) in table {
            let problem = problem(text);
            assert!(
                problem.starts_with("hosts.yaml") && problem.contains(expected),
                "{text}: {problem}"
            );
        }
        assert!(problem("sw1: {}\nsw2: {}\nsw1: {}\n").starts_with("hosts.yaml:"));
        assert_eq!(
            value("f", "a: !!str 7\nb: !!int '7'\n").unwrap(),
            json!({"a": "7", "b": 7})
        );
    }

    #[test]
    fn aliases_of_aliases_do_not_fill_the_memory() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            writeln!(text, "a{level}: &a{level} [{before}]").unwrap();
        }
        assert!(problem(&text).contains("repetition limit"), "{}", problem(&text));
        // Below the limit of the parser, above ours.
        let text = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(60), "*a, ".repeat(80));
        assert!(yaml_within(5000, "f", &text).is_ok());
        let problem_within = yaml_within(4000, "f", &text).unwrap_err().to_string();
        assert!(
            problem_within.contains("has too many values, with what its aliases repeat"),
            "{problem_within}"
        );
        let deep = "[".repeat(300);
        assert!(problem(&deep).contains("limit"), "{}", problem(&deep));
    }

    #[test]
    fn a_file_is_utf_8_and_has_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hosts.yaml");
        std::fs::write(&file, b"sw1:\nsw2: \xff\n").unwrap();
        let problem = text(&file).unwrap_err().to_string();
        assert!(
            problem.ends_with("hosts.yaml:2: is not UTF-8; save the file as UTF-8"),
            "{problem}"
        );
        std::fs::File::create(&file)
            .unwrap()
            .set_len(MOST_BYTES + 1)
            .unwrap();
        let problem = text(&file).unwrap_err().to_string();
        assert!(problem.contains("has more than 67108864 bytes"), "{problem}");
        let problem = text(&folder.path().join("gone.yaml")).unwrap_err().to_string();
        assert!(problem.starts_with("cannot read "), "{problem}");
    }
}
