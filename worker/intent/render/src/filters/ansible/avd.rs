//! The filters and tests of `arista.avd`.

use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, Value};

use super::collections::pairs;
use crate::filters::arguments::{
    Arguments, Filter, MOST_ITEMS, Outcome, invalid, list, none, python_int, texts, too_many,
};

pub(super) const FILTERS: &[Filter] = &[
    (
        "natural_sort",
        "iterable sort_key? strict? ignore_case? default_value?",
        natural_sort,
    ),
    ("default", "value *values", |arguments| {
        let first = arguments.value(0);
        let mut all = std::iter::once(&first).chain(arguments.rest());
        Ok(all
            .find(|value| !value.is_none() && !value.is_undefined())
            .cloned()
            .unwrap_or_else(none))
    }),
    ("list_compress", "list_to_compress", |arguments| {
        let mut numbers = arguments
            .list(0)?
            .iter()
            .map(crate::filters::arguments::integer)
            .collect::<Result<Vec<_>, _>>()?;
        numbers.sort_unstable();
        let ranges: Vec<String> = numbers
            .chunk_by(|left, right| left + 1 == *right)
            .map(|run| match run {
                [first, .., last] => format!("{first}-{last}"),
                run => run.iter().map(ToString::to_string).collect(),
            })
            .collect();
        Ok(Value::from(ranges.join(",")))
    }),
    ("range_expand", "range_to_expand", |arguments| {
        let mut expanded = Vec::new();
        range_expand(&arguments.value(0), &mut expanded)?;
        Ok(texts(expanded))
    }),
    ("hide_passwords", "value hide_passwords?", |arguments| {
        let hide = arguments.value(1);
        if arguments.has(1) && hide.kind() != ValueKind::Bool {
            return Err(invalid(format!(
                "{hide} in hide_passwords filter is not of type bool"
            )));
        }
        Ok(if hide.is_true() {
            Value::from("<removed>")
        } else {
            arguments.value(0)
        })
    }),
    (
        "convert_dicts",
        "dictionary primary_key? secondary_key?",
        convert_dicts,
    ),
    ("is_in_filter", "hostname hostname_filter?", |arguments| {
        let hostname = arguments.text(0)?;
        let filters = match arguments.some(1) {
            Some(_) => arguments.texts(1)?,
            None => vec!["all".to_owned()],
        };
        let found = filters
            .iter()
            .any(|filter| filter == "all" || hostname.contains(filter.as_str()));
        Ok(Value::from(found))
    }),
];

/// A part of a text that is sorted as people do: a number comes before other text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u128),
    Text(String),
}

