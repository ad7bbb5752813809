//! Takes typed values out of the settings, and remembers everything that is wrong on the way.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use toml::Value;

use super::duration;
use super::problem::{ConfigProblem, ConfigProblems, Origin};
use super::source::{Setting, Settings};

/// Reads settings by key. What nobody asked for is unknown, and refused at the end.
pub(super) struct Reader {
    settings: Settings,
    known: BTreeSet<String>,
}

impl Reader {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            known: BTreeSet::new(),
        }
    }

    /// The text of a key.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let setting = self.take(key)?;
        match setting.value {
            Value::String(text) if !text.is_empty() => Some(text),
            Value::String(_) => self.refuse(key, &setting.origin, "is empty"),
            other => self.refuse(key, &setting.origin, wrong(&other, "text in quotes")),
        }
    }

    /// A path.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// The text of a key as a value; `allowed` completes "must be …".
    pub(super) fn value<T: FromStr>(&mut self, key: &str, default: T, allowed: &str) -> T {
        let Some(origin) = self.origin(key) else {
            self.known.insert(key.to_owned());
            return default;
        };
        let Some(text) = self.text(key) else {
            return default;
        };
        match text.parse() {
            Ok(value) => value,
            Err(_) => self
                .refuse(key, &origin, format!("is {text:?}, must be {allowed}"))
                .unwrap_or(default),
        }
    }

    /// A whole number within bounds.
    pub(super) fn number<T>(&mut self, key: &str, default: T, bounds: RangeInclusive<T>) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        let Some(setting) = self.take(key) else {
            return default;
        };
        let number = match &setting.value {
            Value::Integer(number) => T::try_from(*number).ok(),
            Value::String(text) if setting.origin.rank() > 0 => text
                .parse::<i64>()
                .ok()
                .and_then(|number| T::try_from(number).ok()),
            _ => None,
        };
        if let Some(number) = number.filter(|number| bounds.contains(number)) {
            return number;
        }
        let allowed = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.refuse(key, &setting.origin, wrong(&setting.value, &allowed))
            .unwrap_or(default)
    }

    /// A time such as "30d", "12h" or "1m 30s"; a day has 24 hours. `why` says why it cannot be less, if there is more to
    /// say.
    pub(super) fn duration(
        &mut self,
        key: &str,
        default: Duration,
        bounds: RangeInclusive<Duration>,
        why: Option<&str>,
    ) -> Duration {
        let Some(setting) = self.take(key) else {
            return default;
        };
        let read = setting.value.as_str().and_then(duration::read);
        let reason = match read {
            Some(read) if bounds.contains(&read) => return read,
            Some(read) if read < *bounds.start() => why,
            _ => None,
        };
        let (least, most) = (duration::shown(*bounds.start()), duration::shown(*bounds.end()));
        let allowed = format!(
            "a time from {least} to {most}, such as \"{}\"",
            duration::shown(default)
        );
        let mut problem = wrong(&setting.value, &allowed);
        if let Some(reason) = reason {
            problem = format!("{problem}: {reason}");
        }
        self.refuse(key, &setting.origin, problem).unwrap_or(default)
    }

    /// A value that may be absent; `allowed` completes "must be …".
    pub(super) fn optional<T: FromStr>(&mut self, key: &str, allowed: &str) -> Option<T> {
        let origin = self.origin(key);
        let text = self.text(key)?;
        text.parse().ok().or_else(|| {
            let reason = format!("is {text:?}, must be {allowed}");
            self.problem(key, origin.as_ref(), reason);
            None
        })
    }

    /// A number from 0 to 1.
    pub(super) fn share(&mut self, key: &str, default: f64) -> f64 {
        let Some(setting) = self.take(key) else {
            return default;
        };
        let number = match &setting.value {
            Value::Float(number) => Some(*number),
            Value::Integer(0) => Some(0.0),
            Value::Integer(1) => Some(1.0),
            Value::String(text) if setting.origin.rank() > 0 => text.parse().ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| (0.0..=1.0).contains(number)) {
            return number;
        }
        self.refuse(
            key,
            &setting.origin,
            wrong(&setting.value, "a number from 0.0 to 1.0"),
        )
        .unwrap_or(default)
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        let Some(setting) = self.take(key) else {
            return default;
        };
        let flag = match &setting.value {
            Value::Boolean(flag) => Some(*flag),
            Value::String(text) if setting.origin.rank() > 0 => text.parse().ok(),
            _ => None,
        };
        match flag {
            Some(flag) => flag,
            None => self
                .refuse(key, &setting.origin, wrong(&setting.value, "true or false"))
                .unwrap_or(default),
        }
    }

    /// A list of values; outside the file also as text with commas.
    pub(super) fn list<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<Vec<T>> {
        let setting = self.take(key)?;
        let texts: Option<Vec<String>> = match &setting.value {
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect(),
            Value::String(text) if setting.origin.rank() > 0 => Some(
                text.split(',')
                    .map(|part| part.trim().to_owned())
                    .filter(|part| !part.is_empty())
                    .collect(),
            ),
            _ => None,
        };
        let Some(texts) = texts else {
            return self.refuse(
                key,
                &setting.origin,
                wrong(&setting.value, "a list of texts, such as [\"a\", \"b\"]"),
            );
        };
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            match text.parse() {
                Ok(value) => values.push(value),
                Err(error) => {
                    self.problem(key, Some(&setting.origin), format!("{error}"));
                }
            }
        }
        Some(values)
    }

    /// A secret: the key itself, or the file that `KEY_file` names. The one from the later origin wins.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let file_key = format!("{key}_file");
        let (direct, file) = (self.origin(key), self.origin(&file_key));
        let text = self.text_of_secret(key);
        let path = self.path(&file_key);
        match (direct, file) {
            (Some(direct), Some(file)) if direct.rank() == file.rank() => self.refuse(
                &file_key,
                &file,
                format!("is set beside {key}; set one of the two"),
            ),
            (Some(direct), file) if file.as_ref().is_none_or(|file| file.rank() < direct.rank()) => text,
            (_, Some(origin)) => self.secret_from(&file_key, &origin, &path?),
            _ => None,
        }
    }

    fn text_of_secret(&mut self, key: &str) -> Option<SecretString> {
        let setting = self.take(key)?;
        match setting.value {
            Value::String(text) if !text.is_empty() => Some(text.into()),
            _ => self.refuse(key, &setting.origin, "must be text in quotes, and not empty"),
        }
    }

    fn secret_from(&mut self, key: &str, origin: &Origin, path: &std::path::Path) -> Option<SecretString> {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim_end().is_empty() => {
                self.refuse(key, origin, format!("{} is empty", path.display()))
            }
            Ok(text) => Some(text.trim_end().to_owned().into()),
            Err(error) => self.refuse(key, origin, format!("cannot read {}: {error}", path.display())),
        }
    }

    /// How many elements a list of tables has.
    pub(super) fn count(&mut self, key: &str) -> usize {
        self.known.insert(key.to_owned());
        let empty = |setting: &Setting| matches!(&setting.value, Value::Array(items) if items.is_empty());
        if self.settings.values.get(key).is_some_and(empty) {
            self.settings.values.remove(key);
        }
        let index = |other: &String| -> Option<usize> {
            let (index, _) = other.strip_prefix(key)?.strip_prefix('[')?.split_once(']')?;
            index.parse().ok()
        };
        self.settings
            .values
            .keys()
            .filter_map(index)
            .max()
            .map_or(0, |last| last + 1)
    }

    /// The names of the sections below a key, such as `main` of `[cvp.main]`; `example` is one for people.
    pub(super) fn sections(&mut self, key: &str, example: &str) -> BTreeSet<String> {
        self.known.insert(format!("{key}.NAME"));
        let below = |other: &String| Some(other.strip_prefix(key)?.strip_prefix('.')?.to_owned());
        let paths: Vec<String> = self.settings.values.keys().filter_map(below).collect();
        let mut names = BTreeSet::new();
        for path in paths {
            let full = format!("{key}.{path}");
            let origin = self.origin(&full);
            match path.split_once('.') {
                Some((name, _)) if is_section_name(name) => {
                    names.insert(name.to_owned());
                }
                Some((name, _)) => {
                    self.take(&full);
                    let reason =
                        format!("{name:?} is no name: a small letter, then small letters, digits, - and _");
                    self.problem(&full, origin.as_ref(), reason);
                }
                None => {
                    self.take(&full);
                    let reason = format!("belongs into a section with a name, such as [{key}.{example}]");
                    self.problem(&full, origin.as_ref(), reason);
                }
            }
        }
        names
    }

    /// Where the first key of a section is set.
    pub(super) fn origin_within(&self, section: &str) -> Option<Origin> {
        let within = |key: &String| {
            key.strip_prefix(section)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        let mut keys = self.settings.values.iter().filter(|(key, _)| within(key));
        keys.next().map(|(_, setting)| setting.origin.clone())
    }

    /// Where a key is set, if it is.
    pub(super) fn origin(&self, key: &str) -> Option<Origin> {
        self.settings
            .values
            .get(key)
            .map(|setting| setting.origin.clone())
    }

    /// Remembers a problem with a key.
    pub(super) fn problem(&mut self, key: &str, origin: Option<&Origin>, reason: impl Into<String>) {
        self.settings.problems.push(ConfigProblem {
            key: key.to_owned(),
            origin: origin.map(Origin::to_string),
            reason: reason.into(),
        });
    }

    /// Everything that is wrong, or nothing.
    pub(super) fn finish(mut self) -> Result<(), ConfigProblems> {
        let left: Vec<(String, Origin)> = self
            .settings
            .values
            .iter()
            .map(|(key, setting)| (key.clone(), setting.origin.clone()))
            .collect();
        for (key, origin) in left {
            let reason = self.unknown(&key);
            self.problem(&key, Some(&origin), reason);
        }
        if self.settings.problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigProblems(self.settings.problems))
        }
    }

    /// Says what there is in the place of a key that there is not.
    fn unknown(&self, key: &str) -> String {
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        let within = |known: &String| -> Option<String> {
            let rest = if section.is_empty() {
                known
            } else {
                known.strip_prefix(section)?.strip_prefix('.')?
            };
            let name = rest.split(['.', '[']).next()?;
            Some(name.to_owned())
        };
        let names: BTreeSet<String> = self.known.iter().filter_map(within).collect();
        let names: Vec<String> = names.into_iter().collect();
        if !names.is_empty() {
            return format!("is no key; there are {}", names.join(", "));
        }
        let sections: BTreeSet<&str> = self
            .known
            .iter()
            .filter_map(|known| known.split_once('.'))
            .map(|(first, _)| first)
            .collect();
        let sections: Vec<&str> = sections.into_iter().collect();
        format!("is in no section there is; there are {}", sections.join(", "))
    }

    fn take(&mut self, key: &str) -> Option<Setting> {
        self.known.insert(key.to_owned());
        self.settings.values.remove(key)
    }

    fn refuse<T>(&mut self, key: &str, origin: &Origin, reason: impl Into<String>) -> Option<T> {
        self.problem(key, Some(origin), reason);
        None
    }
}

/// What a variable can name, too: `LOCKSTEP__CVP__NAME__KEY`.
fn is_section_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits) && !name.contains("__")
}

fn wrong(value: &Value, allowed: &str) -> String {
    format!("is {value}, must be {allowed}")
}
