//! Versions of operating systems.

use std::cmp::Ordering;

use minijinja::{Error, Value};

use crate::filters::arguments::{Arguments, Filter, Outcome, invalid, none, texts};
use crate::filters::regex::{self, Flags};

const JUNOS: &str = r"^(?P<main>\d+)\.(?P<minor>\d+)(?P<type>[xXrRsS])?(?P<build>\d+)?";
const JUNOS_SERVICE: &str = r"(?P<service>[sSdD])?(?P<service_build>\d+)?\.?(?P<service_respin>\d+)?";
const SEMANTIC: &str = concat!(
    r"^(?P<major>0|[1-9]\d*)\.(?P<minor>0|[1-9]\d*)\.(?P<patch>0|[1-9]\d*)",
    r"(?:-(?P<prerelease>(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?",
    r"(?:\+(?P<buildmetadata>[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$",
);
const BASIC: &str = r"^(?P<major>0|[1-9]\d*)\.(?P<minor>0|[1-9]\d*)?.*$";

pub(super) const FILTERS: &[Filter] = &[
    (
        "compare_version_loose",
        "current_version comparison target_version",
        |arguments| {
            let (current, target) = (arguments.text(0)?, arguments.text(2)?);
            holds(loose_order(&current, &target)?, &arguments.text(1)?)
        },
    ),
    (
        "compare_version_strict",
        "current_version comparison target_version",
        |arguments| {
            let (current, target) = (strict(&arguments.text(0)?)?, strict(&arguments.text(2)?)?);
            holds(current.cmp(&target), &arguments.text(1)?)
        },
    ),
    (
        "get_upgrade_path",
        "current_version target_version firmware_list",
        |arguments| {
            let (current, target) = (arguments.text(0)?, arguments.text(1)?);
            match loose_order(&current, &target)? {
                Ordering::Greater => {
                    return Err(invalid("Target version must be newer than current version."));
                }
                Ordering::Equal => {
                    return Err(invalid(
                        "Target version equals current version. No upgrade necessary.",
                    ));
                }
                Ordering::Less => {}
            }
            let mut path = Vec::new();
            for version in arguments.texts(2)? {
                if loose_order(&version, &current)?.is_gt() && loose_order(&version, &target)?.is_le() {
                    path.push(version);
                }
            }
            if !path.contains(&target) {
                path.push(target);
            }
            Ok(texts(path))
        },
    ),
    ("version_metadata", "vendor os_type version", metadata),
];

fn holds(order: Ordering, comparison: &str) -> Outcome {
    Ok(Value::from(match comparison {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        other => return Err(invalid(format!("Invalid comparison operator: {other}"))),
    }))
}

/// A part of a version: a number, or a text.
#[derive(Debug, PartialEq)]
enum Part {
    Number(u128),
    Text(String),
}

/// The parts of a version: numbers, runs of lower-case letters, and what is between them, without dots.
fn loose(version: &str) -> Vec<Part> {
    let kind = |character: char| match character {
        '0'..='9' => 0,
        'a'..='z' => 1,
        '.' => 2,
        _ => 3,
    };
    let characters: Vec<char> = version.chars().collect();
    // Each dot is a part of its own, so that two of them have nothing between them.
    characters
        .chunk_by(|left, right| kind(*left) == kind(*right))
        .filter(|run| run[0] != '.')
        .map(|run| {
            let text: String = run.iter().collect();
            text.parse().map_or(Part::Text(text), Part::Number)
        })
        .collect()
}

