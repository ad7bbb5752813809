//! The regexes of Ansible, by which a text is filtered: `text | regex_search(pattern)`.

use minijinja::{Error, Value};

use crate::filters::arguments::{Arguments, Filter, Outcome, invalid, none, python_int};
use crate::filters::netutils;
use crate::filters::regex::{self, Flags};

const SEARCH: &str = "value regex *groups ignorecase? multiline?";
const FIND_ALL: &str = "value regex multiline? ignorecase?";

/// The filters of Ansible under their short names. netutils has `regex_search` and `regex_findall` too, with pattern and text the
/// other way round: these are netutils', unless an argument is one that only Ansible's take.
pub(super) const FILTERS: &[Filter] = &[
    ("regex_search", SEARCH, |arguments| {
        if arguments.rest().is_empty() && !arguments.has(2) && !arguments.has(3) {
            netutils::regex_search(arguments)
        } else {
            search(arguments)
        }
    }),
    ("regex_findall", FIND_ALL, |arguments| {
        if arguments.has(2) || arguments.has(3) {
            return find_all(arguments);
        }
        let (pattern, text) = (arguments.text(0)?, arguments.text(1)?);
        regex::findall(&*arguments.regex(&pattern, Flags::default(), &text)?, &text)
    }),
    REPLACE,
    ESCAPE,
];

/// The filters of Ansible under the name of its collection.
pub(super) const BUILTIN: &[Filter] = &[
    ("regex_search", SEARCH, search),
    ("regex_findall", FIND_ALL, find_all),
    REPLACE,
    ESCAPE,
];

const REPLACE: Filter = (
    "regex_replace",
    "value? pattern? replacement? ignorecase? multiline? count? mandatory_count?",
    |arguments| {
        let text = arguments.value(0).to_string();
        let flags = Flags {
            ignore_case: arguments.is_true(3),
            multi_line: arguments.is_true(4),
        };
        let pattern = arguments.text_or(1, "")?;
        let regex = arguments.regex(&pattern, flags, &text)?;
        let count = usize::try_from(arguments.integer_or(5, 0)?).unwrap_or(0);
        let (replaced, found) = regex::replace(&regex, &arguments.text_or(2, "")?, &text, count)?;
        let wanted = arguments.integer_or(6, 0)?;
        if wanted != 0 && wanted != found as i128 {
            return Err(invalid(format!(
                "'{pattern}' should match {wanted} times, but matches {found} times in '{text}'"
            )));
        }
        Ok(Value::from(replaced))
    },
);

const ESCAPE: Filter = ("regex_escape", "string re_type?", |arguments| {
    let text = arguments.value(0).to_string();
    match arguments.text_or(1, "python")?.as_str() {
        "python" => Ok(Value::from(regex::escape(&text))),
        "posix_basic" => Ok(Value::from(escaped(&text, "[].^$*\\"))),
        other => Err(invalid(format!("Invalid regex type ({other})"))),
    }
});

fn escaped(text: &str, special: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if special.contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn search(arguments: &Arguments) -> Outcome {
    let text = arguments.value(0).to_string();
    let flags = Flags {
        ignore_case: arguments.is_true(2),
        multi_line: arguments.is_true(3),
    };
    let regex = arguments.regex(&arguments.text(1)?, flags, &text)?;
    let groups = arguments
        .rest()
        .iter()
        .map(|group| number_of_group(&regex, group))
        .collect::<Result<Vec<usize>, Error>>()?;
    Ok(match regex::search(&regex, &text)? {
        None => none(),
        Some(found) if groups.is_empty() => regex::group(&found, 0),
        Some(found) => groups.iter().map(|index| regex::group(&found, *index)).collect(),
    })
}

/// The number of a group that is named `\1` or `\g<name>`.
fn number_of_group(regex: &fancy_regex::Regex, group: &Value) -> Result<usize, Error> {
    let text = group.as_str().unwrap_or_default();
    let by_name = |name: &str| regex.capture_names().position(|known| known == Some(name));
    let by_number = |text: &str| {
        let number = python_int(text).and_then(|number| usize::try_from(number).ok());
        number.filter(|number| *number < regex.captures_len())
    };
    let found = match text.strip_prefix("\\g<").and_then(|rest| rest.strip_suffix('>')) {
        Some(name) => by_name(name).or_else(|| by_number(name)),
        None => text.strip_prefix('\\').and_then(by_number),
    };
    found.ok_or_else(|| {
        invalid(format!(
            "{group:?} names no group of the regex: write '\\1' or '\\g<name>'"
        ))
    })
}

fn find_all(arguments: &Arguments) -> Outcome {
    let text = arguments.value(0).to_string();
    let flags = Flags {
        multi_line: arguments.is_true(2),
        ignore_case: arguments.is_true(3),
    };
    regex::findall(&*arguments.regex(&arguments.text(1)?, flags, &text)?, &text)
}
