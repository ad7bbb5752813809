//! Reads typed values from the settings. It collects every problem, and the effective value of every key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use lockstep_protocol::mask_urls;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};
use toml::Value;

use super::duration;
use super::problem::{ConfigProblem, ConfigProblems, Origin};
use super::source::{Setting, Settings};
use crate::local_file;

/// The shortest token and webhook secret, in bytes: in hexadecimal digits they are 64 bits, which nobody guesses over a network.
pub(super) const LEAST_SECRET: usize = 16;

/// Reads settings by key. A setting that no section read is an unknown key.
pub(super) struct Reader {
    settings: Settings,
    /// Every key that was read.
    pub(super) keys: BTreeMap<String, Key>,
}

/// A secret that is fixed, or a file that is read when the secret is used.
#[derive(Clone, Debug)]
pub(crate) enum LateSecret {
    /// The secret.
    Fixed(SecretString),
    /// The file that contains it. It may be rotated.
    File(PathBuf),
}

/// What was read for a key.
#[derive(Debug, Default)]
pub(super) struct Key {
    /// The effective value, with secrets masked. None where the key is absent and has no default.
    effective: Option<Json>,
    /// The allowed range, such as "1 to 1000".
    pub(super) bounds: Option<String>,
}

impl Reader {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            keys: BTreeMap::new(),
        }
    }

    /// Text that is not empty.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let text = self.read(key, "text in quotes, and not empty", |setting| {
            Some(setting.value.as_str()?.to_owned()).filter(|text| !text.is_empty())
        })?;
        self.show(key, text.as_str());
        Some(text)
    }

    /// Text that is not empty, or a default.
    pub(super) fn text_or(&mut self, key: &str, default: &str) -> String {
        let text = self.text(key).unwrap_or_else(|| default.to_owned());
        self.show(key, text.as_str());
        text
    }

    /// The path of a file to read. One that every user may write is a problem.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let origin = self.origin(key);
        let path = self.text(key).map(PathBuf::from)?;
        if let Err(error) = local_file::check(&path) {
            self.problem(key, origin.as_ref(), format!("{error:#}"));
        }
        Some(path)
    }

    /// A value that is written as text; `allowed` completes "must be …".
    pub(super) fn value<T: FromStr + Display>(&mut self, key: &str, default: T, allowed: &str) -> T {
        let value = self.optional(key, allowed).unwrap_or(default);
        self.show(key, value.to_string());
        value
    }

    /// A value that is written as text and may be absent; `allowed` completes "must be …".
    pub(super) fn optional<T: FromStr + Display>(&mut self, key: &str, allowed: &str) -> Option<T> {
        let value: T = self.read(key, allowed, |setting| setting.value.as_str()?.parse().ok())?;
        self.show(key, value.to_string());
        Some(value)
    }

    /// A whole number within bounds.
    pub(super) fn number<T>(&mut self, key: &str, default: T, bounds: RangeInclusive<T>) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy + Into<Json>,
    {
        let allowed = format!("{} to {}", bounds.start(), bounds.end());
        let number = self.read(key, &format!("a whole number from {allowed}"), |setting| {
            let number = setting.value.as_integer().or_else(|| setting.parsed())?;
            T::try_from(number).ok().filter(|number| bounds.contains(number))
        });
        self.keep(key, number.unwrap_or(default), allowed)
    }

    /// A whole number within bounds that may be absent.
    pub(super) fn optional_number<T>(&mut self, key: &str, bounds: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy + Into<Json>,
    {
        let allowed = format!("{} to {}", bounds.start(), bounds.end());
        self.keys.entry(key.to_owned()).or_default().bounds = Some(allowed);
        self.origin(key)?;
        let default = *bounds.start();
        Some(self.number(key, default, bounds))
    }

    /// A number from 0 to 1.
    pub(super) fn ratio(&mut self, key: &str, default: f64) -> f64 {
        let allowed = "0.0 to 1.0".to_owned();
        let number = self.read(key, &format!("a number from {allowed}"), |setting| {
            let number = match setting.value {
                Value::Float(number) => number,
                Value::Integer(0) => 0.0,
                Value::Integer(1) => 1.0,
                _ => setting.parsed()?,
            };
            (0.0..=1.0).contains(&number).then_some(number)
        });
        self.keep(key, number.unwrap_or(default), allowed)
    }

    /// A duration such as "30d", "12h" or "1m 30s". `hint` ends the problem of a value that is not allowed.
    pub(super) fn duration(
        &mut self,
        key: &str,
        default: Duration,
        bounds: RangeInclusive<Duration>,
        hint: &str,
    ) -> Duration {
        let range = format!(
            "{} to {}",
            duration::shown(*bounds.start()),
            duration::shown(*bounds.end())
        );
        let example = duration::shown(default);
        let allowed = format!("a duration from {range}, such as \"{example}\"{hint}");
        let read = self.read(key, &allowed, |setting| {
            duration::read(setting.value.as_str()?).filter(|duration| bounds.contains(duration))
        });
        let duration = read.unwrap_or(default);
        self.keep(key, duration::shown(duration), range);
        duration
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        let flag = self.read(key, "true or false", |setting| {
            setting.value.as_bool().or_else(|| setting.parsed())
        });
        let flag = flag.unwrap_or(default);
        self.show(key, flag);
        flag
    }

    /// A list of values. The environment and flags may also write it as text with commas.
    pub(super) fn list<T: FromStr<Err: Display> + Display>(&mut self, key: &str, default: Vec<T>) -> Vec<T> {
        let origin = self.origin(key);
        let texts = self.read(key, "a list of texts, such as [\"a\", \"b\"]", Setting::texts);
        let values = match texts {
            None => default,
            Some(texts) => {
                let parse = |text: String| match text.parse() {
                    Ok(value) => Some(value),
                    Err(error) => {
                        self.problem(key, origin.as_ref(), format!("{error}"));
                        None
                    }
                };
                texts.into_iter().filter_map(parse).collect()
            }
        };
        let shown: Vec<String> = values.iter().map(T::to_string).collect();
        self.show(key, shown);
        values
    }

    /// A secret, from the key itself or from the file that `KEY_file` names. The later origin wins.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let file_key = format!("{key}_file");
        let (direct, file) = (self.origin(key), self.origin(&file_key));
        let text = self.text_of_secret(key);
        let path = self.path(&file_key);
        self.keys.insert(file_key.clone(), Key::default());
        let secret = match (direct, file) {
            (Some(direct), Some(file)) if direct.rank() == file.rank() => self.refuse(
                &file_key,
                &file,
                format!("is set beside {key}; set one of the two"),
            ),
            (Some(direct), file) if file.as_ref().is_none_or(|file| file.rank() < direct.rank()) => text,
            (_, Some(origin)) => self.secret_from(&file_key, &origin, &path?),
            _ => None,
        }?;
        self.show(key, "***");
        Some(secret)
    }

    /// A secret that others must not guess. A short one is a problem, which does not repeat it.
    pub(super) fn long_secret(&mut self, key: &str) -> Option<SecretString> {
        let origin = self.origin(key).or_else(|| self.origin(&format!("{key}_file")));
        let secret = self.secret(key)?;
        self.require_length(key, origin.as_ref(), &secret);
        Some(secret)
    }

    /// Refuses a secret that is too short.
    pub(super) fn require_length(&mut self, key: &str, origin: Option<&Origin>, secret: &SecretString) {
        if secret.expose_secret().len() < LEAST_SECRET {
            let reason = format!(
                "is shorter than {LEAST_SECRET} characters; generate one, for example with `openssl rand -hex 24`"
            );
            self.problem(key, origin, reason);
        }
    }

    fn text_of_secret(&mut self, key: &str) -> Option<SecretString> {
        let setting = self.take(key)?;
        match setting.value {
            Value::String(text) if !text.is_empty() => {
                // Addresses are read as secrets too; these have none.
                let is_secret = !text.starts_with("embedded") && !text.starts_with("sqlite:");
                if is_secret && matches!(setting.origin, Origin::File { .. }) {
                    let warning = self.settings.readable.take();
                    self.settings.warnings.extend(warning);
                }
                Some(text.into())
            }
            _ => self.refuse(key, &setting.origin, "must be text in quotes, and not empty"),
        }
    }

    fn secret_from(&mut self, key: &str, origin: &Origin, path: &Path) -> Option<SecretString> {
        match local_file::read(path, local_file::Origin::Named) {
            Ok(contents) if contents.text.trim_end().is_empty() => {
                self.refuse(key, origin, format!("{} is empty", path.display()))
            }
            Ok(contents) => {
                let secret = contents.text.trim_end().to_owned();
                self.settings.warnings.extend(contents.warnings());
                Some(secret.into())
            }
            // A file that every user may write is a problem of its path already.
            Err(error) if local_file::check(path).is_ok() => self.refuse(key, origin, format!("{error:#}")),
            Err(_) => None,
        }
    }

    /// A secret that is read when it is used, or a fixed one: from the key itself, from the file that `KEY_file` names, or from
    /// the variable that `KEY_env` names.
    pub(super) fn late_secret(&mut self, key: &str) -> Option<LateSecret> {
        let (file_key, variable_key) = (format!("{key}_file"), format!("{key}_env"));
        let origins = [key, &file_key, &variable_key].map(|key| self.origin(key));
        let fixed = self.text_of_secret(key).map(LateSecret::Fixed);
        let file = self.path(&file_key).map(LateSecret::File);
        let variable = self.text(&variable_key);
        let rank = |origin: &Option<Origin>| origin.as_ref().map(Origin::rank);
        let latest = origins.iter().filter_map(rank).max()?;
        let mut chosen = origins
            .iter()
            .filter(|origin| rank(origin) == Some(latest))
            .flatten();
        let origin = chosen.next()?.clone();
        if chosen.next().is_some() {
            let reason = format!("is set beside {file_key} or {variable_key}; set one of them");
            return self.refuse(key, &origin, reason);
        }
        let is_latest = origins.each_ref().map(|origin| rank(origin) == Some(latest));
        if let Some(secret) = &fixed.filter(|_| is_latest[0]) {
            self.show(key, "***");
            return Some(secret.clone());
        }
        if is_latest[1] {
            return file;
        }
        let name = variable.filter(|_| is_latest[2])?;
        match self.settings.variables.get(&name).filter(|text| !text.is_empty()) {
            Some(text) => Some(LateSecret::Fixed(text.as_str().into())),
            None => self.refuse(
                &variable_key,
                &origin,
                format!("names the variable {name}, which is not set"),
            ),
        }
    }

    /// The number of elements of a list of tables.
    pub(super) fn count(&mut self, key: &str) -> usize {
        self.show(key, json!([]));
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

    /// The names of the sections below a key, such as `main` of `[cvp.main]`. Problems show `example` as a name.
    pub(super) fn sections(&mut self, key: &str, example: &str) -> BTreeSet<String> {
        self.show(key, json!({}));
        self.keys.insert(format!("{key}.NAME"), Key::default());
        let below = |other: &String| Some(other.strip_prefix(key)?.strip_prefix('.')?.to_owned());
        let paths: Vec<String> = self.settings.values.keys().filter_map(below).collect();
        let mut names = BTreeSet::new();
        for path in paths {
            let full = format!("{key}.{path}");
            let reason = match path.split_once('.') {
                Some((name, _)) if is_section_name(name) => {
                    names.insert(name.to_owned());
                    continue;
                }
                Some((name, _)) => format!(
                    "{name:?} is not a valid name; expected a lower-case letter, then lower-case letters, digits, - and _"
                ),
                None => format!("must be in a section with a name, such as [{key}.{example}]"),
            };
            if let Some(setting) = self.settings.values.remove(&full) {
                self.problem(&full, Some(&setting.origin), reason);
            }
        }
        names
    }

    /// The names below a section that names things of the network, such as devices: any text. `keys` are the keys that each of
    /// them has; if there are none, each name is a key itself.
    pub(super) fn named(&mut self, section: &str, keys: &[&str]) -> BTreeSet<String> {
        self.show(section, json!({}));
        let below = |other: &String| {
            let path = other.strip_prefix(section)?.strip_prefix('.')?;
            let name = keys
                .iter()
                .find_map(|key| path.strip_suffix(key)?.strip_suffix('.'));
            let name = if keys.is_empty() { Some(path) } else { name };
            name.map(|name| (other.clone(), name.to_owned()))
        };
        let found: Vec<(String, String)> = self.settings.values.keys().filter_map(below).collect();
        let mut names = BTreeSet::new();
        for (key, name) in found {
            let fits = !name.is_empty() && !name.contains(['[', ']']) && !name.contains(char::is_control);
            if fits {
                names.insert(name);
            } else if let Some(setting) = self.settings.values.remove(&key) {
                let reason =
                    "is not below the name of something; names have no brackets and no control characters";
                self.problem(&key, Some(&setting.origin), reason);
            }
        }
        names
    }

    /// Moves what was shown for keys of a name to one object of its section, because such a name may have dots.
    pub(super) fn show_named(&mut self, section: &str, name: &str, keys: &[&str]) {
        let mut take = |key: String| self.keys.get_mut(&key).and_then(|read| read.effective.take());
        let shown = if keys.is_empty() {
            take(format!("{section}.{name}")).unwrap_or_default()
        } else {
            let pair = |key: &&str| Some(((*key).to_owned(), take(format!("{section}.{name}.{key}"))?));
            keys.iter().filter_map(pair).collect()
        };
        let section = self.keys.entry(section.to_owned()).or_default();
        section.effective.get_or_insert_with(|| json!({}))[name] = shown;
    }

    /// Where the first key of an optional section is set; none if the section is absent.
    pub(super) fn section(&mut self, section: &str) -> Option<Origin> {
        self.keys.entry(section.to_owned()).or_default();
        self.origin_within(section)
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

    /// Where a key is set; none if it is not set, or was read before.
    pub(super) fn origin(&self, key: &str) -> Option<Origin> {
        self.settings
            .values
            .get(key)
            .map(|setting| setting.origin.clone())
    }

    /// Adds a problem with a key. It never contains the user information of a URL.
    pub(super) fn problem(&mut self, key: &str, origin: Option<&Origin>, reason: impl Into<String>) {
        self.settings.problems.push(ConfigProblem {
            key: key.to_owned(),
            origin: origin.map(Origin::to_string),
            reason: mask_urls(&reason.into()),
        });
    }

    /// Number of problems so far.
    pub(super) fn problems(&self) -> usize {
        self.settings.problems.len()
    }

    /// Sets the effective value of a key, where it differs from what the key's own method recorded.
    pub(super) fn show(&mut self, key: &str, effective: impl Into<Json>) {
        self.keys.entry(key.to_owned()).or_default().effective = Some(effective.into());
    }

    /// Ignores a key of earlier versions, with a warning, so that a file of one of them still works after an upgrade.
    pub(super) fn removed(&mut self, key: &str, why: &str) {
        if let Some(Setting { origin, .. }) = self.settings.values.remove(key) {
            let warning = format!("{origin}: {key} is ignored: {why}; remove the key");
            self.settings.warnings.push(warning);
        }
    }

    /// Keys that are ignored, and what other users of the machine may do with the files that were read.
    pub(super) fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.settings.warnings)
    }

    /// Where the keys of a section are set in the configuration file.
    pub(super) fn in_file(&self, section: &str) -> Option<(String, Origin)> {
        let within = |key: &str| {
            key.strip_prefix(section)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        let mut settings = self.settings.values.iter();
        let found =
            settings.find(|(key, setting)| within(key) && matches!(setting.origin, Origin::File { .. }));
        found.map(|(key, setting)| (key.clone(), setting.origin.clone()))
    }

    /// The effective configuration as a tree of its keys, with secrets masked.
    ///
    /// # Errors
    /// All problems, unknown keys included.
    pub(super) fn finish(mut self) -> Result<Json, ConfigProblems> {
        for (key, setting) in std::mem::take(&mut self.settings.values) {
            let reason = self.unknown(&key);
            self.problem(&key, Some(&setting.origin), reason);
        }
        if !self.settings.problems.is_empty() {
            return Err(ConfigProblems(self.settings.problems));
        }
        let mut tree = Json::Null;
        for (key, read) in self.keys {
            if let Some(effective) = read.effective {
                *place(&mut tree, &key) = effective;
            }
        }
        Ok(tree)
    }

    /// The problem of an unknown key: lists the keys of the nearest known section.
    fn unknown(&self, key: &str) -> String {
        let (mut path, mut kind) = (key, "key");
        while let Some((section, _)) = path.rsplit_once('.') {
            let names = self.names(|known| known.strip_prefix(section)?.strip_prefix('.'));
            if !names.is_empty() {
                return format!("unknown {kind}; expected one of {names}");
            }
            (path, kind) = (section, "section");
        }
        let names = self.names(|known| (kind == "key" || known.contains('.')).then_some(known));
        format!("unknown {kind}; expected one of {names}")
    }

    /// The names of known keys: the first part of what `rest` leaves of each.
    fn names<'a>(&'a self, rest: impl Fn(&'a str) -> Option<&'a str>) -> String {
        let rests = self.keys.keys().filter_map(|known| rest(known));
        let names: BTreeSet<&str> = rests.filter_map(|rest| rest.split(['.', '[']).next()).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// Takes a setting and converts it. A value that `convert` refuses is a problem.
    fn read<T>(
        &mut self,
        key: &str,
        allowed: &str,
        convert: impl FnOnce(&Setting) -> Option<T>,
    ) -> Option<T> {
        let setting = self.take(key)?;
        let Some(value) = convert(&setting) else {
            let reason = format!("is {}, must be {allowed}", setting.value);
            return self.refuse(key, &setting.origin, reason);
        };
        Some(value)
    }

    fn keep<T: Clone + Into<Json>>(&mut self, key: &str, value: T, bounds: String) -> T {
        self.keys.entry(key.to_owned()).or_default().bounds = Some(bounds);
        self.show(key, value.clone());
        value
    }

    fn take(&mut self, key: &str) -> Option<Setting> {
        self.keys.entry(key.to_owned()).or_default();
        self.settings.values.remove(key)
    }

    fn refuse<T>(&mut self, key: &str, origin: &Origin, reason: impl Into<String>) -> Option<T> {
        self.problem(key, Some(origin), reason);
        None
    }
}

/// The place of a key such as `console.tokens[0].name` in a tree.
fn place<'a>(tree: &'a mut Json, key: &str) -> &'a mut Json {
    key.split('.').fold(tree, |at, part| {
        let Some((name, index)) = part.trim_end_matches(']').split_once('[') else {
            return &mut at[part];
        };
        let index: usize = index.parse().unwrap_or_default();
        let Json::Array(items) = &mut at[name] else {
            unreachable!("`count` begins each list of tables")
        };
        if items.len() <= index {
            items.resize(index + 1, Json::Null);
        }
        &mut items[index]
    })
}

/// Section names must also fit in a variable: `LOCKSTEP__CVP__NAME__KEY`.
fn is_section_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits) && !name.contains("__")
}
