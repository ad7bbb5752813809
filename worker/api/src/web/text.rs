//! How values read on a page: filters and functions of the templates. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use minijinja::{Environment, HtmlEscape, Value};

use super::{link, section};

/// Adds them to the environment.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("when", when);
    environment.add_filter("age", age);
    environment.add_filter("number", number);
    environment.add_filter("short", short);
    environment.add_filter("segment", |text: String| link::segment(&text));
    environment.add_filter("plain", plain);
    environment.add_filter("pretty", pretty);
    environment.add_function("state", state);
    environment.add_function("flag", flag);
    environment.add_function("bar", bar);
    environment.add_function("why_not", why_not);
}

/// A time in UTC, to the second.
fn when(value: &Value) -> Value {
    let Some(at) = value.as_str().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return Value::from("—");
    };
    let shown = at.strftime("%Y-%m-%d %H:%M:%S");
    let machine = at.strftime("%Y-%m-%dT%H:%M:%SZ");
    Value::from_safe_string(format!("<time datetime=\"{machine}\">{shown}</time>"))
}

/// How long ago a time was, by the largest unit of which it is at least two.
fn age(value: &Value, now: &str) -> String {
    let parsed = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let (Some(at), Ok(now)) = (parsed, now.parse::<Timestamp>()) else {
        return "—".to_owned();
    };
    duration(now.duration_since(at).as_secs().max(0))
}

/// Seconds by the largest unit of which they are at least two.
fn duration(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

/// A number with thin spaces between groups of three digits.
fn number(value: &Value) -> String {
    let digits = value.to_string();
    if digits.len() < 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits;
    }
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// The beginning of a commit or of an id; the whole is its title.
fn short(value: &Value) -> Value {
    let Some(whole) = value.as_str() else {
        return Value::from("—");
    };
    let first: String = whole.chars().take(10).collect();
    let (whole, first) = (HtmlEscape(whole), HtmlEscape(&first));
    Value::from_safe_string(format!("<code title=\"{whole}\">{first}</code>"))
}

/// A text of several lines without control characters, which would not be seen; a text of nothing is a dash.
fn plain(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    if text.is_empty() {
        return "—".to_owned();
    }
    visible(text)
}

/// A text whose control characters, and marks that change the direction of writing, are shown as `\u{…}`.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let is_hidden = (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if is_hidden {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// JSON over several lines; a text as it is.
fn pretty(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return visible(text);
    }
    let json = serde_json::to_string_pretty(value).unwrap_or_default();
    visible(&json)
}

/// How good or bad a state is: the class of its mark, and the sign before its word, so that it is never told by color alone.
fn tone(word: &str) -> (&'static str, &'static str) {
    match word {
        "SUCCESSFUL" | "done" | "processed" | "applied" | "ok" | "passed" | "cancelled" => ("good", "✓"),
        "RUNNING" => ("busy", "▶"),
        "PENDING" | "INIT" | "DISCOVERED" | "DHCP_BOOT" | "PRE_CONFIGURED" | "pending" | "paused" => {
            ("wait", "◌")
        }
        "FAILED" | "PRECHECK_FAILED" | "POSTCHECK_FAILED" | "failed" | "dead" | "rejected" => ("bad", "✕"),
        "PARTIAL_FAILED" | "UNMANAGED" | "MANAGED_NOIF" | "warning" => ("warn", "▲"),
        _ => ("plain", "•"),
    }
}

/// A state as a mark.
fn state(word: &Value) -> Value {
    let word = word.as_str().unwrap_or("UNKNOWN");
    let (class, sign) = tone(word);
    let words = visible(word).replace('_', " ").to_lowercase();
    let words = HtmlEscape(&words);
    Value::from_safe_string(format!(
        "<span class=\"mark {class}\"><span aria-hidden=\"true\">{sign}</span> {words}</span>"
    ))
}

/// A sync flag as a mark.
fn flag(synchronized: bool) -> Value {
    let (class, sign, word) = if synchronized {
        ("good", "✓", "synchronized")
    } else {
        ("bad", "✕", "not synchronized")
    };
    Value::from_safe_string(format!(
        "<span class=\"mark {class}\"><span aria-hidden=\"true\">{sign}</span> {word}</span>"
    ))
}

/// How far an execution is, as a picture; its numbers stand beside it as text. `counts` has `elements`, `done`, `failed` and `skipped`.
fn bar(counts: &Value) -> Value {
    const WIDTH: u64 = 1000;
    let of = |name: &str| -> u64 {
        let value = counts.get_attr(name).ok();
        value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
    };
    let all = of("elements").max(1);
    let mut parts = String::new();
    let mut at = 0;
    for name in ["done", "failed", "skipped"] {
        let width = (of(name).saturating_mul(WIDTH) / all).min(WIDTH - at);
        if width > 0 {
            // Writing to a string cannot fail.
            let _ = write!(
                parts,
                "<rect class=\"{name}\" x=\"{at}\" y=\"0\" width=\"{width}\" height=\"10\"/>"
            );
        }
        at += width;
    }
    Value::from_safe_string(format!(
        "<svg class=\"bar\" viewBox=\"0 0 {WIDTH} 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">\
         <rect class=\"rest\" x=\"0\" y=\"0\" width=\"{WIDTH}\" height=\"10\"/>{parts}</svg>"
    ))
}

/// The place of a section that cannot be shown.
fn why_not(problem: &Value) -> Result<Value, minijinja::Error> {
    let failed = |reason: String| minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, reason);
    let problem = serde_json::to_value(problem).map_err(|error| failed(error.to_string()))?;
    let html = section::why_not(&problem).map_err(|problem| failed(problem.problem().title.clone()))?;
    Ok(Value::from_safe_string(html))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        for (seconds, expected) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (plain, expected) in [
            (7_u64, "7"),
            (1234, "1234"),
            (12345, "12\u{202f}345"),
            (1_234_567, "1\u{202f}234\u{202f}567"),
        ] {
            assert_eq!(number(&Value::from(plain)), expected);
        }
    }

    #[test]
    fn what_nobody_would_see_is_shown() {
        assert_eq!(visible("a\u{1b}[31m\u{202e}b\nc"), "a\\u{1b}[31m\\u{202e}b\nc");
    }

    #[test]
    fn a_state_is_a_sign_a_word_and_a_class_and_stays_text() {
        let mark = state(&Value::from("PARTIAL_FAILED")).to_string();
        assert!(mark.contains("partial failed") && mark.contains("▲"), "{mark}");
        let hostile = state(&Value::from("<b>")).to_string();
        assert!(hostile.contains("&lt;b&gt;"), "{hostile}");
    }

    #[test]
    fn a_bar_never_leaves_its_frame() {
        let counts = |done: u64, failed: u64| {
            Value::from(minijinja::value::Serde(
                serde_json::json!({"elements": 2, "done": done, "failed": failed, "skipped": 0}),
            ))
        };
        let whole = bar(&counts(1, 1)).to_string();
        assert!(whole.contains("x=\"500\" y=\"0\" width=\"500\""), "{whole}");
        let more = bar(&counts(2, 9)).to_string();
        assert!(!more.contains("class=\"failed\""), "{more}");
    }
}
