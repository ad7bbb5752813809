//! Filters of mappings and lists.

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, Value};

use super::values::is_omit;
use crate::filters::arguments::{
    Arguments, Filter, MOST_ITEMS, Outcome, integer, invalid, list, none, text, too_many,
};

/// How deep mappings and lists may be nested.
const MOST_DEPTH: usize = 64;

pub(super) const FILTERS: &[Filter] = &[
    ("combine", "value *others recursive? list_merge?", |arguments| {
        let rule = arguments.text_or(2, "replace")?;
        let rules = ["replace", "keep", "append", "prepend", "append_rp", "prepend_rp"];
        if !rules.contains(&rule.as_str()) {
            return Err(invalid(format!(
                "'list_merge' must be one of {}",
                rules.join(", ")
            )));
        }
        let mut all = Vec::new();
        for term in std::iter::once(&arguments.value(0)).chain(arguments.rest()) {
            match term.kind() {
                ValueKind::Seq | ValueKind::Iterable => all.extend(list(term)?),
                _ => all.push(term.clone()),
            }
        }
        let mut merged = Vec::new();
        for mapping in &all {
            if mapping.kind() != ValueKind::Map {
                return Err(invalid(format!("expected mappings, got {mapping:?}")));
            }
            merge(&mut merged, mapping, arguments.is_true(1), &rule, 0)?;
        }
        Ok(Value::from_pairs(merged))
    }),
    ("dict2items", "mydict key_name? value_name?", |arguments| {
        let (key_name, value_name) = (arguments.text_or(1, "key")?, arguments.text_or(2, "value")?);
        Ok(pairs(&arguments.value(0))?
            .into_iter()
            .map(|(key, value)| Value::from_pairs([(key_name.clone(), key), (value_name.clone(), value)]))
            .collect())
    }),
    ("items2dict", "mylist key_name? value_name?", |arguments| {
        let (key_name, value_name) = (arguments.text_or(1, "key")?, arguments.text_or(2, "value")?);
        let mut result = Vec::new();
        for item in arguments.list(0)? {
            let (key, value) = (item.get_attr(&key_name)?, item.get_attr(&value_name)?);
            if key.is_undefined() || value.is_undefined() {
                return Err(invalid(format!(
                    "requires each dictionary in the list to contain the keys '{key_name}' and '{value_name}'"
                )));
            }
            put(&mut result, key, value);
        }
        Ok(Value::from_pairs(result))
    }),
    ("flatten", "mylist levels? skip_nulls?", |arguments| {
        let levels = match arguments.some(1) {
            Some(levels) => usize::try_from(integer(levels)?).unwrap_or(0),
            None => MOST_DEPTH,
        };
        let skip = !arguments.has(2) || arguments.is_true(2);
        let mut flat = Vec::new();
        flatten(&arguments.value(0), levels, skip, &mut flat)?;
        Ok(Value::from(flat))
    }),
    ("subelements", "obj subelements skip_missing?", subelements),
    ("extract", "item container morekeys?", |arguments| {
        let mut keys = vec![arguments.value(0)];
        match arguments.some(2) {
            Some(more) if more.kind() == ValueKind::Seq => keys.extend(list(more)?),
            Some(more) => keys.push(more.clone()),
            None => {}
        }
        let mut value = arguments.value(1);
        for key in keys {
            value = value.get_item(&key)?;
        }
        Ok(value)
    }),
    ("rekey_on_member", "data key duplicates?", |arguments| {
        let key = arguments.value(1);
        let overwrite = match arguments.text_or(2, "error")?.as_str() {
            "error" => false,
            "overwrite" => true,
            other => {
                return Err(invalid(format!(
                    "duplicates parameter has unknown value '{other}'"
                )));
            }
        };
        let data = arguments.value(0);
        let items = if data.kind() == ValueKind::Map {
            pairs(&data)?.into_iter().map(|(_, value)| value).collect()
        } else {
            list(&data)?
        };
        let mut result: Vec<(Value, Value)> = Vec::new();
        for item in items {
            let member = item.get_item(&key)?;
            if member.is_undefined() {
                return Err(invalid(format!("Key {key:?} was not found.")));
            }
            if !overwrite && result.iter().any(|(known, _)| *known == member) {
                return Err(invalid(format!(
                    "Key {member:?} is not unique, cannot convert to dict."
                )));
            }
            put(&mut result, member, item);
        }
        Ok(Value::from_pairs(result))
    }),
];

