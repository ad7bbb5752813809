//! Python's `re` by fancy-regex: its syntax is translated, and matches are found one after another as `re` finds them.

mod translate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fancy_regex::{Regex, RegexBuilder};
use minijinja::{Error, Value};

use super::arguments::{MOST_ITEMS, invalid, none, too_many};

/// A match of a text.
pub(super) type Captures<'t> = fancy_regex::Captures<'t, str>;

/// The most bytes of a regex.
const MOST_PATTERN_BYTES: usize = 8 << 10;
/// The most bytes that a part of a regex may take when it is compiled.
const MOST_COMPILED_BYTES: usize = 1 << 20;
/// The most steps of back-tracking that one match may take.
const MOST_STEPS: usize = 200_000;
/// How many compiled regexes are kept.
const MOST_COMPILED: usize = 128;

/// The flags of a regex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    pattern: String,
    flags: Flags,
    before_newline: bool,
}

/// The regexes of an environment, compiled when they are first used.
#[derive(Debug, Default)]
pub(super) struct Regexes(Mutex<HashMap<Key, Arc<Regex>>>);

impl Regexes {
    /// A regex to be used on a text.
    pub(super) fn get(&self, pattern: &str, flags: Flags, text: &str) -> Result<Arc<Regex>, Error> {
        let key = Key {
            pattern: pattern.to_owned(),
            flags,
            // `$` matches before a newline at the end too, which takes a look-ahead; few texts end so.
            before_newline: text.ends_with('\n'),
        };
        let mut compiled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = compiled.get(&key) {
            return Ok(Arc::clone(regex));
        }
        let regex = Arc::new(compile(&key)?);
        if compiled.len() == MOST_COMPILED {
            compiled.clear();
        }
        compiled.insert(key, Arc::clone(&regex));
        Ok(regex)
    }
}

fn compile(key: &Key) -> Result<Regex, Error> {
    let Key {
        pattern,
        flags,
        before_newline,
    } = key;
    if pattern.len() > MOST_PATTERN_BYTES {
        return Err(invalid(format!(
            "the regex has more than {MOST_PATTERN_BYTES} bytes"
        )));
    }
    let translated = translate::pattern(pattern, *before_newline && !flags.multi_line)
        .map_err(|problem| invalid(format!("regex '{pattern}': {problem}")))?;
    RegexBuilder::new(&translated)
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .backtrack_limit(MOST_STEPS)
        .delegate_size_limit(MOST_COMPILED_BYTES)
        .build()
        .map_err(|error| invalid(format!("regex '{pattern}': {error}")))
}

/// The first match in a text.
pub(super) fn search<'t>(regex: &Regex, text: &'t str) -> Result<Option<Captures<'t>>, Error> {
    regex.captures(text).map_err(|error| failed(&error))
}

/// All matches that do not overlap: an empty one may follow another directly, as since Python 3.7.
pub(super) fn find_all<'t>(regex: &Regex, text: &'t str, most: usize) -> Result<Vec<Captures<'t>>, Error> {
    let mut all = Vec::new();
    let mut position = 0;
    while position <= text.len() && all.len() < most {
        let Some(found) = regex
            .captures_from_pos(text, position)
            .map_err(|error| failed(&error))?
        else {
            break;
        };
        let Some(whole) = found.get(0) else { break };
        let (start, end) = (whole.start(), whole.end());
        position = if start == end {
            end + text[end..].chars().next().map_or(1, char::len_utf8)
        } else {
            end
        };
        if all.len() == MOST_ITEMS {
            return Err(too_many());
        }
        all.push(found);
    }
    Ok(all)
}

fn failed(error: &fancy_regex::Error) -> Error {
    invalid(format!("the regex cannot be matched: {error}"))
}

/// What `re.findall` returns: texts of the matches, of their only group, or tuples of their groups.
pub(super) fn findall(regex: &Regex, text: &str) -> Result<Value, Error> {
    let group = |found: &Captures<'_>, index: usize| {
        Value::from(found.get(index).map_or("", |group| group.as_str()).to_owned())
    };
    let found = find_all(regex, text, usize::MAX)?;
    Ok(found
        .iter()
        .map(|found| match found.len() {
            1 => group(found, 0),
            2 => group(found, 1),
            groups => Value::from(minijinja::value::Tuple::new(
                (1..groups).map(|index| group(found, index)).collect(),
            )),
        })
        .collect())
}

