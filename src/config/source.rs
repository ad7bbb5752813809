//! Collects settings from the file, the environment and the command line into one map of keys, each with its origin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigProblem, Origin};
use crate::local_file;

/// The prefix of variables that set keys: `LOCKSTEP__SECTION__KEY`.
const PREFIX: &str = "LOCKSTEP__";

/// A value and its origin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Setting {
    /// The value parsed from text, which the environment and flags have instead of numbers and booleans.
    pub(super) fn parsed<T: FromStr>(&self) -> Option<T> {
        self.outside()?.parse().ok()
    }

    /// A list of texts; outside the file also one text with commas.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        if let Some(text) = self.outside() {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            return Some(parts.map(str::to_owned).collect());
        }
        let items = self.value.as_array()?.iter();
        items.map(|item| item.as_str().map(str::to_owned)).collect()
    }

    /// Text that does not come from the file.
    fn outside(&self) -> Option<&str> {
        let outside = !matches!(self.origin, Origin::File { .. });
        self.value.as_str().filter(|_| outside)
    }
}

/// All settings by key: `broker.url`, `console.tokens[0].name`.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) values: BTreeMap<String, Setting>,
    pub(super) problems: Vec<ConfigProblem>,
    /// The variables of the process, for keys that name one.
    pub(super) variables: BTreeMap<String, String>,
    /// What others may do with the files.
    pub(super) warnings: Vec<String>,
    /// That every user may read the configuration file, which matters if it contains a secret.
    pub(super) readable: Option<String>,
}

impl Settings {
    /// Reads a configuration file.
    pub(super) fn add_file(&mut self, path: &Path, found: local_file::Origin) {
        let text = match local_file::read(path, found) {
            Ok(contents) => {
                self.warnings.extend(contents.writable);
                self.readable = contents.readable;
                contents.text
            }
            Err(error) => {
                self.refuse("", None, format!("{error:#}"));
                return;
            }
        };
        let place = Place { path, text: &text };
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            // Only the message: the snippet that comes with it may contain a secret.
            let line = error.span().map_or(1, |span| place.line(span.start));
            let origin = format!("{}:{line}", path.display());
            self.refuse(
                "",
                Some(origin),
                format!("is not valid TOML: {}", error.message()),
            );
        }
        self.add_table("", table.get_ref(), &place);
    }

    /// Reads the variables that set keys.
    pub(super) fn add_environment(&mut self, variables: &BTreeMap<String, String>) {
        self.variables.clone_from(variables);
        for (name, text) in variables {
            let Some(path) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let origin = Origin::Environment(name.clone());
            let key = key_of(path);
            match from_text(text) {
                Ok(value) => self.replace(&key, value, &origin),
                Err(reason) => self.refuse(&key, Some(name.clone()), reason),
            }
        }
    }

    /// Sets a key from a variable with a name of its own. An empty variable counts as not set.
    pub(super) fn add_variable(&mut self, variables: &BTreeMap<String, String>, name: &str, key: &str) {
        if let Some(text) = variables.get(name).filter(|text| !text.is_empty()) {
            let origin = Origin::Environment(name.to_owned());
            self.replace(key, Value::String(text.clone()), &origin);
        }
    }

    /// Sets a key from a flag.
    pub(super) fn add_flag(&mut self, flag: &'static str, key: &str, text: String) {
        self.replace(key, Value::String(text), &Origin::Flag(flag));
    }

    fn refuse(&mut self, key: &str, origin: Option<String>, reason: String) {
        let key = key.to_owned();
        self.problems.push(ConfigProblem { key, origin, reason });
    }

    fn add_table(&mut self, prefix: &str, table: &DeTable<'_>, place: &Place<'_>) {
        for (name, value) in table {
            let key = join(prefix, name.get_ref());
            self.add_value(key, value.get_ref(), name.span().start, place);
        }
    }

    fn add_value(&mut self, key: String, value: &DeValue<'_>, at: usize, place: &Place<'_>) {
        match value {
            DeValue::Table(table) => self.add_table(&key, table, place),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                for (index, item) in items.iter().enumerate() {
                    self.add_value(
                        format!("{key}[{index}]"),
                        item.get_ref(),
                        item.span().start,
                        place,
                    );
                }
            }
            plain => {
                let origin = Origin::File {
                    path: place.path.to_owned(),
                    line: place.line(at),
                };
                let value = plain_value(plain);
                self.values.insert(key, Setting { value, origin });
            }
        }
    }

    /// Sets a key, and removes every key below it.
    fn replace(&mut self, key: &str, value: Value, origin: &Origin) {
        let below = |other: &str| {
            other
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.values.retain(|other, _| !below(other));
        self.spread(key.to_owned(), value, origin);
    }

    fn spread(&mut self, key: String, value: Value, origin: &Origin) {
        match value {
            Value::Table(table) => {
                for (name, value) in table {
                    self.spread(join(&key, &name), value, origin);
                }
            }
            Value::Array(items) if items.iter().any(Value::is_table) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.spread(format!("{key}[{index}]"), item, origin);
                }
            }
            value => {
                let origin = origin.clone();
                self.values.insert(key, Setting { value, origin });
            }
        }
    }
}

/// A file and its text, to compute line numbers.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

/// `CONSOLE__TOKENS__0__NAME` becomes `console.tokens[0].name`.
fn key_of(path: &str) -> String {
    path.split("__").fold(String::new(), |key, part| {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("{key}[{part}]")
        } else {
            join(&key, &part.to_ascii_lowercase())
        }
    })
}

/// The value of a variable: text, or what TOML reads where it begins with a bracket.
fn from_text(text: &str) -> Result<Value, String> {
    if !text.trim_start().starts_with('[') {
        return Ok(Value::String(text.to_owned()));
    }
    let mut document: toml::Table = toml::from_str(&format!("value = {text}"))
        .map_err(|error| format!("is not a list in TOML: {}", error.message()))?;
    document
        .remove("value")
        .ok_or_else(|| "is not a list in TOML".to_owned())
}

fn plain_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::String(number.as_str().to_owned()),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => Value::Float(number),
            Err(_) => Value::String(number.as_str().to_owned()),
        },
        DeValue::Datetime(instant) => Value::Datetime(*instant),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| plain_value(item.get_ref())).collect()),
        DeValue::Table(table) => {
            let pair = |(name, value): (
                &toml::Spanned<std::borrow::Cow<'_, str>>,
                &toml::Spanned<DeValue<'_>>,
            )| { (name.get_ref().clone().into_owned(), plain_value(value.get_ref())) };
            Value::Table(table.iter().map(pair).collect())
        }
    }
}

/// The file to read: the named one, else `lockstep.toml` in the working directory if it exists.
pub(super) fn file(named: Option<&Path>) -> Option<(PathBuf, local_file::Origin)> {
    let default = || Some(PathBuf::from("lockstep.toml")).filter(|path| path.symlink_metadata().is_ok());
    match named {
        Some(path) => Some((path.to_owned(), local_file::Origin::Named)),
        None => default().map(|path| (path, local_file::Origin::Found)),
    }
}
