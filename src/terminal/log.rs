use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use lockstep_protocol::mask_urls;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::{stderr, visible};
use crate::telemetry::shown_level;

/// The colors of log lines. A value can use them as well, since they hide nothing.
const COLORS: [&str; 10] = [
    "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[3m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[34m", "\x1b[35m",
    "\x1b[36m",
];

/// Writes log lines to stderr, each in one line and visible. The formatter escapes only messages, and only some characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogWriter {
    format: Format,
    /// The level of the event, and the one that is shown, if they differ.
    relabelled: Option<(Level, Level)>,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    /// Lines of text, with colors on a terminal.
    Text,
    /// A JSON object in each line.
    Json,
}

impl LogWriter {
    /// Writes lines of text.
    pub(crate) const TEXT: Self = Self::of(Format::Text);
    /// Writes a JSON object in each line.
    pub(crate) const JSON: Self = Self::of(Format::Json);

    const fn of(format: Format) -> Self {
        Self {
            format,
            relabelled: None,
        }
    }

    /// Whether stderr shows colors.
    pub(crate) fn has_colors() -> bool {
        stderr().is_terminal()
    }

    /// One event, with its line feed.
    fn shown(self, event: &str) -> String {
        let event = event.strip_suffix('\n').unwrap_or(event);
        let event = mask_urls(&self.labelled(event));
        let mut line = match self.format {
            Format::Text => visible::inert(&text(&event)).into_owned(),
            Format::Json => visible::json(&event).into_owned(),
        };
        line.push('\n');
        line
    }

    /// The event with the level that is shown. Only a time is before the level, so its first name is the level.
    fn labelled(self, event: &str) -> Cow<'_, str> {
        let Some((level, shown)) = self.relabelled else {
            return Cow::Borrowed(event);
        };
        Cow::Owned(match self.format {
            Format::Text => event.replacen(&format!("{level:>5}"), &format!("{shown:>5}"), 1),
            Format::Json => event.replacen(&format!("\"{level}\""), &format!("\"{shown}\""), 1),
        })
    }
}

/// A line of text: what is not one of our colors is made visible. It is not cut, since its parts are bounded where they are made.
fn text(event: &str) -> String {
    let mut line = String::with_capacity(event.len());
    let mut rest = event;
    while let Some(at) = rest.find('\x1b') {
        let (before, after) = rest.split_at(at);
        line.push_str(&visible::field(before, usize::MAX));
        let color = COLORS.into_iter().find(|color| after.starts_with(color));
        let length = color.map_or(1, str::len);
        match color {
            Some(color) => line.push_str(color),
            None => line.push_str(&visible::field(&after[..length], usize::MAX)),
        }
        rest = &after[length..];
    }
    line.push_str(&visible::field(rest, usize::MAX));
    line
}

impl Write for LogWriter {
    /// Takes one whole event, as the formatter writes it.
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let line = self.shown(&String::from_utf8_lossy(event));
        stderr().write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        stderr().flush()
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }

    fn make_writer_for(&self, event: &Metadata<'_>) -> Self {
        let (level, shown) = (*event.level(), shown_level(event.target(), *event.level()));
        Self {
            relabelled: (level != shown).then_some((level, shown)),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_visible_line_with_our_colors() {
        let event = "\x1b[2m2026\x1b[0m \x1b[32m INFO\x1b[0m a\nb \x1b[2J\x1b[8mc\x1b]52;x\u{9b}";
        assert_eq!(
            LogWriter::TEXT.shown(&format!("{event}\n")),
            "\x1b[2m2026\x1b[0m \x1b[32m INFO\x1b[0m a\\nb \\u{1b}[2J\\u{1b}[8mc\\u{1b}]52;x\\u{9b}\n"
        );
    }

    #[test]
    fn an_event_in_json_keeps_its_values_and_masks_user_information() {
        let event = serde_json::json!({"error": "\u{9b}x ##[error] \"https://token@h/\\\" \u{202e}"});
        let line = LogWriter::JSON.shown(&format!("{event}\n"));
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["error"], "\u{9b}x ##[error] \"https://***@h/\\\" \u{202e}");
        assert!(
            !line.contains('\u{9b}') && !line.contains("##[") && !line.contains('\u{202e}'),
            "{line}"
        );
    }

    #[test]
    fn an_event_of_a_library_has_the_level_that_is_shown() {
        let table = [
            (
                LogWriter::TEXT,
                Level::ERROR,
                "2026-11-29T05:48:52Z ERROR lapin: ERROR",
                "2026-11-29T05:48:52Z DEBUG lapin: ERROR\n",
            ),
            (
                LogWriter::TEXT,
                Level::WARN,
                "2026-11-29T05:48:52Z  WARN deadpool: x",
                "2026-11-29T05:48:52Z DEBUG deadpool: x\n",
            ),
            (
                LogWriter::JSON,
                Level::WARN,
                r#"{"level":"WARN","message":"WARN"}"#,
                "{\"level\":\"DEBUG\",\"message\":\"WARN\"}\n",
            ),
        ];
        for (writer, level, event, expected) in table {
            let writer = LogWriter {
                relabelled: Some((level, Level::DEBUG)),
                ..writer
            };
            assert_eq!(writer.shown(event), expected);
        }
    }
}
