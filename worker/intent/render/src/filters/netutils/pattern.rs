//! The regexes of netutils, which are the value that is filtered: `pattern | regex_search(text)`.

use minijinja::Value;

use crate::filters::arguments::{Arguments, Filter, Outcome, none};
use crate::filters::regex::{self, Flags};

/// `regex_search` and `regex_findall` are Ansible's too, with the text as the value: they are told apart in `ansible::pattern`.
pub(super) const FILTERS: &[Filter] = &[
    ("regex_match", "pattern string", |arguments| {
        let (pattern, text) = (arguments.text(0)?, arguments.text(1)?);
        let regex = arguments.regex(&format!(r"\A(?:{pattern})"), Flags::default(), &text)?;
        found(&regex, &text)
    }),
    ("regex_split", "pattern string maxsplit?", |arguments| {
        let (pattern, text) = (arguments.text(0)?, arguments.text(1)?);
        let regex = arguments.regex(&pattern, Flags::default(), &text)?;
        let most = usize::try_from(arguments.integer_or(2, 0)?);
        // A negative number splits nothing.
        most.map_or_else(
            |_| Ok(Value::from(vec![Value::from(text.as_str())])),
            |most| regex::split(&regex, &text, most),
        )
    }),
    ("regex_sub", "pattern repl string count?", |arguments| {
        let (pattern, replacement, text) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
        let regex = arguments.regex(&pattern, Flags::default(), &text)?;
        let count = usize::try_from(arguments.integer_or(3, 0)?).unwrap_or(0);
        regex::replace(&regex, &replacement, &text, count).map(|(text, _)| Value::from(text))
    }),
];

/// What `regex_search` of netutils returns.
pub(in crate::filters) fn search(arguments: &Arguments) -> Outcome {
    let (pattern, text) = (arguments.text(0)?, arguments.text(1)?);
    let regex = arguments.regex(&pattern, Flags::default(), &text)?;
    found(&regex, &text)
}

/// The text of the first match, or a list of its groups if it has any.
fn found(regex: &fancy_regex::Regex, text: &str) -> Outcome {
    Ok(match regex::search(regex, text)? {
        None => none(),
        Some(found) if found.len() > 1 => (1..found.len())
            .map(|index| regex::group(&found, index))
            .collect(),
        Some(found) => regex::group(&found, 0),
    })
}