/// The keys and values of a mapping.
pub(super) fn pairs(mapping: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if mapping.kind() != ValueKind::Map {
        return Err(invalid(format!(
            "requires a dictionary, got {mapping:?} instead."
        )));
    }
    list(mapping)?
        .into_iter()
        .map(|key| Ok((key.clone(), mapping.get_item(&key)?)))
        .collect()
}

fn put(result: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match result.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => result.push((key, value)),
    }
}

/// Lays a mapping over another.
fn merge(
    below: &mut Vec<(Value, Value)>,
    above: &Value,
    recursive: bool,
    rule: &str,
    depth: usize,
) -> Result<(), Error> {
    if depth == MOST_DEPTH {
        return Err(invalid(format!("mappings are nested deeper than {MOST_DEPTH}")));
    }
    for (key, value) in pairs(above)? {
        let Some((_, known)) = below.iter_mut().find(|(known, _)| *known == key) else {
            below.push((key, value));
            continue;
        };
        let kinds = (known.kind(), value.kind());
        *known = match kinds {
            (ValueKind::Map, ValueKind::Map) if recursive => {
                let mut inner = pairs(known)?;
                merge(&mut inner, &value, recursive, rule, depth + 1)?;
                Value::from_pairs(inner)
            }
            (ValueKind::Seq, ValueKind::Seq) => merged_lists(known, &value, rule)?,
            _ => value,
        };
    }
    Ok(())
}

fn merged_lists(below: &Value, above: &Value, rule: &str) -> Outcome {
    let without = |items: Vec<Value>, others: &[Value]| -> Vec<Value> {
        items.into_iter().filter(|item| !others.contains(item)).collect()
    };
    let (low, high) = (list(below)?, list(above)?);
    if low.len() + high.len() > MOST_ITEMS {
        return Err(too_many());
    }
    Ok(Value::from(match rule {
        "keep" => low,
        "append" => [low, high].concat(),
        "prepend" => [high, low].concat(),
        "append_rp" => [without(low, &high), high].concat(),
        "prepend_rp" => [high.clone(), without(low, &high)].concat(),
        _ => high,
    }))
}

fn flatten(items: &Value, levels: usize, skip: bool, flat: &mut Vec<Value>) -> Result<(), Error> {
    for item in list(items)? {
        let is_null = item.is_none() || matches!(item.as_str(), Some("None" | "null"));
        if is_omit(&item) || skip && is_null {
            continue;
        }
        if flat.len() == MOST_ITEMS {
            return Err(too_many());
        }
        if levels > 0 && item.kind() == ValueKind::Seq {
            flatten(&item, levels - 1, skip, flat)?;
        } else {
            flat.push(item);
        }
    }
    Ok(())
}

fn subelements(arguments: &Arguments) -> Outcome {
    let given = arguments.value(0);
    let elements = match given.kind() {
        ValueKind::Map => pairs(&given)?.into_iter().map(|(_, value)| value).collect(),
        ValueKind::Seq => list(&given)?,
        _ => return Err(invalid("obj must be a list of dicts or a nested dict")),
    };
    let path = arguments.value(1);
    let path = match path.as_str() {
        Some(path) => path.split('.').map(str::to_owned).collect(),
        None => list(&path)?.iter().map(text).collect::<Result<Vec<_>, _>>()?,
    };
    let skip = match arguments.some(2) {
        Some(options) if options.kind() == ValueKind::Map => options.get_attr("skip_missing")?.is_true(),
        Some(skip) => skip.is_true(),
        None => false,
    };
    let mut result = Vec::new();
    'elements: for element in elements {
        let mut values = element.clone();
        for key in &path {
            values = values.get_attr(key).unwrap_or_else(|_| none());
            if values.is_undefined() && skip {
                continue 'elements;
            }
            if values.is_undefined() {
                return Err(invalid(format!(
                    "could not find '{key}' key in iterated item {element:?}"
                )));
            }
        }
        if values.kind() != ValueKind::Seq {
            return Err(invalid(format!(
                "the key '{}' should point to a list, got {values:?}",
                path.join(".")
            )));
        }
        for value in list(&values)? {
            if result.len() == MOST_ITEMS {
                return Err(too_many());
            }
            result.push(Value::from(Tuple::from([element.clone(), value])));
        }
    }
    Ok(Value::from(result))
}
