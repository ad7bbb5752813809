//! Text of programs as logs and messages show it. Pure.

use secrecy::{ExposeSecret, SecretString};

/// The most characters of a line of a program in a log or a message.
const MAX_LINE: usize = 1000;
/// Shorter secrets are not masked: they would be found everywhere.
const LEAST_SECRET: usize = 4;

/// The secrets that a program was given, which it may repeat.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Vec<SecretString>);

impl Secrets {
    pub(crate) fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let long = |secret: &SecretString| secret.expose_secret().len() >= LEAST_SECRET;
        Self(secrets.into_iter().filter(long).collect())
    }

    /// These, and more.
    pub(crate) fn with(mut self, more: Vec<SecretString>) -> Self {
        self.0.extend(Self::new(more).0);
        self
    }

    /// The text with `***` instead of each secret.
    pub(crate) fn masked(&self, text: &str) -> String {
        let masked = self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.expose_secret(), "***")
        });
        let written_in_json = self.0.iter().filter_map(|secret| {
            let written = serde_json::to_string(secret.expose_secret()).ok()?;
            Some(written.trim_matches('"').to_owned())
        });
        written_in_json.fold(masked, |text, written| text.replace(&written, "***"))
    }

    /// The text of a message, which may have several lines: masked, with other control characters made visible.
    pub(crate) fn message(&self, text: &str) -> String {
        let masked = self.masked(text);
        let lines = masked.split_inclusive(['\n', '\t']);
        let mut shown = String::with_capacity(masked.len());
        for line in lines {
            let plain = line.trim_end_matches(['\n', '\t']);
            shown.extend(plain.chars().flat_map(escaped));
            shown.push_str(&line[plain.len()..]);
        }
        shown
    }

    /// The text in one line: masked, with control characters made visible, and cut.
    pub(crate) fn line(&self, text: &str) -> String {
        visible(&self.masked(text.trim_end()))
    }
}

/// Text in one line: escaped where a terminal would obey it, and cut.
pub(crate) fn visible(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_LINE).flat_map(escaped).collect();
    if text.chars().nth(MAX_LINE).is_some() {
        shown.push('…');
    }
    shown
}

/// A character, or its escape if a terminal would obey it.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let is_obeyed = c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escape = is_obeyed.then(|| c.escape_default());
    escape.into_iter().flatten().chain((!is_obeyed).then_some(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_control_characters_are_not_shown() {
        let secrets = Secrets::new(["hush\"hush".into(), "abc".into()]);
        let table = [
            ("password hush\"hush.\n", "password ***."),
            (r#"{"password": "hush\"hush"}"#, r#"{"password": "***"}"#),
            ("abc\u{1b}[2J\u{202e}\0", r"abc\u{1b}[2J\u{202e}\u{0}"),
        ];
        for (text, expected) in table {
            assert_eq!(secrets.line(text), expected);
        }
        assert_eq!(secrets.message("abc\n\u{1b}\tb\0\n"), "abc\n\\u{1b}\tb\\u{0}\n");
        let long = secrets.line(&"x".repeat(5000));
        assert_eq!(long.chars().count(), MAX_LINE + 1);
    }
}
