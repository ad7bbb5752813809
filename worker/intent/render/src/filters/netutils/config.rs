//! Lines of configurations.

use minijinja::value::Tuple;
use minijinja::{Error, Value};

use crate::filters::arguments::{Arguments, Filter, Outcome, text};
use crate::filters::regex::{self, Flags};

pub(super) const FILTERS: &[Filter] = &[
    ("clean_config", "config filters", |arguments| {
        replaced(arguments, |_| Ok(String::new()))
    }),
    ("sanitize_config", "config filters?", |arguments| {
        replaced(arguments, |filter| text(&filter.get_attr("replace")?))
    }),
    (
        "find_unordered_cfg_lines",
        "intended_cfg actual_cfg",
        |arguments| {
            let (intended, actual) = (arguments.text(0)?, arguments.text(1)?);
            let (intended, actual): (Vec<&str>, Vec<&str>) =
                (intended.lines().collect(), actual.lines().collect());
            let pair = |(left, right): (&&str, &&str)| {
                Value::from(Tuple::from([Value::from(*left), Value::from(*right)]))
            };
            let differ = |(left, right): &(&&str, &&str)| left != right;
            let moved: Vec<Value> = if intended.len() == actual.len() {
                intended.iter().zip(&actual).filter(differ).map(pair).collect()
            } else {
                Vec::new()
            };
            let all_there = intended.iter().all(|line| actual.contains(line));
            Ok(Value::from(Tuple::from([
                Value::from(all_there),
                Value::from(moved),
            ])))
        },
    ),
];

/// Replaces what the regexes of a list of filters match.
fn replaced(arguments: &Arguments, replacement: impl Fn(&Value) -> Result<String, Error>) -> Outcome {
    let mut config = arguments.text(0)?;
    let flags = Flags {
        multi_line: true,
        ..Flags::default()
    };
    let filters = match arguments.some(1) {
        Some(_) => arguments.list(1)?,
        None => Vec::new(),
    };
    for filter in filters {
        let regex = arguments.regex(&text(&filter.get_attr("regex")?)?, flags, &config)?;
        config = regex::replace(&regex, &replacement(&filter)?, &config, 0)?.0;
    }
    Ok(Value::from(config))
}