fn natural_sort(arguments: &Arguments) -> Outcome {
    let items = match arguments.some(0) {
        Some(items) => list(items)?,
        None => return Ok(texts(Vec::<String>::new())),
    };
    let sort_key = arguments.some(1).map(ToString::to_string);
    let strict = !arguments.has(2) || arguments.is_true(2);
    let ignore_case = !arguments.has(3) || arguments.is_true(3);
    let mut keyed = items
        .into_iter()
        .map(|item| {
            let text = sorted_by(&item, sort_key.as_deref(), strict, arguments.some(4))?;
            Ok((natural_key(&text, ignore_case), item))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    keyed.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn sorted_by(
    item: &Value,
    key: Option<&str>,
    strict: bool,
    default: Option<&Value>,
) -> Result<String, Error> {
    if item.kind() != ValueKind::Map {
        return Ok(item.to_string());
    }
    let Some(key) = key else {
        return Err(invalid(format!(
            "'natural_sort' requires 'sort_key' to be set when used for a Mapping: {item}"
        )));
    };
    let value = item.get_attr(key)?;
    match (value.is_undefined(), default) {
        (false, _) if !value.is_none() => Ok(value.to_string()),
        (_, Some(default)) => Ok(default.to_string()),
        (true, None) if strict => Err(invalid(format!("Missing key '{key}' in item to sort {item}."))),
        _ => Ok(item.to_string()),
    }
}

fn natural_key(text: &str, ignore_case: bool) -> Vec<Part> {
    let characters: Vec<char> = text.chars().collect();
    // What is between two numbers is text; before the first, too.
    let mut parts: Vec<Part> = characters
        .chunk_by(|left, right| left.is_ascii_digit() == right.is_ascii_digit())
        .map(|run| {
            let text: String = run.iter().collect();
            match text.parse() {
                Ok(number) if run[0].is_ascii_digit() => Part::Number(number),
                _ if ignore_case => Part::Text(text.to_lowercase()),
                _ => Part::Text(text),
            }
        })
        .collect();
    if matches!(parts.first(), Some(Part::Number(_))) {
        parts.insert(0, Part::Text(String::new()));
    }
    parts
}

/// Expands `Ethernet1-3/1,5` and lists of such. A range has up to three levels and a subinterface.
fn range_expand(value: &Value, expanded: &mut Vec<String>) -> Result<(), Error> {
    let Some(text) = value.as_str() else {
        for item in list(value)? {
            range_expand(&item, expanded)?;
        }
        return Ok(());
    };
    let mut prefix = String::new();
    for range in text.split(',') {
        let Some(start) = range.find(|character: char| character.is_ascii_digit()) else {
            expanded.push(range.to_owned());
            continue;
        };
        if start > 0 {
            range[..start].clone_into(&mut prefix);
        }
        let (levels, sub) = match range[start..].split_once('.') {
            Some((levels, sub)) => (levels, Some(sub)),
            None => (&range[start..], None),
        };
        let mut names = vec![prefix.clone()];
        for (depth, level) in levels.split('/').enumerate() {
            names = extended(&names, if depth > 0 { "/" } else { "" }, level, range)?;
        }
        if let Some(sub) = sub {
            names = extended(&names, ".", sub, range)?;
        }
        if expanded.len() + names.len() > MOST_ITEMS {
            return Err(too_many());
        }
        expanded.extend(names);
    }
    Ok(())
}

fn extended(names: &[String], separator: &str, level: &str, range: &str) -> Result<Vec<String>, Error> {
    let (first, last) = level.split_once('-').unwrap_or((level, level));
    let int = |text: &str| python_int(text).ok_or_else(|| invalid(format!("Invalid range, got {range}")));
    let (first, last) = (int(first)?, int(last)?);
    if first > last {
        return Err(invalid(format!(
            "Range {range} could not be expanded because the first interface {first} is larger than last interface {last} in the range."
        )));
    }
    let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
    if names.len().saturating_mul(count) > MOST_ITEMS {
        return Err(too_many());
    }
    Ok(names
        .iter()
        .flat_map(|name| (first..=last).map(move |number| format!("{name}{separator}{number}")))
        .collect())
}

/// A mapping of mappings as a list of mappings that have their key; other lists stay as they are.
fn convert_dicts(arguments: &Arguments) -> Outcome {
    let given = arguments.value(0);
    let primary = arguments.text_or(1, "name")?;
    let secondary = arguments.some(2).map(ToString::to_string);
    if given.kind() == ValueKind::Map {
        return Ok(pairs(&given)?
            .into_iter()
            .map(|(key, value)| match (&secondary, value.kind()) {
                (Some(secondary), _) => {
                    Value::from_pairs([(primary.clone(), key), (secondary.clone(), value)])
                }
                (None, ValueKind::Map) => {
                    let own = pairs(&value).unwrap_or_default();
                    let without = own
                        .into_iter()
                        .filter(|(name, _)| name.as_str() != Some(&primary));
                    Value::from_pairs(
                        std::iter::once((Value::from(primary.as_str()), key.clone())).chain(without),
                    )
                }
                (None, _) => Value::from_pairs([(primary.clone(), key)]),
            })
            .collect());
    }
    if given.kind() != ValueKind::Seq {
        return Ok(given);
    }
    let items = list(&given)?;
    let named = |item: Value| match item.kind() {
        ValueKind::Map | ValueKind::Seq => item,
        _ => Value::from_pairs([(primary.clone(), item)]),
    };
    Ok(items.into_iter().map(named).collect())
}

pub(super) fn add_tests(environment: &mut Environment<'_>) {
    environment.add_test("arista.avd.defined", |value: Value, rest: Rest<ValueOrKwargs>| {
        is_defined(&value, rest.into_values())
    });
    environment.add_test("arista.avd.contains", |value: Value, tested: Value| {
        if value.kind() != ValueKind::Seq || tested.is_none() || tested.is_undefined() {
            return false;
        }
        let items = list(&value).unwrap_or_default();
        let any = tested.kind() == ValueKind::Seq
            && list(&tested)
                .unwrap_or_default()
                .iter()
                .any(|item| items.contains(item));
        any || items.contains(&tested)
    });
}

/// Whether a value is defined and not none, equals what is tested for, and has the type that is asked for.
fn is_defined(value: &Value, mut given: Vec<Value>) -> Result<bool, Error> {
    let keywords = match given.pop() {
        Some(last) if last.is_kwargs() => Some(Kwargs::try_from(last)?),
        Some(last) => {
            given.push(last);
            None
        }
        None => None,
    };
    let argument = |index: usize, name: &str| -> Option<Value> {
        let keyword = || keywords.as_ref().and_then(|keywords| keywords.get(name).ok());
        given
            .get(index)
            .cloned()
            .or_else(keyword)
            .filter(|value: &Value| !value.is_none() && !value.is_undefined())
    };
    let name = argument(3, "var_name").map_or_else(|| "A variable".to_owned(), |name| name.to_string());
    let kind = argument(1, "var_type").map(|kind| kind.to_string().to_lowercase());
    let actual = match value.kind() {
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Seq if value.is_tuple() => "tuple",
        ValueKind::Seq => "list",
        ValueKind::Map => "dict",
        _ => "",
    };
    let problem = if value.is_undefined() || value.is_none() {
        Some(format!("{name} was expected but not set!"))
    } else if let Some(expected) = argument(0, "test_value").filter(|expected| expected != value) {
        Some(format!("{name} was set to {value} but we expected {expected}!"))
    } else {
        kind.filter(|kind| kind != actual)
            .map(|kind| format!("{name} was a {actual} but we expected a {kind}!"))
    };
    let fails =
        argument(2, "fail_action").is_some_and(|action| action.to_string().eq_ignore_ascii_case("error"));
    match problem {
        Some(problem) if fails => Err(invalid(problem)),
        problem => Ok(problem.is_none()),
    }
}
