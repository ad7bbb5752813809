//! `docs/reference/settings.md` has every key, with its shape and its default.

use super::keys;
use super::shape::{Default, Field, Shape};

/// What the page says of a shape, as a noun; `many`: its plural.
fn noun(shape: &Shape, many: bool) -> String {
    let word = |one: &str, several: &str| if many { several } else { one }.to_owned();
    match shape {
        Shape::Text => word("text", "texts"),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Number(least, most) if many => format!("numbers {least} to {most}"),
        Shape::Number(least, most) => format!("{least} to {most}"),
        Shape::NumberOrText => word("number or text", "numbers or texts"),
        Shape::Word(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(" or ")
        }
        Shape::Host => word("address or hostname", "addresses or hostnames"),
        Shape::Ipv4 => word("IPv4 address", "IPv4 addresses"),
        Shape::Ipv6 => word("IPv6 address", "IPv6 addresses"),
        Shape::Ipv4Prefix => word(
            "IPv4 address with prefix length",
            "IPv4 addresses with prefix length",
        ),
        Shape::Ipv6Prefix => word(
            "IPv6 address with prefix length",
            "IPv6 addresses with prefix length",
        ),
        Shape::Prefix => word("address with prefix length", "addresses with prefix length"),
        Shape::Optional(shape) => format!("{}, or null", noun(shape, many)),
        Shape::List(shape) => format!("list of {}", noun(shape, true)),
        Shape::OneOrMore(shape) => format!("{}, or a list of {}", noun(shape, many), noun(shape, true)),
        Shape::Named(shape) => format!("names with {}", noun(shape, true)),
        Shape::Record(_) => word("map", "maps"),
    }
}

fn default(field: &Field) -> String {
    match (field.required, field.default, &field.shape) {
        (true, ..) => "required".to_owned(),
        (_, Default::Boolean(value), _) => format!("`{value}`"),
        (_, Default::Text(text), _) => format!("`{text:?}`"),
        (_, Default::OfShape, Shape::Optional(_)) => "null".to_owned(),
        (_, Default::OfShape, Shape::List(_)) => "`[]`".to_owned(),
        (_, Default::OfShape, Shape::Named(_)) => "`{}`".to_owned(),
        (_, Default::Absent | Default::OfShape, _) => "—".to_owned(),
    }
}

/// The beginning of the row of each key.
fn add_rows(rows: &mut Vec<String>, above: &str, fields: &[Field]) {
    for field in fields {
        let (mut name, mut shape) = (format!("{above}{}", field.key), &field.shape);
        rows.push(format!(
            "| `{name}` | {} | {} | ",
            noun(shape, false),
            default(field)
        ));
        loop {
            shape = match shape {
                Shape::Optional(shape) | Shape::OneOrMore(shape) => shape,
                Shape::List(shape) => {
                    name.push_str("[]");
                    shape
                }
                Shape::Named(shape) => {
                    name.push_str(".*");
                    shape
                }
                Shape::Record(fields) => break add_rows(rows, &format!("{name}."), fields),
                _ => break,
            }
        }
    }
}

#[test]
fn the_page_about_settings_has_every_key() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/settings.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (keys_part, _) = page
        .split_once("\n## Groups\n")
        .expect("the section about groups");
    let mut expected = Vec::new();
    add_rows(&mut expected, "", keys::ROOT);
    assert!(expected.len() > 150, "{}", expected.len());
    for row in &expected {
        let found = keys_part
            .lines()
            .filter_map(|line| line.strip_prefix(row.as_str()));
        let meanings: Vec<_> = found.collect();
        assert!(
            matches!(meanings[..], [meaning] if meaning.ends_with(". |")),
            "docs/reference/settings.md needs one row\n{row}… |"
        );
    }
    let rows = keys_part.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, expected.len(), "rows of keys that do not exist");
}