/// What `re.subn` returns; a count of 0 replaces all.
pub(super) fn replace(
    regex: &Regex,
    replacement: &str,
    text: &str,
    count: usize,
) -> Result<(String, usize), Error> {
    let replacement = translate::replacement(replacement, regex).map_err(invalid)?;
    let found = find_all(regex, text, if count == 0 { usize::MAX } else { count })?;
    let mut result = String::with_capacity(text.len());
    let mut position = 0;
    for captures in &found {
        let Some(whole) = captures.get(0) else { continue };
        result.push_str(&text[position..whole.start()]);
        for part in &replacement {
            match part {
                translate::Part::Text(text) => result.push_str(text),
                translate::Part::Group(group) => {
                    result.push_str(captures.get(*group).map_or("", |group| group.as_str()));
                }
            }
            if result.len() > 64 << 20 {
                return Err(invalid("the result has more than 64 MiB"));
            }
        }
        position = whole.end();
    }
    result.push_str(&text[position..]);
    Ok((result, found.len()))
}

/// What `re.split` returns: the texts between the matches, and their groups.
pub(super) fn split(regex: &Regex, text: &str, most: usize) -> Result<Value, Error> {
    let found = find_all(regex, text, if most == 0 { usize::MAX } else { most })?;
    let mut parts = Vec::new();
    let mut position = 0;
    for captures in &found {
        let Some(whole) = captures.get(0) else { continue };
        parts.push(Value::from(&text[position..whole.start()]));
        for index in 1..captures.len() {
            parts.push(group(captures, index));
        }
        position = whole.end();
    }
    parts.push(Value::from(&text[position..]));
    Ok(Value::from(parts))
}

/// A group of a match; none if it took no part.
pub(super) fn group(captures: &Captures<'_>, index: usize) -> Value {
    captures
        .get(index)
        .map_or_else(none, |group| Value::from(group.as_str()))
}

/// What `re.escape` returns.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(pattern: &str, replacement: &str, text: &str) -> Result<String, String> {
        let regexes = Regexes::default();
        let regex = regexes
            .get(pattern, Flags::default(), text)
            .map_err(|error| error.to_string())?;
        replace(&regex, replacement, text, 0)
            .map(|(text, _)| text)
            .map_err(|error| error.to_string())
    }

    /// Each result is what `re.sub` of Python 3.11 returns.
    #[test]
    fn replaces_as_python_does() {
        let cases = [
            ("x*", "-", "abxd", "-a-b--d-"),
            ("(a)(b)?", r"<\1\2>", "abac", "<ab><a>c"),
            (r"(?P<n>\d+)", r"[\g<n>\g<1>]", "a12", "a[1212]"),
            (r"\.", r"\\", "a.b", r"a\b"),
            (r"$", "!", "a\n", "a!\n!"),
            (r"a\Z", "b", "a\n", "a\n"),
            ("[[a]", "x", "[ab", "xxb"),
            ("[]a]", "x", "]ab", "xxb"),
            (r"[\]&&-]", "x", "a&]-", "axxx"),
            (r"\<\>", "x", "<>", "x"),
            ("a{,2}b", "x", "aaab", "ax"),
            ("{a}", "x", "{a}", "x"),
            ("(?i)AB(?#comment)", "x", "ab", "x"),
            (r"(?P<q>['\x22]).*?(?P=q)", "s", "say 'a' \"b\"", "say s s"),
            (r"\bä\w", "x", "äö aö", "x aö"),
            ("a", r"\.\n", "a", "\\.\n"),
        ];
        for (pattern, replacement, text, expected) in cases {
            assert_eq!(
                sub(pattern, replacement, text).as_deref(),
                Ok(expected),
                "{pattern}"
            );
        }
    }

    #[test]
    fn what_python_refuses_is_refused_with_the_regex() {
        for (pattern, replacement, expected) in [
            (r"\h", "", "bad escape \\h"),
            ("(", "", "regex '('"),
            ("a", r"\1", "invalid group reference 1"),
            ("a", r"\g<n>", "unknown group name 'n'"),
            ("a", r"\q", "bad escape \\q"),
            ("a\\", "", "bad escape (end of pattern)"),
        ] {
            let error = sub(pattern, replacement, "a").unwrap_err();
            assert!(error.contains(expected), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_match_that_takes_too_many_steps_ends() {
        let text = "a".repeat(64);
        let error = sub(r"(a|aa)+\1b$", "", &text).unwrap_err();
        assert!(error.contains("cannot be matched"), "{error}");
        let error = sub(&"a".repeat(9000), "", "a").unwrap_err();
        assert!(error.contains("more than 8192 bytes"), "{error}");
    }

    #[test]
    fn no_more_regexes_are_kept_than_the_bound() {
        let regexes = Regexes::default();
        for number in 0..300 {
            regexes.get(&format!("a{number}"), Flags::default(), "").unwrap();
        }
        assert!(regexes.0.lock().unwrap().len() <= MOST_COMPILED);
    }
}