fn loose_order(left: &str, right: &str) -> Result<Ordering, Error> {
    let (left, right) = (loose(left), loose(right));
    for pair in left.iter().zip(&right) {
        let order = match pair {
            (Part::Number(left), Part::Number(right)) => left.cmp(right),
            (Part::Text(left), Part::Text(right)) => left.cmp(right),
            _ => return Err(invalid("'<' not supported between instances of 'str' and 'int'")),
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(left.len().cmp(&right.len()))
}

/// Three numbers, and a mark of what comes before them: a version without one is later than those with one.
fn strict(version: &str) -> Result<([u128; 3], bool, char, u128), Error> {
    let damaged = || invalid(format!("invalid version number '{version}'"));
    let (numbers, before) = match version.find(['a', 'b']) {
        Some(index) => version.split_at(index),
        None => (version, ""),
    };
    let digits = |text: &str| -> Result<u128, Error> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(damaged());
        }
        text.parse().map_err(|_| damaged())
    };
    let numbers: Vec<u128> = numbers.split('.').map(digits).collect::<Result<_, _>>()?;
    let numbers = match numbers[..] {
        [major, minor] => [major, minor, 0],
        [major, minor, patch] => [major, minor, patch],
        _ => return Err(damaged()),
    };
    let mut rest = before.chars();
    match rest.next() {
        Some(mark) => Ok((numbers, false, mark, digits(rest.as_str())?)),
        None => Ok((numbers, true, ' ', 0)),
    }
}

fn metadata(arguments: &Arguments) -> Outcome {
    let (vendor, system, version) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
    let is_junos = vendor == "juniper" && system == "junos";
    let mut pairs = if is_junos {
        junos(arguments, &version)?
    } else {
        basic(arguments, &version)?
    };
    pairs.push(("vendor_metadata", Value::from(is_junos)));
    Ok(Value::from_pairs(pairs))
}

type Pairs = Vec<(&'static str, Value)>;

fn named(
    arguments: &Arguments,
    pattern: &str,
    version: &str,
    names: &[&'static str],
) -> Result<Option<Pairs>, Error> {
    let regex = arguments.regex(pattern, Flags::default(), version)?;
    let found = regex::search(&regex, version)?;
    Ok(found.map(|found| {
        let value = |name: &&'static str| {
            let group = found.name(name);
            (
                *name,
                group.map_or_else(none, |group| Value::from(group.as_str())),
            )
        };
        names.iter().map(value).collect()
    }))
}

fn basic(arguments: &Arguments, version: &str) -> Result<Pairs, Error> {
    let all = ["major", "minor", "patch", "prerelease", "buildmetadata"];
    if let Some(pairs) = named(arguments, SEMANTIC, version, &all)? {
        return Ok(pairs);
    }
    let pairs = named(arguments, BASIC, version, &all[..2])?;
    Ok(pairs.unwrap_or_else(|| {
        vec![(
            "Error",
            Value::from("Unable to evaluate the version number entered."),
        )]
    }))
}

fn junos(arguments: &Arguments, version: &str) -> Result<Pairs, Error> {
    let mut parts = version.split(['-', ':']);
    let core = parts.next().unwrap_or_default();
    let main = named(arguments, JUNOS, core, &["main", "minor", "type", "build"])?
        .ok_or_else(|| invalid(format!("'{version}' is no version of Junos")))?;
    let get = |pairs: &Pairs, name: &str| {
        let value = pairs
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value);
        value.cloned().unwrap_or_else(none)
    };
    let service_names = ["service", "service_build", "service_respin"];
    let service = match parts.next() {
        Some(part) => named(arguments, JUNOS_SERVICE, part, &service_names)?.unwrap_or_default(),
        None => service_names.map(|name| (name, none())).to_vec(),
    };
    let lower = |value: &Value| value.as_str().map(str::to_lowercase).unwrap_or_default();
    let early = |value: &Value| {
        value
            .as_str()
            .and_then(|text| text.parse::<u64>().ok())
            .is_none_or(|number| number <= 1)
    };
    let (kind, build) = (lower(&get(&main, "type")), get(&main, "build"));
    let (service_kind, service_build) = (lower(&get(&service, "service")), get(&service, "service_build"));
    let first = kind == "r" && early(&build);
    let mut pairs = vec![
        ("isservice", Value::from(service_kind == "s" || kind == "s")),
        ("ismaintenance", Value::from(kind == "r" && !first)),
        (
            "isfrs",
            Value::from(first || service_kind == "d" && early(&service_build)),
        ),
        ("isspecial", Value::from(kind == "x")),
    ];
    pairs.extend(service);
    let (major, patch) = (get(&main, "main"), build);
    pairs.extend(main);
    pairs.extend([("major", major), ("patch", patch)]);
    Ok(pairs)
}
